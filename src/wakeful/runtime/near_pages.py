"""The SQL pages of active actors, fetched before the first turn where a store is slow to read."""

from __future__ import annotations

from wakeful.ids import ActorId
from wakeful.ports import FarPages, Store


class NearPages:
    """Keeps account of the actors whose pages have been fetched.

    Attributes:
        far: pages must be fetched, because the store has `FarPages`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store if isinstance(store, FarPages) else None
        self._fetched: set[ActorId] = set()
        self.far = self._store is not None

    async def fetch(self, actor: ActorId) -> None:
        """Fetch the pages of an actor that wakes, if the store needs that.

        Raises:
            StorageError: the pages cannot be read.
        """
        if self._store is not None:
            await self._store.fetch(actor)
            self._fetched.add(actor)

    def forget(self, actor: ActorId) -> None:
        """Release the pages of an actor whose activation has gone, if they were fetched."""
        if self._store is not None and actor in self._fetched:
            self._fetched.discard(actor)
            self._store.forget(actor)
