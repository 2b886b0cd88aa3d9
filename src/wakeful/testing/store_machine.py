"""A store against a dict of dicts, through any sequence of operations.

def test_machine(tmp_path):
    numbers = itertools.count()
    run_store_machine(lambda: MyPlace(tmp_path / str(next(numbers))))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from wakeful.errors import Fenced
from wakeful.ids import ActorId
from wakeful.ports import AGENDA_KEY, Cells, CommitRecord, due_cell, due_of
from wakeful.testing.store_suite import Owner, Place

TYPES: Final = ("A", "B")
NAMES: Final = ("a", "a\0", "ab", "b", "\uffff", "\U00010000")
KEYS: Final = ("s", "k1", "k2", "")

Puts = dict[str, bytes | None]
PagePuts = dict[int, bytes | None]
Change = tuple[str, str, Puts, PagePuts, bool]
PAGES: Final = 3


def _value(start: bytes, large: bool) -> bytes:
    return start.ljust(70_000 if large else 0, b"x")


def _page(start: int, data: bytes) -> bytes:
    """Return a page that differs from others of its kind in a few bytes."""
    page = bytearray(4096)
    page[start : start + len(data)] = data
    return bytes(page)


_cells: Final = st.dictionaries(
    st.sampled_from(KEYS), st.none() | st.builds(_value, st.binary(max_size=3), st.booleans())
)
_alarms: Final = st.none() | st.builds(due_cell, st.integers(0, 5), st.binary(max_size=2))
_puts: Final = st.builds(
    lambda cells, alarms: {**cells, **alarms},
    _cells,
    st.dictionaries(st.just(AGENDA_KEY), _alarms),
)
_pages: Final = st.dictionaries(
    st.integers(1, PAGES),
    st.none()
    | st.builds(_value, st.binary(max_size=3), st.booleans())
    | st.builds(_page, st.integers(0, 4_000), st.binary(max_size=96)),
    max_size=2,
)
_change: Final = st.tuples(
    st.sampled_from(TYPES),
    st.sampled_from(NAMES),
    _puts,
    _pages,
    st.integers(0, 4).map(lambda n: n == 0),
)
_batch: Final = st.lists(_change, min_size=1, max_size=6)


class StoreMachine(RuleBasedStateMachine):
    """Any sequence of commits, listings, reopens and takeovers against a dict of dicts."""

    def __init__(self, new_place: Callable[[], Place]) -> None:
        super().__init__()
        self.model: dict[tuple[str, str], Cells] = {}
        self.pages: dict[tuple[str, str], dict[int, bytes]] = {}
        self.place = new_place()
        self.owner = Owner(self.place)
        self.fenced: Owner | None = None

    @rule(changes=_batch)
    def commit(self, changes: list[Change]) -> None:
        """Commit a batch of the present owner; it is durable."""
        self.owner.commit(*self._records(self.owner, changes))
        for type_, name, puts, pages, wipe in changes:
            cells = {} if wipe else self.model.get((type_, name), {})
            merged = {**cells, **puts}
            self.model[type_, name] = {k: v for k, v in merged.items() if v is not None}
            before = {} if wipe else self.pages.get((type_, name), {})
            after = {**before, **pages}
            self.pages[type_, name] = {n: page for n, page in after.items() if page is not None}

    @rule(changes=_batch, position=st.integers(0, 6), offset=st.sampled_from([-1, 1]))
    def commit_of_another_epoch(self, changes: list[Change], position: int, offset: int) -> None:
        """A batch with a stranger's record changes nothing."""
        records = self._records(self.owner, changes)
        lane = self.owner.info.lane_of(records[0].shard)
        records = [record for record in records if lane.first <= record.shard <= lane.last]
        records[position % len(records)].epoch += offset
        with pytest.raises(Fenced):
            self.owner.commit(*records)

    @rule()
    def reopen(self) -> None:
        """Close the owner, and open the store again."""
        self.owner.close()
        self.owner = Owner(self.place)

    @precondition(lambda self: self.fenced is None)
    @rule()
    def take_over(self) -> None:
        """Open a second owner while the first still lives."""
        self.place.steal()
        self.fenced = self.owner
        self.owner = Owner(self.place)

    @precondition(lambda self: self.fenced is not None)
    @rule(changes=_batch)
    def late_commit(self, changes: list[Change]) -> None:
        """A commit of the old owner writes nothing."""
        assert self.fenced is not None
        with pytest.raises(Fenced):
            self.fenced.commit(*self._records(self.fenced, changes))

    @precondition(lambda self: self.fenced is not None)
    @rule()
    def old_owner_leaves(self) -> None:
        """The old owner closes."""
        assert self.fenced is not None
        self.fenced.close()
        self.fenced = None

    @rule(
        type_=st.sampled_from(TYPES),
        prefix=st.sampled_from(["", "a", "ab", "\uffff", "c"]),
        limit=st.integers(1, 4),
    )
    def listing(self, type_: str, prefix: str, limit: int) -> None:
        """Pages add up to the model's names in order."""
        expected = sorted(
            name for kind, name in self._actors() if kind == type_ and name.startswith(prefix)
        )
        assert self.owner.names(type_, prefix=prefix, limit=limit) == expected

    @rule(
        until_ns=st.integers(0, 6),
        limit=st.integers(1, 4),
        types=st.none() | st.sets(st.sampled_from([*TYPES, "C"])),
    )
    def due(self, until_ns: int, limit: int, types: set[str] | None) -> None:
        """Alarms come in order of time, those of one time in any order."""
        expected = sorted(
            (due_of(cells[AGENDA_KEY]), actor)
            for actor, cells in self.model.items()
            if AGENDA_KEY in cells
            and due_of(cells[AGENDA_KEY]) <= until_ns
            and (types is None or actor[0] in types)
        )
        found = self.owner.run(lambda: self.owner.store.alarms(until_ns, limit, types))
        assert [alarm.due_ns for alarm in found] == [due for due, _ in expected[:limit]]
        assert {(due, tuple(actor)) for due, actor in found} <= set(expected)

    @invariant()
    def reads_agree(self) -> None:
        """Every actor reads as the model says."""
        actors = [ActorId(type_, name) for type_ in TYPES for name in NAMES]
        expected = [self.model.get(actor, {}) for actor in actors]
        assert self.owner.load_all(actors) == expected
        for type_, name in actors:
            found = self.owner.pages(name, type=type_, last=PAGES)
            assert found == self.pages.get((type_, name), {})
        assert self.owner.types() == sorted({kind for kind, _ in self._actors()})

    def teardown(self) -> None:
        """Leave nothing open."""
        for owner in (self.fenced, self.owner):
            if owner is not None:
                owner.close()

    def _actors(self) -> set[tuple[str, str]]:
        """List the actors that have any cells or pages."""
        kept = (*self.model.items(), *self.pages.items())
        return {actor for actor, something in kept if something}

    def _records(self, owner: Owner, changes: list[Change]) -> list[CommitRecord]:
        return [
            owner.record(name, dict(puts), type=type_, wipe=wipe, pages=dict(pages))
            for type_, name, puts, pages, wipe in changes
        ]


def run_store_machine(
    new_place: Callable[[], Place], *, examples: int = 30, steps: int = 20
) -> None:
    """Run the machine, each run on a new place."""

    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(new_place)

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )
