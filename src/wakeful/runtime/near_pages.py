"""The SQL pages of active actors, fetched before the first turn where a store is slow to read."""

from __future__ import annotations

from wakeful.ids import ActorId
from wakeful.ports import FarPages, Store


class NearPages:
    """Whose pages have been fetched.

    Attributes:
        far: they must be: the store has `FarPages`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store if isinstance(store, FarPages) else None
        self._fetched: set[ActorId] = set()
        self.far = self._store is not None

    async def fetch(self, actor: ActorId) -> None:
        """Bring them near, if they are not: an actor wakes.

        Raises:
            StorageError: they cannot be read.
        """
        if self._store is not None:
            await self._store.fetch(actor)
            self._fetched.add(actor)

    def forget(self, actor: ActorId) -> None:
        """Let go of them, if they were fetched: its activation has gone."""
        if self._store is not None and actor in self._fetched:
            self._fetched.discard(actor)
            self._store.forget(actor)
