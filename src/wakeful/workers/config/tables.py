"""A table of a configuration file, read key by key: what is wrong is said with file and key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from wakeful.errors import ConfigError


class Table:
    """The keys of one table.

    Attributes:
        file: the file it is in.
        path: where in the file, as messages name it: `durable_objects.bindings[0]`.
        data: the keys and values.
    """

    __slots__ = ("data", "file", "path")

    def __init__(self, file: Path, path: str, data: Mapping[str, Any]) -> None:
        self.file = file
        self.path = path
        self.data = data

    def refuse(self, key: str, problem: str) -> NoReturn:
        """Say what is wrong with a key.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self.file}: {self.place(key)}: {problem}")

    def place(self, key: str) -> str:
        """How messages name a key."""
        return f"{self.path}.{key}" if self.path and key else self.path or key

    def text(self, key: str) -> str:
        """A text that must be there and is not empty."""
        value = self.optional_text(key)
        if value is None:
            self.refuse(key, f'missing{meant(key, self.data)}. Add {key} = "..."')
        return value

    def optional_text(self, key: str) -> str | None:
        """A text, or None where there is none."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(key, f"expected text, got {shown(value)}. Write it in quotes")
        if not value:
            self.refuse(key, "empty. Give it a value, or remove the key")
        return value

    def path_to(self, key: str, text: str) -> Path:
        """A path that a key has, without symbolic links; it starts where the file is."""
        try:
            return Path(os.path.realpath(self.file.parent / text))
        except ValueError:  # a NUL byte
            self.refuse(key, f"{shown(text)} cannot be a path")

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where there is none."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.refuse(key, f'expected a list of texts, got {shown(value)}. Write ["..."]')
        for item in value:
            if not isinstance(item, str) or not item:
                self.refuse(key, f"expected texts in the list, got {shown(item)}")
        return tuple(value)

    def table(self, key: str) -> Table:
        """A table below this one; an empty one where there is none."""
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            self.refuse(key, f"expected a table, got {shown(value)}")
        return Table(self.file, self.place(key), value)

    def tables(self, key: str) -> list[Table]:
        """A list of tables; empty where there is none."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.refuse(key, f"expected a list of tables, got {shown(value)}")
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                self.refuse(f"{key}[{index}]", f"expected a table, got {shown(item)}")
        return [
            Table(self.file, self.place(f"{key}[{index}]"), item)
            for index, item in enumerate(value)
        ]

    def only(self, *known: str) -> None:
        """Refuse keys that mean nothing here.

        Raises:
            ConfigError: there is one.
        """
        for key in self.data:
            if key not in known:
                near = meant(key, known)
                self.refuse(key, f"unknown key{near}. Remove it; known here: {', '.join(known)}")


def meant(key: str, others: Iterable[str]) -> str:
    """A hint at the name that a mistyped one is near to, if there is one."""
    near = get_close_matches(key, others, 1, 0.75)
    return f" (is it {near[0]}?)" if near else ""


def shown(value: object) -> str:
    """A value as a message quotes it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
