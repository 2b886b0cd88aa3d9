"""A table of a configuration file, read key by key; each fault names the file and the key.

Reading goes on after a fault, with an empty value in place of the wrong one, so that all faults of
a file are told at once. An unknown key is a warning, as under wrangler.

Errors:  ConfigError with a line for each fault, from `Findings.check`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from wakeful.errors import ConfigError

TOP_LEVEL: Final = (
    " (it is a key of the top level: in TOML, a key below a [table] belongs to that table; write "
    "it above the first one)"
)


class Findings:
    """What is found while a configuration is read.

    Args:
        top: the keys that the top level may have, for hints at misplaced ones.

    Attributes:
        faults: what keeps the Worker from starting; a line each.
        warnings: what has no effect, and would have one on Cloudflare or was meant to; a line each.
    """

    def __init__(self, top: Collection[str] = ()) -> None:
        self.top = top
        self.faults: list[str] = []
        self.warnings: list[str] = []

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Note an error that the block raises as one more fault."""
        try:
            yield
        except ConfigError as error:
            self.faults.extend(str(error).splitlines())

    def check(self) -> None:
        """Raise all faults that were found.

        Raises:
            ConfigError: a fault was found.
        """
        if self.faults:
            raise ConfigError("\n".join(dict.fromkeys(self.faults)))


class Table:
    """The keys of one table.

    Attributes:
        file: the file it is in.
        path: where in the file, as messages name it: `durable_objects.bindings[0]`.
        data: the keys and values.
        findings: what was found so far in the file.
    """

    __slots__ = ("_from", "_silent", "data", "file", "findings", "path")

    def __init__(
        self,
        file: Path,
        path: str,
        data: Mapping[str, Any],
        findings: Findings,
        *,
        silent: bool = False,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self.file = file
        self.path = path
        self.data = data
        self.findings = findings
        self._silent = silent  # it stands for a wrong value, of which the file has been told
        self._from = origins or {}

    def fault(self, key: str, problem: str) -> None:
        """Note what is wrong with a key."""
        if not self._silent:
            self.findings.faults.append(f"{self.file}: {self.place(key)}: {problem}")

    def warn(self, key: str, problem: str) -> None:
        """Note that something about a key has no effect."""
        self.findings.warnings.append(f"{self.file}: {self.place(key)}: {problem}")

    def place(self, key: str) -> str:
        """Return the name of a key in messages."""
        if not self.path:
            return self._from.get(key.partition(".")[0].partition("[")[0], "") + key
        return f"{self.path}.{key}" if key else self.path

    def text(self, key: str) -> str:
        """A text that must be there; an empty one after a fault."""
        if self.data.get(key) is None:
            self.fault(key, f'missing{meant(key, self.data)}. Add {key} = "..."')
            return ""
        return self.optional_text(key) or ""

    def optional_text(self, key: str) -> str | None:
        """A text; None where there is none, and an empty one after a fault."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.fault(key, f"expected text, got {shown(value)}. Write it in quotes")
            return ""
        if not value:
            self.fault(key, "empty. Give it a value, or remove the key")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false where there is nothing."""
        value = self.data.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.fault(key, f"expected true or false, got {shown(value)}")
        return False

    def path_to(self, key: str, text: str) -> Path:
        """A path that a key has, without symbolic links; it starts where the file is."""
        try:
            return Path(os.path.realpath(self.file.parent / text))
        except ValueError:  # a NUL byte
            self.fault(key, f"{shown(text)} cannot be a path")
            return self.file.parent

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where there is none."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.fault(key, f'expected a list of texts, got {shown(value)}. Write ["..."]')
            return ()
        wrong = [item for item in value if not isinstance(item, str) or not item]
        for item in wrong:
            self.fault(key, f"expected texts in the list, got {shown(item)}")
        return tuple(item for item in value if item not in wrong)

    def table(self, key: str) -> Table:
        """A table below this one; an empty one where there is none."""
        value = self.data.get(key, {})
        if isinstance(value, dict):
            return self._below(key, value)
        self.fault(key, f"expected a table, got {shown(value)}")
        return self._below(key, {}, silent=True)

    def tables(self, key: str) -> list[Table]:
        """A list of tables; empty where there is none."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.fault(key, f"expected a list of tables, got {shown(value)}")
            return []
        places = [(f"{key}[{index}]", item) for index, item in enumerate(value)]
        for place, item in places:
            if not isinstance(item, dict):
                self.fault(place, f"expected a table, got {shown(item)}")
        return [self._below(place, item) for place, item in places if isinstance(item, dict)]

    def only(self, *known: str) -> None:
        """Warn of keys that have no meaning here."""
        for key in self.data:
            if key not in known:
                near = meant(key, known) or (TOP_LEVEL if key in self.findings.top else "")
                there = f"known here: {', '.join(known)}"
                self.warn(key, f"unknown key{near}; it has no effect. Remove it; {there}")

    def _below(self, key: str, data: Mapping[str, Any], *, silent: bool = False) -> Table:
        silent = silent or self._silent
        return Table(self.file, self.place(key), data, self.findings, silent=silent)


def meant(key: str, others: Iterable[str]) -> str:
    """Suggest the known name that is closest to a mistyped one, if there is one."""
    near = get_close_matches(key, others, 1, 0.75)
    return f" (is it {near[0]}?)" if near else ""


def shown(value: object) -> str:
    """Format a value for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
