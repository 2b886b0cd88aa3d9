"""The layers of pages, and the VFS over them."""

from __future__ import annotations

import apsw
import pytest
from tests.sql.rig import Rig

from wakeful.errors import LimitExceeded, StorageError
from wakeful.sql.pages import PAGE_BYTES, Pages
from wakeful.sql.vfs import PageDisk, PageFile


def header(count: int) -> bytes:
    return bytes(28) + count.to_bytes(4, "big") + bytes(PAGE_BYTES - 32)


def make(stored: dict[int, bytes], dirty_max: int = 10) -> Pages:
    return Pages(stored.get, dirty_max)


def test_the_turn_wins_over_the_record_over_the_store() -> None:
    pages = make({1: header(4), 2: b"stored", 3: b"stored", 4: b"stored"})
    pages.write(2, b"sent")
    pages.write(3, b"sent")
    assert pages.save()
    pages.take()
    pages.write(2, b"saved")
    pages.save()
    pages.write(2, b"dirty")
    assert [pages.read(number) for number in (2, 3, 4, 5)] == [b"dirty", b"sent", b"stored", None]
    pages.discard()
    assert pages.read(2) == b"saved"
    assert pages.take() == {2: b"saved"}


def test_what_was_sent_is_kept_until_it_is_settled() -> None:
    pages = make({})
    pages.write(1, b"1")
    pages.save()
    pages.take()
    assert (pages.kept, pages.read(1)) == (True, b"1")
    pages.settled()
    assert (pages.kept, pages.read(1)) == (False, None)


def test_a_file_that_was_cut_and_grew_again_does_not_show_its_old_end() -> None:
    pages = make({1: header(3), 2: b"old", 3: b"old"})
    pages.truncate(1)
    pages.write(3, b"new")
    assert [pages.read(number) for number in (2, 3)] == [None, b"new"]
    pages.save()
    assert pages.take() == {2: None, 3: b"new"}


def test_discarding_gives_the_size_back() -> None:
    pages = make({1: header(2)})
    pages.write(7, b"new")
    pages.truncate(1)
    pages.discard()
    assert (pages.count, pages.changed) == (2, False)


def test_a_turn_has_a_limit() -> None:
    pages = make({}, dirty_max=1)
    pages.write(1, b"1")
    pages.write(1, b"2")
    with pytest.raises(LimitExceeded, match="sql_turn_bytes"):
        pages.write(2, b"1")


def test_a_file_reads_parts_of_pages_and_nothing_beyond() -> None:
    file = PageFile(make({1: header(2), 2: bytes(range(256)) * 16}))
    assert file.xFileSize() == 2 * PAGE_BYTES
    assert file.xRead(4, 28) == b"\0\0\0\2"
    assert file.xRead(3, PAGE_BYTES + 5) == b"\5\6\7"
    assert file.xRead(PAGE_BYTES, 2 * PAGE_BYTES) == b""


def test_a_disk_opens_nothing_it_was_not_given() -> None:
    disk = PageDisk()
    for name in ("/7", "/etc/passwd"):
        with pytest.raises(apsw.CantOpenError):
            apsw.Connection(name, vfs=disk.name)
    disk.unregister()


def test_two_runtimes_have_two_disks() -> None:
    one, two = Rig(), Rig()
    one.sql.exec("CREATE TABLE t(a)")
    assert two.sql.exec("SELECT * FROM sqlite_schema").all() == []
    one.databases.close()
    assert two.sql.exec("SELECT 1 a").one() == {"a": 1}


def test_an_insert_changes_few_pages() -> None:
    rig = Rig()
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    rig.commit()
    rig.sql.exec("INSERT INTO t(v) VALUES (1)")
    rig.commit()
    assert set(rig.batches[-1]) == {2}


def test_reading_saves_nothing() -> None:
    rig = Rig()
    rig.sql.exec("CREATE TABLE t(a)")
    rig.commit()
    rig.sql.exec("SELECT * FROM t").all()
    assert rig.save() is False


def test_pages_are_read_only_when_needed() -> None:
    rig = Rig(cache_bytes=64 * 1024)
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    rig.sql.exec(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000)"
        " INSERT INTO t SELECT x, randomblob(1000) FROM c"
    )
    rig.commit()
    assert len(rig.stored) > 700
    rig.wake()
    rig.reads = 0
    assert rig.sql.exec("SELECT length(v) n FROM t WHERE id = 1500").one() == {"n": 1000}
    assert rig.reads < 10


def test_a_page_that_cannot_be_read_fails_the_statement() -> None:
    rig = Rig(cache_bytes=64 * 1024)
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE small(a)")
    rig.sql.exec("INSERT INTO t VALUES (1, zeroblob(200000))")
    rig.commit()
    rig.wake()
    rig.sql.exec("INSERT INTO small VALUES (1)")
    kept, broken = rig.stored.copy(), StorageError("the disk is gone")

    class Broken(dict[int, bytes]):
        def get(self, *_: object) -> bytes:  # type: ignore[override]
            raise broken

    rig.stored = Broken()
    with pytest.raises(StorageError, match="the disk is gone"):
        rig.sql.exec("SELECT hex(v) FROM t").all()
    rig.stored = kept
    with pytest.raises(StorageError, match="the disk is gone"):
        rig.save()
    rig.database.undo()
    assert rig.sql.exec("SELECT count(*) n FROM small").one() == {"n": 0}
    assert rig.sql.exec("SELECT length(v) n FROM t").one() == {"n": 200_000}
