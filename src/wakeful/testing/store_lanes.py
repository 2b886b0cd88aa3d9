"""What a store with several lanes promises of them: subclass LaneSuite in place of StoreSuite."""

from __future__ import annotations

from typing import Protocol

import pytest

from wakeful.errors import Fenced, StorageError
from wakeful.testing.store_owner import Owner, Place
from wakeful.testing.store_suite import StoreSuite


class LanePlace(Place, Protocol):
    """Where a store with several lanes keeps its cells."""

    def take(self, lane: int) -> None:
        """Let another owner take one lane."""


class LaneCases:
    """The cases of lanes."""

    def test_each_shard_is_in_one_lane(self, place: LanePlace) -> None:
        """Each shard belongs to one lane, and there are several lanes."""
        with Owner(place) as owner:
            shards = [
                shard for lane in owner.info.lanes for shard in range(lane.first, lane.last + 1)
            ]
            assert sorted(shards) == list(range(owner.info.shards))
            assert len(owner.info.lanes) > 1

    def test_lanes_are_written_side_by_side(self, place: LanePlace) -> None:
        """A batch of each lane may be on its way at the same time."""
        with Owner(place) as owner:
            names = one_of_each(owner)

            async def commit() -> list[StorageError | None]:
                answers = [owner.committed([owner.record(n, {"s": b"1"})]) for n in names]
                return [await answer for answer in answers]

            assert owner.run(commit) == [None] * len(names)
            assert owner.names() == sorted(names)

    def test_a_lane_that_was_taken_fails_alone(self, place: LanePlace) -> None:
        """The owner of a taken lane is fenced; other lanes go on, under the epochs they had."""
        with Owner(place) as owner:
            taken, *others = one_of_each(owner)
            owner.put(taken, {"s": b"1"})
            place.take(owner.lane(taken).number)
            for _ in range(2):
                with pytest.raises(Fenced):
                    owner.put(taken, {"s": b"2"})
                for name in others:
                    owner.put(name, {"s": b"2"})
        with Owner(place) as later:
            assert later.load(taken) == {"s": b"1"}
            assert [later.load(name) for name in others] == [{"s": b"2"}] * len(others)
            for before, after in zip(owner.info.lanes, later.info.lanes, strict=True):
                assert after.epoch > before.epoch


class LaneSuite(StoreSuite, LaneCases):
    """All cases."""


def one_of_each(owner: Owner) -> list[str]:
    """The name of an actor in each lane, by lane."""
    found: dict[int, str] = {}
    for number in range(1_000):
        found.setdefault(owner.lane(f"a{number}").number, f"a{number}")
    return [found[lane.number] for lane in owner.info.lanes]
