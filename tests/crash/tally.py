"""What clients were told, against what is there: the whole judgement of the crash test."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import apsw

ALARM_EACH: Final = 8  # so many increments set the alarm once
ALARM_TRIES: Final = 50  # looks after a restart until every alarm has fired
ALARM_TRY_SECONDS: Final = 0.1

# A counter's count as each place has it, then the last alarm that was set, and that fired.
Found = Mapping[str, tuple[int, ...]]


def all_rang(found: Found) -> bool:
    """Whether there is no alarm left to fire."""
    return all(armed == rang for *_, armed, rang in found.values())


class Broken(AssertionError):
    """A promise was not kept."""


class Tally:
    """Increments of each counter since it was last found: called, and acknowledged with a value."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self.called: Counter[str] = Counter()
        self.values: dict[str, list[int]] = {}
        self.acknowledged = 0
        self.unknown = 0
        self.kept = 0  # of the unknown ones

    def call(self, counter: str) -> None:
        """An increment is sent."""
        self.called[counter] += 1

    def acknowledge(self, counter: str, value: int) -> None:
        """Its answer has come."""
        self.values.setdefault(counter, []).append(value)

    def settle(self, found: Found) -> None:
        """Compare with the counters as they are after the crash, and begin anew from there.

        Raises:
            Broken: an acknowledged increment is missing, or there are more than were called; or
                an alarm is missing, or has not fired.
        """
        for counter, (count, *others, armed, rang) in found.items():
            if any(other != count for other in others):
                raise Broken(f"{counter}: one place says {count}, others {others}: a torn turn")
            if armed != count - count % ALARM_EACH:
                raise Broken(f"{counter}: it is {count}, and its last alarm {armed}: a torn turn")
            if armed != rang:
                raise Broken(f"{counter}: the alarm of {armed} has not fired, only that of {rang}")
            self._settle(counter, count)
        self.called.clear()
        self.values.clear()

    def _settle(self, counter: str, count: int) -> None:
        before, called = self.found.get(counter, 0), self.called[counter]
        values = self.values.get(counter, [])
        if len(set(values)) != len(values):
            raise Broken(f"{counter}: two increments were given the same value: {sorted(values)}")
        if count < before + len(values) or count < max(values, default=0):
            raise Broken(
                f"{counter} is {count}: {before} before the round and {len(values)} acknowledged, "
                f"up to {max(values, default=0)}: an acknowledged increment is missing"
            )
        if count > before + called:
            raise Broken(
                f"{counter} is {count}: {before} before the round and {called} called: "
                "an increment was doubled"
            )
        if min(values, default=before + 1) <= before:
            raise Broken(f"{counter}: {min(values)} was acknowledged, it had been {before} already")
        self.found[counter] = count
        self.acknowledged += len(values)
        self.unknown += called - len(values)
        self.kept += count - before - len(values)


def check_files(directory: Path) -> int:
    """Check a copy of all databases in a directory; returns their size in bytes.

    Raises:
        Broken: SQLite finds damage.
    """
    with tempfile.TemporaryDirectory() as copies:
        copy = Path(copies) / "data"
        shutil.copytree(directory, copy)
        for path in sorted(copy.rglob("*.db")):
            connection = apsw.Connection(str(path))
            try:
                said = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            finally:
                connection.close()
            if said != ["ok"]:
                raise Broken(f"{path.name}: {said}")
        return sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
