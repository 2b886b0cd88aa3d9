"""Calling actors of a running server from another process: typed refs over HTTP."""
