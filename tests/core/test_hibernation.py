from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wakeful.core.hibernation import (
    AutoResponse,
    SocketSet,
    check_close,
    checked_auto,
    checked_tags,
)
from wakeful.errors import InvalidArguments

TAGS = st.lists(st.sampled_from("abc"), max_size=3, unique=True)


class Sockets(RuleBasedStateMachine):
    """A set of sockets against a plain list of (socket, tags)."""

    def __init__(self) -> None:
        super().__init__()
        self.set: SocketSet[int] = SocketSet()
        self.model: list[tuple[int, tuple[str, ...]]] = []
        self.next = 0

    @rule(tags=TAGS)
    def add(self, tags: list[str]) -> None:
        self.set.add(self.next, tuple(tags))
        self.model.append((self.next, tuple(tags)))
        self.next += 1

    @rule(socket=st.integers(0, 20))
    def discard(self, socket: int) -> None:
        self.set.discard(socket)
        self.model = [entry for entry in self.model if entry[0] != socket]

    @invariant()
    def agree(self) -> None:
        self.set.check()
        newest_first = self.model[::-1]
        assert len(self.set) == len(self.model)
        assert self.set.find() == [socket for socket, _ in newest_first]
        for tag in "abcd":
            assert self.set.find(tag) == [s for s, tags in newest_first if tag in tags]
        for socket, tags in self.model:
            assert self.set.tags(socket) == tags


TestSockets = Sockets.TestCase


def test_discarding_one_of_two_leaves_the_other_under_its_tag() -> None:
    registry: SocketSet[str] = SocketSet()
    registry.add("one", ("room",))
    registry.add("two", ("room", "own"))

    registry.discard("one")
    assert registry.find("room") == ["two"]
    registry.discard("two")
    assert registry.find("room") == []
    assert registry.find("own") == []
    registry.discard("two")  # nothing to forget
    registry.check()


def test_unknown_socket_has_no_tags() -> None:
    assert SocketSet[int]().tags(1) == ()


def test_tags_collapse_in_order() -> None:
    assert checked_tags(["b", "a", "b"]) == ("b", "a")


def test_ten_tags_of_256_characters_are_fine() -> None:
    tags = [str(n) * 256 for n in range(10)]

    assert checked_tags(tags) == tuple(tags)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([str(n) for n in range(11)], "cannot have more than 10 tags"),
        (["x" * 257], "is longer than the max tag length"),
        ([1], "a tag is text, not int"),
        ("room", "not one text"),
    ],
)
def test_wrong_tags(tags: list[str], message: str) -> None:
    with pytest.raises(InvalidArguments, match=message):
        checked_tags(tags)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    check_close(code, "ü" * 61)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, True, "1000"])
def test_codes_that_may_not_be_sent(code: int) -> None:
    with pytest.raises(InvalidArguments, match="invalid WebSocket close code"):
        check_close(code, "")


def test_reason_is_bounded_in_bytes() -> None:
    with pytest.raises(InvalidArguments, match="at most 123 bytes of UTF-8, this one 124"):
        check_close(1000, "ü" * 62)


def test_auto_response_pair() -> None:
    assert checked_auto("ping", "p" * 2048) == AutoResponse("ping", "p" * 2048)


@pytest.mark.parametrize(
    ("request_", "response", "message"),
    [
        ("x" * 2049, "", "request cannot be larger than 2048 bytes; this one has 2049"),
        ("", "ü" * 1025, "response cannot be larger"),
        (b"ping", "pong", "a request is text, not bytes"),
    ],
)
def test_wrong_auto_response(request_: str, response: str, message: str) -> None:
    with pytest.raises(InvalidArguments, match=message):
        checked_auto(request_, response)
