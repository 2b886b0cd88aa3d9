"""What every store promises about the pages of SQL databases; part of `store_suite`."""

from __future__ import annotations

import asyncio

from wakeful.errors import StorageError
from wakeful.ids import ActorId
from wakeful.ports import FarPages
from wakeful.testing.store_owner import Owner, Place, Suite


class PageCases(Suite):
    """Pages of SQL databases."""

    def test_an_unknown_actor_has_no_pages(self, owner: Owner) -> None:
        """An actor without records, or with cells only, has no pages."""
        owner.put("b", {"s": b"1"})
        assert owner.pages("a") == owner.pages("b") == {}

    def test_committed_pages_are_read_one_by_one(self, place: Place) -> None:
        """They are not among the cells, and survive a reopen."""
        page = bytes(range(256)) * 16
        with Owner(place) as owner:
            owner.commit(owner.record("a", {"s": b"1"}, pages={1: page, 3: b"3"}))
            assert owner.pages("a") == {1: page, 3: b"3"}
            assert owner.load("a") == {"s": b"1"}
        with Owner(place) as owner:
            assert owner.pages("a") == {1: page, 3: b"3"}
            assert owner.load("a") == {"s": b"1"}

    def test_a_page_is_replaced_and_deleted_by_itself(self, owner: Owner) -> None:
        """A record changes only the pages that it names."""
        owner.put_pages("a", {1: b"1", 2: b"1", 3: b"1"})
        owner.put_pages("a", {2: b"2", 3: None, 4: None})
        owner.put("a", {"s": b"1"})
        assert owner.pages("a") == {1: b"1", 2: b"2"}

    def test_a_wipe_takes_pages_too(self, place: Place) -> None:
        """A wipe deletes all pages; pages that come with the same record stay."""
        with Owner(place) as owner:
            owner.commit(owner.record("a", {"s": b"1"}, pages={1: b"1", 2: b"1"}))
            owner.commit(owner.record("a", {}, pages={2: b"2"}, wipe=True))
            assert (owner.load("a"), owner.pages("a")) == ({}, {2: b"2"})
        with Owner(place) as owner:
            assert (owner.load("a"), owner.pages("a")) == ({}, {2: b"2"})

    def test_pages_belong_to_their_actor(self, owner: Owner) -> None:
        """A page belongs to one actor: its type and its name."""
        owner.put_pages("a", {1: b"1"}, type="A")
        owner.put_pages("a", {1: b"2"}, type="B")
        owner.put_pages("a\0", {1: b"3"}, type="A")
        assert owner.pages("a", type="A") == {1: b"1"}

    def test_an_actor_with_pages_only_is_listed(self, place: Place) -> None:
        """An actor is listed until its last page is gone."""
        with Owner(place) as owner:
            owner.put_pages("a", {1: b"1", 2: b"1"}, type="A")
            owner.put_pages("b", {1: b"1"}, type="B")
            owner.put_pages("never", {1: None}, type="C")
            owner.put_pages("a", {1: None}, type="A")
            assert (owner.names("A"), owner.types()) == (["a"], ["A", "B"])
        with Owner(place) as owner:
            assert (owner.names("A"), owner.types()) == (["a"], ["A", "B"])
            owner.put_pages("a", {2: None}, type="A")
            owner.commit(owner.record("b", {}, type="B", wipe=True))
            assert (owner.names("A"), owner.types()) == ([], [])

    def test_records_are_the_callers_after_done_with_their_pages(self, owner: Owner) -> None:
        """Changing a record after done changes nothing that is stored."""
        record = owner.record("a", {}, pages={1: b"1"})
        owner.commit(record)
        record.pages[1] = b"2"
        assert owner.pages("a") == {1: b"1"}

    def test_a_page_is_read_once_done_says_so(self, owner: Owner) -> None:
        """Inside `done` a page of the batch is there."""
        seen: list[bytes | None] = []

        async def commit() -> None:
            if isinstance(owner.store, FarPages):
                await owner.store.fetch(ActorId("Counter", "a"))
            finished = asyncio.Event()

            def done(error: StorageError | None) -> None:
                seen.append(owner.store.page(ActorId("Counter", "a"), 1))
                finished.set()

            record = owner.record("a", {}, pages={1: b"1"})
            owner.store.commit(owner.lane("a").number, [record], done)
            await finished.wait()

        owner.run(commit)
        assert seen == [b"1"]
