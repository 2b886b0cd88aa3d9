"""The classes of Workers through time: what a data directory has, and what becomes of it."""
