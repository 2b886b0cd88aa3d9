"""Durable virtual actors for Python."""
