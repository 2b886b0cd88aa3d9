"""What travels with a call beside its arguments: who calls, which trace it is part of, until when.

A header crosses every call that a turn makes: what an actor asks of another is asked for the same
caller. In the process it travels in a context variable, which only those set who let calls in (the
HTTP server, a ref with a timeout); like the caller's other context variables it reaches the turn,
and the turns that this asks for. What the runtime does on its own account (an alarm, waking an
actor, a batch) has no header, whichever call has caused it.

Source: W3C Trace Context, `traceparent`.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final, Literal, TypeAlias

import msgspec

from wakeful.ids import ActorId

Established: TypeAlias = Literal["program", "loopback", "admin_token", "nothing"]

TRACEPARENT_CHARS_MAX: Final = 128  # version 00 has 55; a later one may add to that
_TRACEPARENT: Final = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?", re.ASCII
)


class Caller(msgspec.Struct, frozen=True):
    """Who calls, and how we know.

    Attributes:
        established: "program": code of this process that holds the runtime. "loopback": a request
            that only a program on this machine can have sent. "admin_token": a request with the
            admin token. "nothing": a request from somewhere, of somebody.
        identity: a name, if one is known: "admin" for the admin token.
        roles: what that identity may be treated as: "admin" for the admin token.
        actor: the actor that made this call, if one did. The rest says for whom it acts.
    """

    established: Established
    identity: str | None = None
    roles: frozenset[str] = frozenset()
    actor: ActorId | None = None


class Trace(msgspec.Struct, frozen=True):
    """The distributed trace that a call is part of.

    Attributes:
        trace_id: 32 hexadecimal digits, of the whole trace.
        parent_id: 16 hexadecimal digits, of the span that made the call.
        flags: 0 to 255; bit 0 says that the trace is recorded.
    """

    trace_id: str
    parent_id: str
    flags: int = 0

    def __str__(self) -> str:
        """As the header `traceparent` has it."""
        return f"00-{self.trace_id}-{self.parent_id}-{self.flags:02x}"

    @classmethod
    def parse(cls, traceparent: str) -> Trace | None:
        """The trace of a `traceparent` header; None if that is not valid."""
        if len(traceparent) > TRACEPARENT_CHARS_MAX:
            return None
        match = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
        if match is None:
            return None
        version, trace_id, parent_id, flags, more = match.groups()
        if version == "ff" or (version == "00" and more is not None):
            return None
        if not trace_id.strip("0") or not parent_id.strip("0"):
            return None
        return cls(trace_id, parent_id, int(flags, 16))


PROGRAM: Final = Caller("program")


class CallHeader:
    """What travels with a call; this one says that it comes from the program itself."""

    __slots__ = ()

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return PROGRAM

    @property
    def trace(self) -> Trace | None:
        """The trace that the call is part of, if there is one."""
        return None

    @property
    def deadline(self) -> float | None:
        """When the caller stops waiting, as the event loop's time; None: it does not.

        At the deadline the caller stops waiting; the call itself is not stopped.
        """
        return None

    def asked_by(self, actor: ActorId) -> CallHeader:
        """The header of a call that an actor makes while it serves this one."""
        caller = msgspec.structs.replace(self.caller, actor=actor)
        return KnownHeader(caller, self.trace, self.deadline)

    def until(self, deadline: float) -> CallHeader:
        """The header of a call that waits until then, or less long if this one does."""
        earlier = deadline if self.deadline is None else min(deadline, self.deadline)
        return KnownHeader(self.caller, self.trace, earlier)


class KnownHeader(CallHeader, msgspec.Struct, frozen=True):
    """A header whose parts are all known."""

    caller: Caller = PROGRAM
    trace: Trace | None = None
    deadline: float | None = None


NO_HEADER: Final = CallHeader()

# The header of the running code; None stands for NO_HEADER.
call_header: Final[ContextVar[CallHeader | None]] = ContextVar("wakeful_header", default=None)
