"""What every store promises, as tests: subclass StoreSuite; see also `store_machine`.

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def place(self, tmp_path):
            return MyPlace(tmp_path)

Source:  a shipped conformance suite as in Orleans.Persistence.TestKit.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Final

import pytest

from wakeful.errors import Fenced, OwnershipLost, StorageClosed, StorageError
from wakeful.ids import ActorId
from wakeful.ports import AGENDA_KEY, due_cell
from wakeful.testing.store_owner import Owner as Owner
from wakeful.testing.store_owner import Place as Place
from wakeful.testing.store_owner import Suite
from wakeful.testing.store_pages import PageCases

# Texts that a store might order, cut or compare wrongly: NUL, the quote of JSON and of SQL, what
# looks like a number, the last code point of the first plane and the first of the next (UTF-16
# orders those two the other way round).
ODD_NAMES: Final = ("\0", "a", "a\0", "a\0b", "a'b", 'a"\\', "1e5", "é", "\uffff", "\U00010000")


class CellCases(Suite):
    """Commit and load."""

    def test_unknown_actor_has_no_cells(self, owner: Owner) -> None:
        """An actor always exists, without cells."""
        assert owner.load("a") == {}

    def test_committed_cells_are_loaded(self, owner: Owner) -> None:
        """What done(None) was said of is what is read."""
        owner.put("a", {"s": b"1", "k": b""})
        assert owner.load("a") == {"s": b"1", "k": b""}

    def test_loaded_cells_are_the_callers(self, owner: Owner) -> None:
        """Changing what was loaded changes nothing that is stored."""
        owner.put("a", {"s": b"1"})
        owner.load("a")["s"] = b"2"
        assert owner.load("a") == {"s": b"1"}

    @pytest.mark.parametrize("wipe", [False, True])
    def test_records_are_the_callers_after_done(self, owner: Owner, wipe: bool) -> None:
        """Changing a record after done changes nothing that is stored."""
        record = owner.record("a", {"s": b"1"}, wipe=wipe)
        owner.commit(record)
        record.puts["s"] = b"2"
        assert owner.load("a") == {"s": b"1"}

    def test_actors_of_two_types_are_two(self, owner: Owner) -> None:
        """A name belongs to its type."""
        owner.put("a", {"s": b"1"}, type="A")
        owner.put("a", {"s": b"2"}, type="B")
        assert owner.load("a", type="A") == {"s": b"1"}

    def test_puts_add_replace_and_delete(self, owner: Owner) -> None:
        """A put touches its key only; None deletes."""
        owner.put("a", {"x": b"1", "y": b"1", "z": b"1"})
        owner.put("a", {"y": b"2", "z": None, "none": None})
        assert owner.load("a") == {"x": b"1", "y": b"2"}

    def test_wipe_comes_before_the_puts_of_its_record(self, owner: Owner) -> None:
        """A wiped actor keeps only what the same record puts."""
        owner.put("a", {"x": b"1", "y": b"1"})
        owner.commit(owner.record("a", {"y": b"2"}, wipe=True))
        assert owner.load("a") == {"y": b"2"}

    def test_records_of_a_batch_apply_in_order(self, owner: Owner) -> None:
        """Several records of one actor may be in a batch."""
        owner.commit(
            owner.record("a", {"x": b"1", "y": b"1"}),
            owner.record("a", {"z": b"2"}, wipe=True),
            owner.record("a", {"x": b"3", "z": None}),
        )
        assert owner.load("a") == {"x": b"3"}

    @pytest.mark.parametrize("text", ["", *ODD_NAMES])
    def test_any_text_is_a_key(self, owner: Owner, text: str) -> None:
        """Keys are any text."""
        owner.put("a", {text: b"1", "k" + text: b"2"})
        assert owner.load("a") == {text: b"1", "k" + text: b"2"}

    @pytest.mark.parametrize("size_bytes", [0, 1, 4096, 70_000, 2_000_000])
    def test_a_value_of_any_size_survives(self, place: Place, size_bytes: int) -> None:
        """A value comes back as it was, also after a reopen."""
        value = bytes(range(256)) * (size_bytes // 256 + 1)
        with Owner(place) as owner:
            owner.put("a", {"s": value[:size_bytes]})
            assert owner.load("a") == {"s": value[:size_bytes]}
        with Owner(place) as owner:
            assert owner.load("a") == {"s": value[:size_bytes]}

    def test_done_is_called_later_in_the_loop(self, owner: Owner) -> None:
        """Never inside commit: the caller may hold its state half changed."""

        async def commit() -> bool:
            future = owner.committed([owner.record("a", {"s": b"1"})])
            early = future.done()
            await future
            return early

        assert owner.run(commit) is False

    def test_cells_are_loaded_once_done_says_so(self, owner: Owner) -> None:
        """Inside `done` a load sees the batch."""
        seen: list[object] = []

        async def commit() -> None:
            finished = asyncio.Event()

            def done(error: StorageError | None) -> None:
                seen.append(owner.store.load(ActorId("Counter", "a")))
                finished.set()

            owner.store.commit(owner.lane("a").number, [owner.record("a", {"s": b"1"})], done)
            await finished.wait()
            if inspect.isawaitable(seen[0]):
                seen[0] = await seen[0]

        owner.run(commit)
        assert seen == [{"s": b"1"}]


class ListingCases(Suite):
    """List and types."""

    def test_names_are_listed_in_the_order_of_their_utf8(self, owner: Owner) -> None:
        """Across pages of any size."""
        for name in ODD_NAMES:
            owner.put(name, {"s": b"1"})
        expected = sorted(ODD_NAMES, key=str.encode)
        assert owner.names() == expected
        assert owner.names(limit=1) == expected
        assert owner.names(limit=len(expected)) == expected

    def test_a_prefix_selects_names(self, owner: Owner) -> None:
        """A prefix is compared as text, not as a pattern."""
        for name in ("a", "a%", "a%b", "ab", "b", "%"):
            owner.put(name, {"s": b"1"})
        assert owner.names(prefix="a%") == ["a%", "a%b"]
        assert owner.names(prefix="a", limit=2) == ["a", "a%", "a%b", "ab"]
        assert owner.names(prefix="c") == []

    def test_only_actors_with_cells_are_listed(self, owner: Owner) -> None:
        """Deleting the last cell, or wiping, ends an actor's listing and its type's."""
        owner.put("deleted", {"s": b"1"}, type="A")
        owner.put("wiped", {"s": b"1"}, type="A")
        owner.put("kept", {"s": b"1"}, type="B")
        owner.put("never", {"s": None}, type="C")
        owner.put("deleted", {"s": None}, type="A")
        owner.commit(owner.record("wiped", {}, type="A", wipe=True))
        assert owner.names("A") == []
        assert owner.names("C") == []
        assert owner.types() == ["B"]

    def test_a_cursor_survives_the_end_of_its_actor(self, owner: Owner) -> None:
        """A listing goes on where it was, whatever has gone meanwhile."""
        for name in "abc":
            owner.put(name, {"s": b"1"})
        page = owner.run(lambda: owner.store.actors("Counter", limit=2))
        owner.put("b", {"s": None})
        rest = owner.run(lambda: owner.store.actors("Counter", cursor=page.cursor, limit=2))
        assert [actor.name for actor in rest.actors] == ["c"]


class AlarmCases(Suite):
    """Who is due."""

    def test_alarms_come_in_order_of_time(self, owner: Owner) -> None:
        """Earliest first, up to a time and a number."""
        for name, due_ns in (("a", 30), ("b", 10), ("c", 20), ("d", 2**62)):
            owner.put(name, {AGENDA_KEY: due_cell(due_ns), "s": b"1"})
        assert owner.due(30) == [(10, "b"), (20, "c"), (30, "a")]
        assert owner.due(29) == [(10, "b"), (20, "c")]
        assert owner.due(30, limit=1) == [(10, "b")]
        assert owner.due(2**62, limit=9)[-1] == (2**62, "d")

    def test_many_alarms_of_one_time_are_all_found(self, owner: Owner) -> None:
        """However many share a nanosecond, also after a reopen."""
        names = {f"n{number}" for number in range(600)}
        owner.commit(*(owner.record(name, {AGENDA_KEY: due_cell(7)}) for name in names))
        assert {name for _, name in owner.due(7, limit=1000)} == names

    def test_alarms_of_other_types_are_passed_over(self, place: Place) -> None:
        """Before and after a reopen; all are found if no types are named."""
        with Owner(place) as owner:
            for type_, due_ns in (("A", 2), ("B", 1), ("C", 3)):
                owner.commit(owner.record(type_, {AGENDA_KEY: due_cell(due_ns)}, type=type_))
            assert owner.due(9, types=("A", "C")) == [(2, "A"), (3, "C")]
        with Owner(place) as owner:
            assert owner.due(9, types=("A", "C")) == [(2, "A"), (3, "C")]
            assert owner.due(9, types=("D",)) == owner.due(9, types=()) == []
            assert owner.due(9) == [(1, "B"), (2, "A"), (3, "C")]

    def test_a_moved_or_deleted_alarm_is_not_due(self, place: Place) -> None:
        """Also when it was stored before the last opening."""
        with Owner(place) as owner:
            for name in "abc":
                owner.put(name, {AGENDA_KEY: due_cell(5), "s": b"1"})
        with Owner(place) as owner:
            assert owner.due(5) == [(5, "a"), (5, "b"), (5, "c")]
            owner.put("a", {AGENDA_KEY: None})
            owner.put("b", {AGENDA_KEY: due_cell(9)})
            owner.commit(owner.record("c", {}, wipe=True))
            assert owner.due(5) == []
            assert owner.due(9) == [(9, "b")]
        with Owner(place) as owner:
            assert owner.due(9) == [(9, "b")]


class LifeCases(Suite):
    """Open and close."""

    def test_what_is_committed_survives_a_reopen(self, place: Place) -> None:
        """Cells outlive their store; a later owner has a greater epoch and the same shards."""
        with Owner(place) as first:
            first.put("a", {"s": b"1", "gone": b"1"})
            first.put("a", {"gone": None})
        with Owner(place) as second:
            assert second.load("a") == {"s": b"1"}
            for before, after in zip(first.info.lanes, second.info.lanes, strict=True):
                assert after.epoch > before.epoch
            assert second.info.shards == first.info.shards

    def test_what_is_committed_survives_a_reopen_by_its_owner(self, place: Place) -> None:
        """As after a failed disk: epochs are newer, records of the old ones are refused."""
        with Owner(place) as owner:
            owner.put("a", {"s": b"1", "gone": b"1"})
            owner.put("a", {"gone": None})
            owner.put_pages("a", {1: b"1" * 4096})
            stale, before = owner.record("a", {"s": b"2"}), owner.info
            owner.reopen()
            assert owner.store.failed is None
            for lane, after in zip(before.lanes, owner.info.lanes, strict=True):
                assert after.epoch > lane.epoch
                assert (after.number, after.first, after.last) == (
                    *(lane.number, lane.first, lane.last),
                )
            with pytest.raises(Fenced):
                owner.commit(stale)
            assert owner.load("a") == {"s": b"1"}
            assert owner.pages("a") == {1: b"1" * 4096}
            owner.put("b", {"s": b"3"})
        with Owner(place) as later:
            assert later.load("a") == {"s": b"1"}
            assert later.load("b") == {"s": b"3"}

    def test_close_finishes_what_is_in_flight(self, place: Place) -> None:
        """A commit begun before close is answered, and kept if the answer is None."""
        with Owner(place) as first:

            async def commit_and_close() -> StorageError | None:
                future = first.committed([first.record("a", {"s": b"1"})])
                await first.store.close()
                return await future

            error = first.run(commit_and_close)
        with Owner(place) as second:
            assert second.load("a") == ({"s": b"1"} if error is None else {})

    def test_close_twice_is_harmless(self, owner: Owner) -> None:
        """Close is idempotent."""
        owner.run(owner.store.close)
        owner.run(owner.store.close)

    def test_a_closed_store_refuses(self, owner: Owner) -> None:
        """After close a commit and a read get StorageClosed."""
        record = owner.record("a", {"s": b"1"})
        owner.run(owner.store.close)
        with pytest.raises(StorageClosed):
            owner.commit(record)
        with pytest.raises(StorageClosed):
            owner.load("a")
        with pytest.raises(StorageClosed):
            owner.names()
        with pytest.raises(StorageClosed):
            owner.types()
        with pytest.raises(StorageClosed):
            owner.pages("a")


class FencingCases(Suite):
    """Epochs."""

    @pytest.mark.parametrize("offset", [-1, 1])
    def test_a_record_of_another_epoch_fences_its_whole_batch(
        self, owner: Owner, offset: int
    ) -> None:
        """Nothing of such a batch is written, also not its good records."""
        one, other = owner.neighbours("a", 2)
        stranger = owner.record(other, {"s": b"1"}, epoch=owner.lane(one).epoch + offset)
        with pytest.raises(Fenced):
            owner.commit(owner.record(one, {"s": b"1"}), stranger)
        assert owner.names() == []

    def test_an_owner_that_was_taken_over_is_fenced(self, place: Place) -> None:
        """The store compares epochs with each write, not when it is opened."""
        with Owner(place) as old:
            old.put("a", {"s": b"old"})
            place.steal()
            with Owner(place) as new:
                assert new.load("a") == {"s": b"old"}
                with pytest.raises(Fenced):
                    old.put("a", {"s": b"late"})
                new.put("a", {"s": b"new"})
                with pytest.raises(Fenced):
                    old.put("a", {"s": b"later"})
                assert new.load("a") == {"s": b"new"}
        with Owner(place) as last:
            assert last.load("a") == {"s": b"new"}

    def test_an_owner_proves_that_it_owns_its_lanes(self, owner: Owner) -> None:
        """Before it has written, and after."""
        for _ in range(2):
            for lane in owner.info.lanes:
                owner.prove(lane.number)
            owner.put("a", {"s": b"1"})

    def test_an_owner_that_was_taken_over_proves_nothing(self, place: Place) -> None:
        """It is told when it asks, also if neither has written."""
        with Owner(place) as old:
            old.put("a", {"s": b"old"})
            place.steal()
            with Owner(place) as new:
                new.prove(new.info.lanes[0].number)
            for lane in old.info.lanes:
                with pytest.raises(OwnershipLost):
                    old.prove(lane.number)

    def test_an_owner_that_was_taken_over_closes_without_harm(self, place: Place) -> None:
        """What an old owner still had to tidy up does not touch what the new one wrote."""
        old = Owner(place)
        old.put("a", {"s": b"old"})
        place.steal()
        with Owner(place) as new:
            new.put("a", {"s": b"new"})
            new.commit(new.record("b", {"s": b"new"}, wipe=True))
            old.close()
            assert new.load("a") == {"s": b"new"}
        with Owner(place) as last:
            assert last.load("a") == {"s": b"new"}
            assert last.names() == ["a", "b"]


class StoreSuite(CellCases, PageCases, ListingCases, AlarmCases, LifeCases, FencingCases):
    """All cases."""
