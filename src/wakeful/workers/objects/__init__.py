"""Durable Objects of a Worker: their ids, who calls them, and what they have as `ctx`."""
