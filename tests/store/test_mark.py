"""A journal that has lost its end: noticed at start, said, and refused if that was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import structlog

from wakeful.errors import StorageCorrupt
from wakeful.ids import ActorId
from wakeful.ports import CommitRecord
from wakeful.store import mark
from wakeful.store.limits import Limits
from wakeful.store.mark import BadMark, Mark, Reached
from wakeful.store.partition import Partition
from wakeful.store.sqlite import SQLiteStore
from wakeful.store.stopped import StoppedStore
from wakeful.testing.store_suite import Owner

FILE = "partition-0000.db"
LOG = f"{FILE}-wal"
ID = "0123456789abcdef" * 2


class Place:
    """A data directory."""

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        self.path = path
        self.strict = strict

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.path, strict_recovery=self.strict)

    def steal(self) -> None:
        (self.path / "lock").unlink()


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A directory as a killed owner leaves it: ten batches, all in the log only."""
    store = StoppedStore(tmp_path / "data")
    epoch = store.open().lanes[0].epoch
    for number in range(10):
        record = CommitRecord("A", "a", 0, epoch, number, False, {"s": b"%d" % number})
        store.commit([record])
    shutil.copytree(tmp_path / "data", tmp_path / "killed")
    store.close()
    return tmp_path / "killed"


def cut_log(data: Path, share: float) -> None:
    """Damage the log at a point of it."""
    content = bytearray((data / LOG).read_bytes())
    content[int(len(content) * share)] ^= 1
    (data / LOG).write_bytes(content)


def files(data: Path) -> dict[str, bytes]:
    names = [FILE, LOG, "partition-0000.mark"]
    return {name: (data / name).read_bytes() for name in names}


# --- a directory ---------------------------------------------------------------------------------


def test_an_end_that_is_lost_is_told_once(killed: Path) -> None:
    """How many batches, from when to when; the damaged log is kept."""
    cut_log(killed, 0.5)
    damaged = (killed / LOG).read_bytes()
    with structlog.testing.capture_logs() as logs, Owner(Place(killed)) as owner:
        last = int(owner.load("a", type="A")["s"])
    lost = 9 - last
    assert 1 < lost < 9
    (entry,) = logs
    assert entry["log_level"] == "error"
    assert entry["batches"] == lost
    assert entry["event"].startswith(f"the last {lost} batches are missing, written after 20")
    assert Path(entry["damaged_log"]).read_bytes() == damaged
    with structlog.testing.capture_logs() as logs, Owner(Place(killed)) as owner:
        assert owner.load("a", type="A") == {"s": b"%d" % last}
    assert logs == []


def test_a_log_that_is_gone_is_told(killed: Path) -> None:
    """What was in the file only is there: nothing, and all ten batches are named."""
    (killed / LOG).unlink()
    with pytest.raises(StorageCorrupt, match="the last 10 batches are missing"):
        Owner(Place(killed, strict=True))


def test_a_file_that_is_gone_is_told(killed: Path) -> None:
    (killed / LOG).unlink()
    (killed / FILE).unlink()
    for _ in range(2):
        with pytest.raises(StorageCorrupt, match=r"the last 10 batches .* is gone, or was emptied"):
            Owner(Place(killed, strict=True))
    with Owner(Place(killed)) as owner:
        owner.put("a", {"s": b"1"})
    Owner(Place(killed, strict=True)).close()


def test_strict_recovery_refuses_and_changes_nothing(killed: Path) -> None:
    """So that a log can still be repaired, or looked into; without it the loss is accepted."""
    cut_log(killed, 0.9)
    before = files(killed)
    for _ in range(2):
        with pytest.raises(StorageCorrupt, match=r"the last .* missing, .* strict recovery"):
            Owner(Place(killed, strict=True))
        assert files(killed) == before
    Owner(Place(killed)).close()
    Owner(Place(killed, strict=True)).close()


