"""What rows carry of pages: ranges that make the new page of the old one, wherever it is kept."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wakeful.ports import CommitRecord
from wakeful.store import journal
from wakeful.store.images import PAGE_BYTES, PIECE_BYTES, Images, changed, make_whole, patched
from wakeful.store.journal import Logged
from wakeful.store.limits import Limits
from wakeful.store.sqlite import SQLiteStore
from wakeful.testing.store_suite import Owner

BLANK = bytes(PAGE_BYTES)
edits = st.lists(st.tuples(st.integers(0, PAGE_BYTES - 1), st.binary(max_size=300)), max_size=8)


def edited(page: bytes, *changes: tuple[int, bytes]) -> bytes:
    new = bytearray(page)
    for at, data in changes:
        new[at : at + len(data)] = data
    return bytes(new[:PAGE_BYTES])


def record(pages: dict[int, bytes | None], *, wipe: bool = False) -> CommitRecord:
    return CommitRecord("A", "a", 0, 1, 1, wipe, {}, pages)


class Place:
    """A data directory whose rows stay in the journal, or are folded all the time."""

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self.directory, self.limits = directory, limits

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.directory, limits=self.limits)

    def steal(self) -> None:
        (self.directory / "lock").unlink()


# --- ranges --------------------------------------------------------------------------------------


@given(edits)
def test_ranges_make_the_new_page_of_the_old_one(changes: list[tuple[int, bytes]]) -> None:
    old = bytes(range(256)) * (PAGE_BYTES // 256)
    new = edited(old, *changes)
    ranges = changed(old, new)
    if ranges is not None:
        assert patched(old, ranges) == new
        assert sum(map(len, ranges.values())) <= PAGE_BYTES // 2


def test_neighbouring_pieces_are_one_range() -> None:
    new = edited(BLANK, (100, b"x" * 100), (1_000, b"x"))
    assert changed(BLANK, new) == {0: new[:256], 896: new[896:1024]}
    assert changed(BLANK, edited(BLANK, (0, b"x"))) == {0: b"x" + bytes(PIECE_BYTES - 1)}


def test_the_same_page_has_no_ranges() -> None:
    assert changed(BLANK, bytes(PAGE_BYTES)) == {}


def test_a_page_of_which_much_has_changed_is_logged_whole() -> None:
    assert changed(BLANK, edited(BLANK, (0, b"x" * 2_048))) is not None
    assert changed(BLANK, edited(BLANK, (0, b"x" * 2_049))) is None


def test_pages_of_other_sizes_are_logged_whole() -> None:
    assert changed(b"1", b"2") is None
    assert changed(BLANK, BLANK + b"1") is None


# --- rows ----------------------------------------------------------------------------------------


def logged(images: Images, batch: CommitRecord) -> Logged:
    row = journal.encode(1, [images.logged(batch)])
    images.keep([batch])
    return journal.decode(1, bytes(row))[0]


def test_a_page_is_logged_whole_once_and_then_by_its_ranges() -> None:
    images = Images()
    pages = [edited(BLANK, (0, b"%d" % n)) for n in range(4)]
    rows = [logged(images, record({1: page})) for page in pages]
    assert [set(row.pages) for row in rows] == [{1}, set(), set(), set()]
    assert [row.ranges for row in rows[1:]] == [{1: {0: page[:128]}} for page in pages[1:]]
    stored: dict[int, bytes | None] = {}
    for row, page in zip(rows, pages, strict=True):
        make_whole(row, lambda key, number: stored[number])
        stored.update(row.pages)
        assert stored == {1: page}


def test_a_page_is_logged_whole_again_once_it_is_folded() -> None:
    images = Images()
    logged(images, record({1: BLANK, 2: BLANK}))
    images.freeze()
    assert logged(images, record({1: BLANK})).pages == {}
    images.folded()
    assert set(logged(images, record({1: BLANK, 2: BLANK})).pages) == {2}


def test_a_page_that_was_removed_is_logged_whole() -> None:
    images = Images()
    logged(images, record({1: BLANK}))
    images.freeze()
    assert logged(images, record({1: None})).pages == {1: None}
    assert set(logged(images, record({1: BLANK})).pages) == {1}


def test_a_wipe_and_what_follows_it_is_logged_whole() -> None:
    """Half folded, the pages it has removed are not there for a replay to change."""
    images = Images()
    logged(images, record({1: BLANK, 2: BLANK, 3: BLANK}))
    images.freeze()
    logged(images, record({1: BLANK}))
    assert set(logged(images, record({2: BLANK}, wipe=True)).pages) == {2}
    assert set(logged(images, record({1: BLANK, 2: BLANK, 3: BLANK})).pages) == {1, 3}


def test_a_batch_that_was_not_written_is_nothing_to_refer_to(tmp_path: Path) -> None:
    images = Images()
    logged(images, record({1: BLANK}))
    images.logged(record({1: edited(BLANK, (0, b"lost"))}))
    row = logged(images, record({1: edited(BLANK, (9, b"kept"))}))
    assert row.ranges == {1: {0: edited(BLANK, (9, b"kept"))[:128]}}


def test_a_row_inserted_costs_some_hundred_bytes_of_journal(tmp_path: Path) -> None:
    """And is there after a crash, wherever the page was folded to."""
    place = Place(tmp_path)
    with Owner(place) as owner:
        owner.put_pages("a", {1: BLANK})
        before = owner.store.statistics().unfolded_bytes
        for number in range(10):
            owner.put_pages("a", {1: edited(BLANK, (number * 40, b"a row"))})
        grown = owner.store.statistics().unfolded_bytes - before
        assert 1_000 < grown < 4_000
        place.steal()
        with Owner(Place(tmp_path, Limits(fold_bytes=1))) as second:
            assert second.pages("a") == {1: edited(BLANK, (360, b"a row"))}


def test_many_pages_are_folded_however_little_the_journal_has(tmp_path: Path) -> None:
    with Owner(Place(tmp_path, Limits(fold_pages=8))) as owner:
        for number in range(1, 40):
            owner.put_pages("a", {number % 12 + 1: edited(BLANK, (number, b"x"))})
            owner.commit(owner.record("b", {}, pages={1: BLANK}, wipe=True))
        assert owner.store.statistics().unfolded_pages <= 2 * 8 + 2
