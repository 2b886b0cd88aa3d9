"""What the SQLite store makes of a disk that fails, fills up, or loses what was not synced."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from tests.store.disk import Disk

from wakeful.errors import (
    Fenced,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    UnknownOutcome,
)
from wakeful.ports import CommitRecord
from wakeful.store.limits import Limits
from wakeful.store.sqlite import SQLiteStore
from wakeful.store.stopped import StoppedStore
from wakeful.testing.store_suite import Owner

# Folds all the time; the second one copies the log all the time too, in its own thread.
FOLDING = Limits(fold_bytes=200, fold_actors=2, slice_cells=2)
COPYING = Limits(fold_bytes=200, fold_actors=2, slice_cells=2, wal_bytes=30_000)
# Here the rows have ranges of pages, of some that are being folded and of some that are not.
RANGES = Limits(fold_bytes=12_000, slice_cells=1, wal_bytes=30_000)
_numbers = itertools.count()


class DiskPlace:
    """A data directory on a faulty disk."""

    def __init__(self, directory: Path, disk: Disk, limits: Limits | None = None) -> None:
        self.directory = directory
        self._disk = disk
        self._limits = limits

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.directory, limits=self._limits, vfs=self._disk.name)

    def steal(self) -> None:
        (self.directory / "lock").unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    with Disk(f"disk-{next(_numbers)}") as disk:
        yield disk


def fail(operation: str, error: Callable[[], BaseException], *, once: bool = False):
    """A fault: the operation fails, always or the first time."""
    left = [1 if once else 1_000_000]

    def fault(what: str) -> None:
        if what == operation and left[0]:
            left[0] -= 1
            raise error()

    return fault


Found = dict[str, dict[str | int, bytes]]


def reread(directory: Path) -> Found:
    """What a later owner finds, on a sound disk, after checking the file: cells, and pages."""
    store = StoppedStore(directory, strict_recovery=True)
    store.open()
    try:
        store.integrity_check()
        found: Found = {}
        cursor: str | None = None
        while True:
            page = store.actors("Counter", cursor=cursor)
            for actor in page.actors:
                pages = {number: store.page(actor, number) for number in (1, 2)}
                kept = {number: data for number, data in pages.items() if data is not None}
                found[actor.name] = {**store.load(actor), **kept}
            if (cursor := page.cursor) is None:
                return found
    finally:
        store.close()


# --- one fsync -----------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [None, FOLDING], ids=["default", "folding"])
def test_a_batch_costs_one_fsync(tmp_path: Path, disk: Disk, limits: Limits | None) -> None:
    """Whatever its size; and folding costs none of its own."""
    with Owner(DiskPlace(tmp_path, disk, limits)) as owner:
        owner.put("first", {"s": b"the log begins"})
        disk.counts.clear()
        for count in range(1, 21):
            owner.commit(*(owner.record(f"a{n}", {"s": b"1"}) for n in range(count)))
        assert {op: n for op, n in disk.counts.items() if op.startswith("sync")} == {"sync wal": 20}


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (apsw.FullError, StorageFull),
        (apsw.ReadOnlyError, StorageReadOnly),
        (apsw.CorruptError, StorageCorrupt),
    ],
)
def test_a_failed_write_is_named_and_passes(
    tmp_path: Path, disk: Disk, error: type[apsw.Error], expected: type[StorageError]
) -> None:
    """The batch is not there, in any part; the next one is, once the disk is well."""
    with Owner(DiskPlace(tmp_path, disk)) as owner:
        owner.put("a", {"s": b"1"})
        disk.fault = fail("write wal", error)
        with pytest.raises(expected):
            owner.commit(owner.record("a", {"s": b"2"}), owner.record("b", {"s": b"2"}))
        assert (owner.load("a"), owner.load("b")) == ({"s": b"1"}, {})
        disk.fault = None
        owner.put("c", {"s": b"3"})
    assert reread(tmp_path) == {"a": {"s": b"1"}, "c": {"s": b"3"}}


@pytest.mark.parametrize("operation", ["write wal", "sync wal"])
def test_an_io_error_that_passes_is_settled(tmp_path: Path, disk: Disk, operation: str) -> None:
    """The store finds out that nothing was written, says so, and goes on."""
    with Owner(DiskPlace(tmp_path, disk)) as owner:
        owner.put("a", {"s": b"1"})
        disk.fault = fail(operation, apsw.IOError, once=True)
        with pytest.raises(StorageError, match="nothing was written") as caught:
            owner.put("a", {"s": b"2"})
        assert caught.type is StorageUnavailable
        owner.put("b", {"s": b"3"})
    assert reread(tmp_path) == {"a": {"s": b"1"}, "b": {"s": b"3"}}


def test_a_batch_said_not_to_be_written_stays_away_after_a_power_cut(
    tmp_path: Path, disk: Disk
) -> None:
    """Its frames are in the log, whole, when the fsync fails; they must not come back."""
    with Owner(DiskPlace(tmp_path / "data", disk)) as owner:
        owner.put("a", {"s": b"1"})
        disk.fault = fail("sync wal", apsw.IOError, once=True)
        with pytest.raises(StorageError, match="nothing was written"):
            owner.put("a", {"s": b"2"})
        for seed in range(20):
            disk.power_cut(tmp_path / f"cut-{seed}", random.Random(seed))
    assert [reread(tmp_path / f"cut-{seed}") for seed in range(20)] == [{"a": {"s": b"1"}}] * 20


def test_an_io_error_that_stays_is_an_unknown_outcome(tmp_path: Path, disk: Disk) -> None:
    """If it cannot be found out the caller hears that, and the store closes itself."""
    owner = Owner(DiskPlace(tmp_path, disk))
    owner.put("a", {"s": b"1"})
    disk.fault = fail("sync wal", apsw.IOError)
    with pytest.raises(UnknownOutcome):
        owner.put("a", {"s": b"2"})
    with pytest.raises(StorageUnavailable, match="nothing can be committed"):
        owner.put("a", {"s": b"3"})
    disk.fault = None
    owner.close()
    assert reread(tmp_path)["a"] in ({"s": b"1"}, {"s": b"2"})


def test_a_batch_that_does_not_encode_is_refused_alone(tmp_path: Path, disk: Disk) -> None:
    with Owner(DiskPlace(tmp_path, disk)) as owner:
        with pytest.raises(StorageError, match="surrogates not allowed"):
            owner.put("a", {"\ud800": b"1"})
        owner.put("a", {"s": b"1"})
        assert owner.load("a") == {"s": b"1"}


# --- the flusher dies ----------------------------------------------------------------------------


class Deadly(tuple[CommitRecord, ...]):
    """A batch that kills who reads it."""

    def __iter__(self) -> Iterator[CommitRecord]:
        raise SystemExit("killed")


def test_a_dead_flusher_answers_all_that_wait(tmp_path: Path, disk: Disk) -> None:
    """Those behind the deadly batch, and those that come later."""
    owner = Owner(DiskPlace(tmp_path, disk))
    owner.put("a", {"s": b"1"})

    async def three() -> list[StorageError | None]:
        first, *others = ([owner.record(name, {"s": b"1"})] for name in "abc")
        batches = [Deadly(first), *others]
        return list(await asyncio.gather(*(owner.committed(batch) for batch in batches)))

    assert [type(error) for error in owner.run(three)] == [StorageUnavailable] * 3
    with pytest.raises(StorageUnavailable, match="killed"):
        owner.put("d", {"s": b"1"})
    with pytest.raises(StorageUnavailable, match="killed"):
        owner.load("a")
    owner.close()
    assert reread(tmp_path) == {"a": {"s": b"1"}}


def test_a_flusher_that_dies_in_the_write_does_not_know_its_outcome(
    tmp_path: Path, disk: Disk
) -> None:
    owner = Owner(DiskPlace(tmp_path, disk))
    disk.fault = fail("write wal", lambda: SystemExit("killed"))
    with pytest.raises(UnknownOutcome):
        owner.put("a", {"s": b"1"})
    with pytest.raises(StorageUnavailable):
        owner.put("b", {"s": b"1"})
    disk.fault = None
    owner.close()


def test_folding_that_fails_for_good_stops_commits(tmp_path: Path, disk: Disk) -> None:
    """Rather than the journal and the overlay growing without end."""
    owner = Owner(DiskPlace(tmp_path, disk, FOLDING))
    foreign = apsw.Connection(str(tmp_path / "partition-0000.db"))
    foreign.execute("ALTER TABLE cells RENAME TO elsewhere")
    written = 0

    def put_on_and_on() -> None:
        nonlocal written
        while written < 1_000:
            owner.put(f"a{written}", {"s": b"1"})
            written += 1

    with pytest.raises(StorageError, match="no such table"):
        put_on_and_on()
    foreign.execute("ALTER TABLE elsewhere RENAME TO cells")
    foreign.close()
    owner.put("last", {"s": b"1"})
    owner.close()
    assert set(reread(tmp_path)) == {"last", *(f"a{n}" for n in range(written))}


# --- every fault, everywhere ---------------------------------------------------------------------


class Scenario:
    """A few batches of cells and pages that must be there together, and what was said of each."""

    def __init__(self, place: DiskPlace) -> None:
        self.place = place
        self.acknowledged: list[int] = []
        self.refused: list[int] = []

    def run(self, batches: int = 4) -> None:
        owner = Owner(self.place)
        try:
            for number in range(batches):
                self.commit(owner, number)
        finally:
            owner.close()

    def commit(self, owner: Owner, number: int) -> None:
        value = b"%d" % number
        pages = pages_after(len(self.acknowledged) + 1)
        pair = [
            owner.record(name, {"s": value, f"k{number}": value}, pages=dict(pages))
            for name in ("a", "b")
        ]
        gone = owner.record("c", {"s": value}, wipe=True, pages=dict(pages))
        try:
            owner.commit(*pair, gone)
        except UnknownOutcome:
            pass
        except StorageError:
            self.refused.append(number)
        else:
            self.acknowledged.append(number)

    def check(self, found: Found) -> None:
        keys = {name: {k for k in cells if str(k)[0] == "k"} for name, cells in found.items()}
        numbers = {int(str(key)[1:]) for key in keys.get("a", ())}
        assert keys.get("a", set()) == keys.get("b", set())
        assert numbers >= set(self.acknowledged)
        assert not numbers & set(self.refused)
        pages = {n: page for n, page in pages_after(len(numbers)).items() if page is not None}
        last: dict[str | int, bytes] = {"s": b"%d" % max(numbers), **pages} if numbers else {}
        assert found.get("c", {}) == last
        assert {key: found.get("a", {}).get(key) for key in last} == last


def pages_after(batches: int) -> dict[int, bytes | None]:
    """What so many batches make of two pages: a few bytes each, and the second comes and goes.

    A batch after one that was refused makes the pages that the refused one would have made.
    """
    page = bytearray(4096)
    for number in range(1, batches + 1):
        at = number * 531 % 4000
        page[:2] = page[at : at + 2] = b"%02d" % number
    return {1: bytes(page), 2: bytes(page[::-1]) if batches % 5 else None}


class Nth:
    """A fault at the N-th operation, and perhaps at all that follow."""

    def __init__(self, number: int, error: type[apsw.Error], *, sticky: bool) -> None:
        self.number = number
        self.seen = 0
        self._error = error
        self._sticky = sticky

    def __call__(self, operation: str) -> None:
        self.seen += 1
        if self.seen == self.number or (self._sticky and self.seen > self.number):
            # SQLite reports a failed sync as an I/O error, whatever the reason.
            raise apsw.IOError("injected") if "sync" in operation else self._error("injected")


# Where SQLite asks nothing back (when it closes a file), apsw can only report a fault to the air.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "sticky", "limits"),
    [
        (apsw.FullError, False, FOLDING),
        (apsw.FullError, True, RANGES),
        (apsw.IOError, False, RANGES),
        (apsw.IOError, True, FOLDING),
    ],
    ids=["full-once", "full-for-good", "error-once", "error-for-good"],
)
@pytest.mark.timeout(60)
def test_each_operation_may_fail(
    tmp_path: Path, disk: Disk, error: type[apsw.Error], sticky: bool, limits: Limits
) -> None:
    """Fail the N-th open, write, sync or truncate, for N = 1, 2, ... until none is left to fail."""
    for number in itertools.count(1):
        directory = tmp_path / str(number)
        scenario = Scenario(DiskPlace(directory, disk, limits))
        disk.fault = nth = Nth(number, error, sticky=sticky)
        try:
            scenario.run()
        except StorageError:
            assert scenario.acknowledged == []  # it could not be opened
        disk.fault = None
        scenario.check(reread(directory))
        if nth.seen < number:
            assert len(scenario.acknowledged) == 4
            assert number > 30
            return


@pytest.mark.slow
@pytest.mark.parametrize("limits", [FOLDING, COPYING, RANGES], ids=["folding", "copying", "ranges"])
@pytest.mark.parametrize("seed", range(20))
def test_a_power_cut_takes_nothing_acknowledged(
    tmp_path: Path, disk: Disk, seed: int, limits: Limits
) -> None:
    """Unsynced sectors of log and file arrive or not, each for itself: a fold is safe in any."""
    chance = random.Random(seed)
    scenario = Scenario(DiskPlace(tmp_path / "data", disk, limits))
    owner = Owner(scenario.place)
    for number in range(chance.randrange(1, 40)):
        scenario.commit(owner, number)
    for cut in range(3):
        disk.power_cut(tmp_path / f"cut-{cut}", chance)
    owner.close()
    disk.power_cut(tmp_path / "closed", chance)
    for directory in ("cut-0", "cut-1", "cut-2", "closed", "data"):
        scenario.check(reread(tmp_path / directory))


def test_a_close_that_is_cancelled_still_closes(tmp_path: Path, disk: Disk) -> None:
    """What is in flight becomes durable, and the directory is free."""
    held = threading.Event()
    place = DiskPlace(tmp_path, disk)

    def hold(operation: str) -> None:
        if operation == "sync wal":
            held.wait()

    async def main() -> None:
        store = place.store()
        info = await store.open()
        disk.fault = hold
        record = CommitRecord("A", "a", 0, info.lanes[0].epoch, 1, False, {"s": b"1"})
        store.commit(0, [record], said.append)
        closing = asyncio.create_task(store.close())
        for _ in range(3):
            await asyncio.sleep(0)
            closing.cancel()
        held.set()
        with pytest.raises(asyncio.CancelledError):
            await closing

    said: list[StorageError | None] = []
    asyncio.run(main())
    disk.fault = None
    assert said == [None]
    with Owner(place) as owner:
        assert owner.load("a", type="A") == {"s": b"1"}


# --- bounds --------------------------------------------------------------------------------------


def test_what_is_not_folded_is_bounded_under_constant_load(tmp_path: Path, disk: Disk) -> None:
    """A loop that always has a batch ready leaves no idle time to fold in."""
    limits = Limits(fold_actors=100, slice_cells=16, wal_bytes=200_000)
    owner = Owner(DiskPlace(tmp_path, disk, limits))
    store = owner.store
    assert isinstance(store, SQLiteStore)
    numbers = iter(range(200))
    most = 0
    finished = asyncio.Event()

    def more(error: StorageError | None) -> None:
        nonlocal most
        assert error is None
        most = max(most, store.statistics().unfolded_actors)
        number = next(numbers, None)
        if number is None:
            finished.set()
        else:
            names = (f"{number}-{n}" for n in range(50))
            store.commit(0, [owner.record(name, {"s": b"1"}) for name in names], more)

    async def load() -> None:
        more(None)
        await finished.wait()

    owner.run(load)
    assert most <= 100 * limits.overload * 4
    owner.close()
    assert len(reread(tmp_path)) == 200 * 50


def test_a_fenced_owner_does_not_fold(tmp_path: Path, disk: Disk) -> None:
    """What it still shows is what it had, not a mixture with the new owner's."""
    place = DiskPlace(tmp_path, disk, FOLDING)
    old = Owner(place)
    for number in range(10):
        old.put(f"a{number}", {"s": b"old"})
    place.steal()
    with Owner(place) as new:
        for number in range(10):
            new.put(f"a{number}", {"s": b"new"})
        with pytest.raises(Fenced):
            old.put("a0", {"s": b"late"})
        old.close()
        assert {name: new.load(name)["s"] for name in new.names()} == {
            f"a{n}": b"new" for n in range(10)
        }
    assert {cells["s"] for cells in reread(tmp_path).values()} == {b"new"}
