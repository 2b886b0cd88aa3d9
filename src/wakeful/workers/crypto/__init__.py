"""What `crypto.subtle` does: keys, and what is done with them."""
