"""Names and shards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeful import ActorId, InvalidArguments
from wakeful.errors import PayloadTooLarge
from wakeful.ids import NAME_BYTES_MAX, check_name, shard_of


@pytest.mark.parametrize("name", ["a", "x" * NAME_BYTES_MAX, "ä" * (NAME_BYTES_MAX // 2), "\x00"])
def test_usable_name_is_given_back(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "\ud800", b"bytes", None, 1])
def test_unusable_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidArguments, match="an actor's name"):
        check_name(name)


@pytest.mark.parametrize("name", ["x" * (NAME_BYTES_MAX + 1), "ä" * (NAME_BYTES_MAX // 2 + 1)])
def test_name_is_measured_in_bytes(name: str) -> None:
    with pytest.raises(PayloadTooLarge, match=r"1025|1026"):
        check_name(name)


def test_id_is_a_pair_that_reads_well() -> None:
    assert str(ActorId("Counter", "c/1")) == "Counter/c/1"
    assert ActorId("Counter", "c") == ("Counter", "c")


@given(st.text(), st.text(), st.integers(0, 12))
def test_shard_is_in_range_and_the_same_each_time(kind: str, name: str, power: int) -> None:
    if any("\ud800" <= char <= "\udfff" for char in kind + name):
        return
    shards = 2**power
    assert 0 <= shard_of(ActorId(kind, name), shards) < shards
    assert shard_of(ActorId(kind, name), shards) == shard_of(ActorId(kind, name), shards)


def test_shard_never_changes() -> None:
    """Stored data depends on it."""
    shards = [shard_of(ActorId("Counter", name), 4096) for name in ("a", "b", "ä")]
    assert shards == [3502, 2148, 1478]


def test_type_and_name_are_not_run_together() -> None:
    pairs = [ActorId("ab", "c"), ActorId("a", "bc")]
    assert len({shard_of(pair, 2**30) for pair in pairs}) == 2


def test_actors_spread_over_shards() -> None:
    counts = [0] * 16
    for number in range(16_000):
        counts[shard_of(ActorId("Counter", str(number)), 16)] += 1
    assert min(counts) > 800
