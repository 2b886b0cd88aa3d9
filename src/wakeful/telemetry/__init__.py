"""What a node is doing, in the form monitoring systems read."""
