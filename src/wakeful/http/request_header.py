"""The header of a call that comes in over HTTP: worked out of the request when somebody reads it.

Most methods read neither caller nor trace nor deadline, and a request should not pay for them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wakeful.header import Caller, CallHeader, Trace
from wakeful.http.message import Request


class RequestHeader(CallHeader, msgspec.Struct):
    """What the guard gives for a request that it lets in.

    Attributes:
        guard: knows who calls.
        request: what it is read from.
        origin: the allowed foreign origin that the request comes from, if it comes from one.
        timed: the call is given up at some time.
        due: when, once that has been worked out, as the event loop's time.
    """

    guard: Any  # a Guard; msgspec looks annotations up, and guard.py imports this module
    request: Request
    origin: str | None = None
    timed: bool = True
    due: float | None = None
    known: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Who sent the request, as far as that can be known."""
        if self.known is None:
            self.known = self.guard.caller_of(self.request)
        return self.known

    @property
    def trace(self) -> Trace | None:
        """The trace that its `traceparent` names, if there is one and it is valid."""
        given = self.request.values("traceparent")
        return Trace.parse(given[0]) if len(given) == 1 else None

    @property
    def deadline(self) -> float | None:
        """When the call is given up, as the event loop's time."""
        if self.due is None and self.timed:
            self.due = self.guard.due()
        return self.due
