"""The header of a call: a trace is what the standard says, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeful import Trace
from wakeful.header import PROGRAM, KnownHeader
from wakeful.ids import ActorId

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (f"00-{ID}-{SPAN}-01", 1),
        (f"00-{ID}-{SPAN}-00", 0),
        (f" \t00-{ID}-{SPAN}-ff ", 255),
        (f"cc-{ID}-{SPAN}-01", 1),
        (f"cc-{ID}-{SPAN}-01-what-comes.later", 1),
    ],
)
def test_a_valid_traceparent_is_a_trace(text: str, flags: int) -> None:
    assert Trace.parse(text) == Trace(ID, SPAN, flags)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"ff-{ID}-{SPAN}-01",
        f"00-{ID}-{SPAN}-01-more",
        f"00-{ID}-{SPAN}-1",
        f"00-{ID.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"00-{ID[:-1]}-{SPAN}-01",
        f"00-{ID}-{SPAN}-01\n",
        f"00-{ID}-{SPAN}-\uff101",
        f"cc-{ID}-{SPAN}-01-{'x' * 200}",
        f"cc-{ID}-{SPAN}-01.more",
    ],
)
def test_what_is_no_traceparent_is_no_trace(text: str) -> None:
    assert Trace.parse(text) is None


@given(st.text())
def test_anything_may_stand_in_a_header(text: str) -> None:
    trace = Trace.parse(text)
    assert trace is None or Trace.parse(str(trace)) == trace


def test_a_trace_is_written_as_it_is_read() -> None:
    assert str(Trace(ID, SPAN, 1)) == f"00-{ID}-{SPAN}-01"


def test_a_header_is_passed_on_with_who_asks_and_the_earlier_deadline() -> None:
    header = KnownHeader(trace=Trace(ID, SPAN))
    asked = header.asked_by(ActorId("Cart", "ada"))
    assert (header.caller.actor, asked.caller.actor) == (None, ActorId("Cart", "ada"))
    assert (asked.caller.established, asked.trace) == (PROGRAM.established, header.trace)
    assert [header.until(5).deadline, header.until(5).until(7).deadline] == [5, 5]
    assert header.until(5).until(3).deadline == 3
