"""What stands in `env` beside Durable Objects, and the actors that keep it."""