def test_an_older_copy_of_the_file_is_told(killed: Path, tmp_path: Path) -> None:
    with Owner(Place(killed)) as owner:
        assert owner.load("a", type="A") == {"s": b"9"}
    shutil.copy(killed / FILE, tmp_path / "old.db")
    with Owner(Place(killed)) as owner:
        owner.put("a", {"s": b"10"}, type="A")
    shutil.copy(tmp_path / "old.db", killed / FILE)
    with pytest.raises(StorageCorrupt, match="an older copy of the file has taken its place"):
        Owner(Place(killed, strict=True))


def test_without_its_mark_nothing_is_said_of_a_file(killed: Path) -> None:
    """A copy in an empty directory is a data directory."""
    cut_log(killed, 0.5)
    (killed / "partition-0000.mark").unlink()
    with structlog.testing.capture_logs() as logs, Owner(Place(killed, strict=True)):
        pass
    assert logs == []


def test_the_mark_of_another_file_says_nothing(killed: Path, tmp_path: Path) -> None:
    with Owner(Place(tmp_path / "other")) as owner:
        owner.put("a", {"s": b"1"})
    shutil.copy(tmp_path / "other" / FILE, killed / FILE)
    (killed / LOG).unlink()
    with Owner(Place(killed, strict=True)) as owner:
        assert owner.load("a") == {"s": b"1"}


def test_a_damaged_mark_is_told_and_refused_by_strict_recovery(killed: Path) -> None:
    (killed / "partition-0000.mark").write_bytes(b"x" * mark.SIZE_BYTES)
    with pytest.raises(StorageCorrupt, match="cannot be known"):
        Owner(Place(killed, strict=True))
    with structlog.testing.capture_logs() as logs, Owner(Place(killed)) as owner:
        assert owner.load("a", type="A") == {"s": b"9"}
    assert [entry["log_level"] for entry in logs] == ["error"]


def test_a_server_notes_each_64th_batch_and_the_last(tmp_path: Path) -> None:
    """Whether or not it had time to note others."""
    file = str(tmp_path / FILE)
    with Owner(Place(tmp_path)) as owner:
        for number in range(70):
            owner.put("a", {"s": b"%d" % number})
        reached = mark.read(file)
        assert reached is not None
        assert 64 <= reached.seq <= 70
    reached = mark.read(file)
    assert reached is not None
    assert (reached.epoch, reached.seq) == (1, 70)
    assert reached.time_ns > 1_700_000_000 * 10**9


def test_after_a_clean_stop_no_row_is_replayed(tmp_path: Path) -> None:
    """The last one stays for its number: that it is damaged hurts nobody."""
    with Owner(Place(tmp_path)) as owner:
        owner.put("a", {"s": b"1"})
    partition = Partition(str(tmp_path / FILE), 16, Limits(), None)
    assert partition.seq == 1
    assert partition.overlay.active.changes == {}
    assert partition.load(ActorId("Counter", "a")) == {"s": b"1"}
    partition.stop_reading()
    partition.writer.close(clean=True)


# --- the mark ------------------------------------------------------------------------------------


def test_what_is_noted_is_read(tmp_path: Path) -> None:
    file = str(tmp_path / "x.db")
    assert mark.read(file) is None
    noted = Mark(file, ID, 7)
    assert mark.read(file) is None  # it is made, and empty
    for seq in (1, 2, 2, 300):
        noted.note(seq, seq * 10)
        assert mark.read(file) == Reached(ID, 7, seq, seq * 10)
    noted.sync()
    noted.close()
    noted.close()


@pytest.mark.parametrize("at", range(mark.SIZE_BYTES))
def test_any_damage_to_a_mark_is_noticed(tmp_path: Path, at: int) -> None:
    content = bytearray(Reached(ID, 1, 2, 3).pack())
    content[at] ^= 1
    (tmp_path / "x.mark").write_bytes(content)
    with pytest.raises(BadMark):
        mark.read(str(tmp_path / "x.db"))


def test_a_mark_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "x.mark").mkdir()
    with pytest.raises(BadMark, match="cannot be read"):
        mark.read(str(tmp_path / "x.db"))
    noted = Mark(str(tmp_path / "x.db"), ID, 1)
    noted.note(1, 1)
    noted.sync()
    noted.close()
