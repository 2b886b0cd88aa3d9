"""The Cloudflare face: an unchanged Python Worker, its Durable Objects included, on CPython."""
