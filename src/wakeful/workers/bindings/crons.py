"""Cron expressions as Cloudflare reads them: five fields, in UTC, days of the week from 1, Sunday.

Differences to other crons: numbers of weekdays; ranges may go over the end (`22-2`, `FRI-MON`);
`*/2` as a day restricts it, so that with a weekday beside it either is enough.

`L`, `LW`, `6L`, `FRI#2` are understood. `15W`, `L-3` and the like are not: an error says so.

Errors:  ConfigError names file and expression.
Source:  Cloudflare docs on cron triggers; its parser, saffron.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from cronsim import CronSim, CronSimError

from wakeful.workers.config.tables import Table

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS: Final = (
    "JAN",
    "FEB",
    "MAR",
    "APR",
    "MAY",
    "JUN",
    *("JUL", "AUG", "SEP", "OCT", "NOV"),
    "DEC",
)
WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
DAYS_OF_MONTH: Final = re.compile(r"L|LW")
WEEKDAY: Final = re.compile(
    r"(?P<day>[1-7]|[A-Z]{3})(?:(?P<last>L)|#(?P<nth>[1-5]))|(?P<saturday>L)"
)
TERM: Final = re.compile(
    r"(?:(?P<all>\*)|(?P<low>\d+|[A-Z]{3})(?:-(?P<high>\d+|[A-Z]{3}))?)(?:/(?P<step>\d+))?",
    re.ASCII,
)


class CronExpression(msgspec.Struct, frozen=True):
    """When something is to happen, again and again.

    Attributes:
        text: as it was written.
        plain: the same for CronSim, whose weekdays begin at 0.
    """

    text: str
    plain: str

    def next_ms(self, after_ms: int) -> int | None:
        """The first time after a time, both in milliseconds since 1970; None: there is none."""
        after = EPOCH + timedelta(milliseconds=after_ms)
        due = next(CronSim(self.plain, after), None)
        return None if due is None else (due - EPOCH) // timedelta(milliseconds=1)


class Field(msgspec.Struct, frozen=True):
    """One of the five fields.

    Attributes:
        name: how messages call it.
        low: the least number.
        high: the greatest.
        names: names of the numbers, from the least one.
        shift: what CronSim counts from, less `low`.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    shift: int = 0

    def plain(self, text: str) -> str:
        """The numbers that a text stands for, as a list; a star stays one."""
        if text == "*":
            return text
        numbers = {number for term in text.split(",") for number in self._numbers(term)}
        return ",".join(str(number + self.shift) for number in sorted(numbers))

    def number(self, text: str) -> int:
        """The number that a name or a numeral is."""
        number = int(text) if text.isdecimal() else self.low + self._index(text)
        if not self.low <= number <= self.high:
            raise ValueError(f"{self.name} {text} is not between {self.low} and {self.high}")
        return number

    def _index(self, text: str) -> int:
        if text not in self.names:
            raise ValueError(f"{self.name} {text!r} is not known")
        return self.names.index(text)

    def _numbers(self, term: str) -> Iterator[int]:
        found = TERM.fullmatch(term)
        if found is None:
            raise ValueError(f"{self.name} {term!r} is not understood")
        step = int(found["step"] or 1)
        if step < 1:
            raise ValueError(f"{self.name} {term!r}: a step is at least 1")
        low = self.low if found["all"] else self.number(found["low"])
        if found["high"]:
            high = self.number(found["high"])
        else:
            high = self.high if found["all"] or found["step"] else low
        span = [*range(low, high + 1)] or [*range(low, self.high + 1), *range(self.low, high + 1)]
        yield from span[::step]


MINUTE: Final = Field("minute", 0, 59)
HOUR: Final = Field("hour", 0, 23)
DAY: Final = Field("day of the month", 1, 31)
MONTH: Final = Field("month", 1, 12, MONTHS)
DAY_OF_WEEK: Final = Field("day of the week", 1, 7, WEEKDAYS, -1)


def parse_cron(text: str) -> CronExpression:
    """Parse an expression.

    Raises:
        ValueError: the text is not valid or not supported; the message names the part.
    """
    parts = text.upper().split()
    if len(parts) != 5:
        raise ValueError("expected five fields: minute, hour, day, month, day of the week")
    minute, hour, day, month, weekday = parts
    if "W" in day or "L" in day:
        if not DAYS_OF_MONTH.fullmatch(day):
            raise ValueError(f"{DAY.name} {day!r} is not provided; L and LW are")
    else:
        day = DAY.plain(day)
    plain = (MINUTE.plain(minute), HOUR.plain(hour), day, MONTH.plain(month), _weekday(weekday))
    expression = CronExpression(text, " ".join(plain))
    try:
        if expression.next_ms(0) is None:
            raise ValueError("it never comes")
    except CronSimError:
        raise ValueError("it never comes: no month has that day") from None
    return expression


def _weekday(text: str) -> str:
    found = WEEKDAY.fullmatch(text)
    if found is None:
        return DAY_OF_WEEK.plain(text)
    day = 7 if found["saturday"] else DAY_OF_WEEK.number(found["day"])
    if found["saturday"]:
        return str(day + DAY_OF_WEEK.shift)
    return f"{day + DAY_OF_WEEK.shift}{'L' if found['last'] else '#' + found['nth']}"


def read_crons(triggers: Table) -> tuple[CronExpression, ...]:
    """`triggers.crons` of a file; one that is there twice counts once."""
    triggers.only("crons")
    found = []
    for text in dict.fromkeys(triggers.texts("crons")):
        try:
            found.append(parse_cron(text))
        except ValueError as error:
            triggers.fault("crons", f"{text!r}: {error}. Correct it, or write it as two of them")
    return tuple(found)
