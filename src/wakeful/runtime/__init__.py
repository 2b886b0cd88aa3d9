"""The only asyncio driver of core: activations, turns, group commit, refs."""
