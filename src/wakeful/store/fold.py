"""Moving frozen generations into the cells, a slice at a time.

Invariants: a slice may be repeated (each statement states a final value), and the journal rows of a
            generation go only after its last slice: a crash at any point costs a replay, no more.
            Slices may split an actor: reads are masked by the overlay until all of it is stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from wakeful.store.limits import Limits
from wakeful.store.overlay import NO_PAGES, Generation, Key
from wakeful.store.writer import Writer


class Slice:
    """What one step folds; `complete` are the actors of which nothing is left after it."""

    __slots__ = (
        "complete",
        "deletes",
        "page_deletes",
        "page_puts",
        "puts",
        "size_bytes",
        "wipes",
    )

    def __init__(self) -> None:
        self.wipes: list[Key] = []
        self.deletes: list[tuple[str, str, str]] = []
        self.puts: list[tuple[str, str, str, bytes]] = []
        self.page_deletes: list[tuple[str, str, int]] = []
        self.page_puts: list[tuple[str, str, int, bytes]] = []
        self.complete: list[Key] = []
        self.size_bytes = 0

    @property
    def cells(self) -> int:
        """How many rows it touches (a wipe counts as one)."""
        pages = len(self.page_deletes) + len(self.page_puts)
        return len(self.wipes) + len(self.deletes) + len(self.puts) + pages

    def full(self, limits: Limits) -> bool:
        """Whether it is as large as a slice may be."""
        return self.cells >= limits.slice_cells or self.size_bytes >= limits.slice_bytes

    def add(self, key: Key, name: str, value: bytes | None) -> None:
        """Add a cell."""
        if value is None:
            self.deletes.append((*key, name))
        else:
            self.puts.append((*key, name, value))
            self.size_bytes += len(value)

    def add_page(self, key: Key, number: int, page: bytes | None) -> None:
        """Add a page of a SQL database."""
        if page is None:
            self.page_deletes.append((*key, number))
        else:
            self.page_puts.append((*key, number, page))
            self.size_bytes += len(page)

    def write(self, writer: Writer) -> None:
        """Store it."""
        if self.wipes:
            writer.wipe(self.wipes)
        if self.deletes:
            writer.delete(self.deletes)
        if self.puts:
            writer.put(self.puts, self.size_bytes)
        if self.page_deletes:
            writer.delete_pages(self.page_deletes)
        if self.page_puts:
            writer.put_pages(self.page_puts, self.size_bytes)


class Folded(msgspec.Struct, frozen=True, gc=False):
    """What a step has stored.

    Attributes:
        keys: actors whose changes are all in the cells now.
        finished: the generation is stored as a whole.
        worth_bytes: the part of the generation's journal that this step stands for.
    """

    keys: list[Key]
    finished: bool
    worth_bytes: int


class Folder:
    """Folds generations in the order given."""

    def __init__(self, writer: Writer, limits: Limits) -> None:
        self._writer = writer
        self._limits = limits
        self._waiting: deque[Generation] = deque()
        self._slices: Iterator[Slice] | None = None
        self._slice: Slice | None = None  # to be written; stays until it has been
        self._actors = 0

    @property
    def pending(self) -> bool:
        """Is there anything to fold?"""
        return bool(self._waiting)

    def add(self, generation: Generation) -> None:
        """Fold this one too; nothing may be added to it any more."""
        self._waiting.append(generation)

    def step(self) -> Folded:
        """Fold a slice of the oldest generation, or forget its journal.

        Raises:
            Fenced, apsw.Error: it was not stored; the next step tries again.
        """
        generation = self._waiting[0]
        if self._slices is None:
            self._slices = _slices(generation, self._limits)
            self._actors = len(generation.changes)
        self._slice = self._slice or next(self._slices, None)
        if self._slice is None:
            self._writer.forget(generation.seq)
            self._waiting.popleft()
            self._slices = None
            return Folded(keys=[], finished=True, worth_bytes=0)
        self._slice.write(self._writer)
        keys = self._slice.complete
        self._slice = None
        return Folded(
            keys=keys,
            finished=False,
            worth_bytes=generation.size_bytes * len(keys) // self._actors,
        )


def _slices(generation: Generation, limits: Limits) -> Iterator[Slice]:
    current = Slice()
    # Copied at once, as the loop's thread drops what is complete; what is not complete stays.
    for key in list(generation.changes):
        if key in generation.wiped:
            current.wipes.append(key)
        for name, value in generation.changes[key].items():
            current.add(key, name, value)
            if current.full(limits):
                yield current
                current = Slice()
        for number, page in generation.pages.get(key, NO_PAGES).items():
            current.add_page(key, number, page)
            if current.full(limits):
                yield current
                current = Slice()
        current.complete.append(key)
        if current.cells >= limits.slice_cells:
            yield current
            current = Slice()
    if current.complete:
        yield current
