"""Actors over HTTP: one handler, offered as RSGI (our own server) and as ASGI (to be mounted)."""
