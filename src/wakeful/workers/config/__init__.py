"""What a Worker's files say of it: read, checked, and explained where they are wrong."""
