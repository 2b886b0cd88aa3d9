"""A Worker's own code: imported, and what of it can be called."""
