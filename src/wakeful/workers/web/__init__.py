"""Requests, responses and what they are made of, as the Fetch standard has them."""
