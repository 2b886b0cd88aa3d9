"""Which connection has to go when clients have sent more than there is room for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wakeful.runtime.socket_memory import SMALL_BYTES, SocketMemory

KIB = 1024


class Part:
    """A connection with part of a message."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.dropped = 0

    def make_room(self) -> None:
        self.dropped += 1


def test_the_largest_part_has_to_go() -> None:
    memory = SocketMemory(100 * KIB)
    small, large, other = Part(), Part(), Part()
    memory.keep(small, 20 * KIB)
    memory.keep(large, 70 * KIB)
    memory.keep(other, 30 * KIB)
    assert (small.dropped, large.dropped, other.dropped) == (0, 1, 0)
    assert memory.bytes == 50 * KIB


def test_it_may_be_the_one_that_has_grown() -> None:
    memory = SocketMemory(100 * KIB)
    one, other = Part(), Part()
    memory.keep(one, 30 * KIB)
    for size in range(20, 90, 10):
        memory.keep(other, size * KIB)
    assert (one.dropped, other.dropped) == (0, 1)
    assert memory.bytes == 30 * KIB


def test_small_ones_are_never_counted() -> None:
    memory = SocketMemory(1)
    parts = [Part() for _ in range(1000)]
    for part in parts:
        memory.keep(part, SMALL_BYTES)
    assert memory.bytes == 0
    assert not any(part.dropped for part in parts)


def test_one_that_is_alone_gets_what_it_needs() -> None:
    memory = SocketMemory(100 * KIB)
    part = Part()
    memory.keep(part, 200 * KIB)
    memory.keep(part, 0)
    assert (memory.take(300 * KIB), part.dropped) == (True, 0)
    assert not memory.take(20 * KIB)
    memory.give_back(300 * KIB)
    assert memory.bytes == 0


def test_a_whole_message_comes_before_parts() -> None:
    memory = SocketMemory(100 * KIB)
    parts = [Part() for _ in range(4)]
    for part in parts:
        memory.keep(part, 25 * KIB)
    assert memory.take(50 * KIB)
    assert sum(part.dropped for part in parts) == 2
    assert memory.bytes == 100 * KIB


@given(
    st.lists(
        st.tuples(st.sampled_from(["keep", "take", "give"]), st.integers(0, 5), st.integers(0, 80))
    )
)
def test_the_sum_is_right_whatever_comes(steps: list[tuple[str, int, int]]) -> None:
    memory = SocketMemory(100 * KIB)
    kept: dict[Part, int] = {}
    taken: list[int] = []

    class Counted(Part):
        def make_room(self) -> None:
            assert kept[self] == max(kept.values()), "the largest"
            del kept[self]

    parts = [Counted(str(number)) for number in range(6)]
    for what, who, kib in steps:
        size = kib * KIB
        if what == "keep":
            if size > SMALL_BYTES:
                kept[parts[who]] = size
            else:
                kept.pop(parts[who], None)
            memory.keep(parts[who], size)
        elif what == "take":
            if memory.take(size):
                taken.append(size)
        elif taken:
            memory.give_back(taken.pop())
        total = sum(kept.values()) + sum(taken)
        assert memory.bytes == total
        assert total <= max([100 * KIB, *kept.values(), *taken])
