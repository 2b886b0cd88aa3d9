"""When something is to happen, once or again and again: a time, a span, or a cron expression.

A cron expression has five fields (or six, seconds first) and counts in a time zone. Where clocks
are set, CronSim keeps Debian's rules: what falls into an hour that is left out happens right after
it; what falls into an hour that is there twice happens once; `*` and steps of hours go on by the
clock on the wall.

Units:      int nanoseconds since 1970.
Invariants: the next occurrence is after the time that it is asked for.
Source:     cron(8) of Debian; RFC 9557 names of zones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from wakeful.errors import InvalidArguments

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EVER_NS: Final = 2**63 - 2
EVERY_MIN: Final = timedelta(milliseconds=1)


class Recurrence(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """How something repeats itself; by default it does not.

    Attributes:
        every_ns: the time between two occurrences; 0: it has none.
        cron: a cron expression; "": none.
        zone: the time zone in which that counts.
    """

    every_ns: int = 0
    cron: str = ""
    zone: str = "UTC"

    def next_ns(self, after_ns: int, last_ns: int) -> int | None:
        """The first occurrence after a time; None: there is none.

        Args:
            last_ns: an occurrence; those of a span are whole spans from it.
        """
        if self.cron:
            return _next_of(self.cron, self.zone, after_ns)
        if not self.every_ns:
            return None
        spans = max(1, (after_ns - last_ns) // self.every_ns + 1)
        due_ns = last_ns + spans * self.every_ns
        return due_ns if due_ns <= EVER_NS else None


def recurrence(every: timedelta | None, cron: str | None, zone: str | None) -> Recurrence:
    """How something repeats itself, as a caller says it.

    Raises:
        InvalidArguments: it cannot; says why.
    """
    if every is not None and cron is not None:
        raise InvalidArguments("give every= or cron=, not both", field="every")
    if zone is not None and cron is None:
        raise InvalidArguments("zone= belongs to cron=; every= counts without one", field="zone")
    if every is not None:
        return Recurrence(every_ns=_span_ns(every))
    return Recurrence() if cron is None else Recurrence(0, _checked(cron), _zone_name(zone))


def _span_ns(every: object) -> int:
    if not isinstance(every, timedelta) or every < EVERY_MIN:
        raise InvalidArguments(
            f"every= is a timedelta of at least 1 ms, not {every!r}", field="every"
        )
    return every // timedelta(microseconds=1) * 1000


def _checked(cron: str) -> str:
    try:
        CronSim(cron, EPOCH)
    except (CronSimError, TypeError, AttributeError) as error:
        raise InvalidArguments(
            f"cron= is five fields (minute, hour, day, month, weekday), not {cron!r}: {error}",
            field="cron",
        ) from None
    return cron


def _zone_name(zone: str | None) -> str:
    name = zone or "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise InvalidArguments(
            f"zone= is the name of a time zone such as 'Europe/Berlin', not {zone!r}", field="zone"
        ) from None
    return name


@lru_cache(1024)
def _next_of(cron: str, zone: str, after_ns: int) -> int | None:
    after = (EPOCH + timedelta(microseconds=after_ns // 1000)).astimezone(ZoneInfo(zone))
    due = next(CronSim(cron, after), None)
    return (
        None if due is None else (due.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) * 1000
    )
