"""Bits that flip in the files of a directory: never wrong data, and no loss without a word."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from wakeful.errors import StorageCorrupt, StorageError
from wakeful.ids import ActorId
from wakeful.ports import AGENDA_KEY, CommitRecord, due_cell
from wakeful.store.check import Check
from wakeful.store.limits import Limits
from wakeful.store.stopped import StoppedStore

FLIPS = 250  # in each of two directories
BATCHES = 60
FILE = "partition-0000.db"
TYPE = "Account"
EVER_NS = 2**62
# Much is folded and copied into the file, and the log begins anew a few times.
LIMITS = Limits(fold_bytes=30_000, slice_cells=16, wal_bytes=150_000)
Held = dict[str, dict[str | int, bytes]]  # cells and pages by actor


class History:
    """What each batch has made of all actors: `after[seq]`, from 0 on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.after: list[Held] = [{}]


def fill(store: StoppedStore, epoch: int, history: History) -> None:
    """Cells, alarms and pages that grow, change and go."""
    chance = random.Random(5)
    for number in range(BATCHES):
        held = {name: dict(kept) for name, kept in history.after[-1].items()}
        records = []
        for _ in range(5):
            name = f"a{chance.randrange(40):02}"
            page = chance.randbytes(64) + bytes(4032)
            puts: dict[str, bytes | None] = {
                "s": b"%d" % number * chance.randrange(1, 60),
                f"k{chance.randrange(4)}": chance.choice([None, chance.randbytes(40)]),
                AGENDA_KEY: due_cell(chance.randrange(EVER_NS), b"rest"),
            }
            pages: dict[int, bytes | None] = {chance.randrange(1, 4): page}
            if any(record.name == name for record in records):
                continue
            records.append(CommitRecord(TYPE, name, 0, epoch, number, False, puts, pages))
            kept = held.setdefault(name, {})
            for key, value in (*puts.items(), *pages.items()):
                if value is None:
                    kept.pop(key, None)
                else:
                    kept[key] = value
        store.commit(records)
        history.after.append(held)


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """A place in memory, if there is one: what is synced here is of no interest."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as path:
        yield Path(path)


@pytest.fixture(scope="module")
def histories(base: Path) -> dict[str, History]:
    """A directory that was closed, and one as a killed owner leaves it."""
    closed, killed = History(base / "closed"), History(base / "killed")
    store = StoppedStore(base / "data", limits=LIMITS)
    fill(store, store.open().lanes[0].epoch, killed)
    shutil.copytree(base / "data", killed.directory)
    store.close()
    closed.after = killed.after
    shutil.copytree(base / "data", closed.directory)
    return {"closed": closed, "killed": killed}


def look(directory: Path, history: History, *, told: bool = False) -> str:
    """Compare all that can be read with what it should be; what became of the damage.

    Args:
        told: what is lost has been reported before.
    """
    store = StoppedStore(directory)
    try:
        store.open()
    except StorageError:
        return "refused"
    outcome = "right"
    try:
        partition = store._partition
        expected = history.after[partition.seq]
        lost = len(history.after) - 1 - partition.seq
        reads = [
            lambda: [actor.name for actor in store.actors(TYPE, limit=100).actors],
            lambda: sorted(alarm.actor.name for alarm in partition.alarms(EVER_NS, 100, None)),
        ]
        for read in reads:
            try:
                assert read() == sorted(expected)
            except StorageCorrupt:
                outcome = "corrupt"
        for name, kept in expected.items():
            actor = ActorId(TYPE, name)
            try:
                found: dict[str | int, bytes] = dict(store.load(actor))
                pages = {number: store.page(actor, number) for number in range(1, 4)}
            except StorageCorrupt:
                outcome = "corrupt"
                continue
            assert {**found, **{n: page for n, page in pages.items() if page is not None}} == kept
        if lost and not told:
            assert partition.loss is not None
            assert partition.loss.batches == lost
        return "lost" if lost else outcome
    finally:
        store.close()


def checked(directory: Path) -> bool:
    """Whether a check finds any damage."""
    try:
        with closing(Check(str(directory / FILE), running=False, progress=quiet)) as check:
            check.pages(), check.journal(), check.tables(), check.end()
            for actor in check.actors():
                try:
                    check.cells(actor)
                except StorageCorrupt:
                    return True
            return check.found > 0
    except StorageError:
        return True


def quiet(what: str, done: int, total: int | None) -> None:
    pass


def test_a_check_of_sound_directories_finds_nothing(histories: dict[str, History]) -> None:
    assert not checked(histories["closed"].directory)
    assert not checked(histories["killed"].directory)


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["closed", "killed"])
def test_flipped_bits_are_never_wrong_data(
    histories: dict[str, History], base: Path, kind: str
) -> None:
    """In the file and in the log, while they are read and after what was read has been folded."""
    history = histories[kind]
    chance = random.Random(kind)
    files = [
        path.relative_to(history.directory)
        for path in sorted(history.directory.iterdir())
        if path.stat().st_size and path.name != "lock" and not path.name.endswith("-shm")
    ]
    outcomes: Counter[str] = Counter()
    for number in range(FLIPS):
        directory = base / f"{kind}-{number}"
        shutil.copytree(history.directory, directory)
        flip(directory / files[number % len(files)], chance)
        found = checked(directory) if number % 10 == 0 else None
        outcome = look(directory, history)
        assert found is not False or outcome == "right"
        look(directory, history, told=outcome == "lost")
        outcomes[outcome] += 1
        shutil.rmtree(directory)
    assert outcomes["corrupt"] > FLIPS // 10
    assert outcomes["right"]
    assert outcomes["refused"] < FLIPS // 10
    assert bool(outcomes["lost"]) == (kind == "killed")


def flip(file: Path, chance: random.Random) -> None:
    with file.open("r+b") as opened:
        bit = chance.randrange(file.stat().st_size * 8)
        opened.seek(bit // 8)
        (byte,) = opened.read(1)
        opened.seek(bit // 8)
        opened.write(bytes([byte ^ 1 << bit % 8]))
