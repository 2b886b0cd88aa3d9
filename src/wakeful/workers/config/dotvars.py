"""`.dev.vars` and `.env`: secrets for local development, a KEY=VALUE a line.

Values may be quoted with ', " or `, and then hold several lines; in double quotes \\n is a new
line. `export` before a key is allowed, # starts a comment.

Where there is a `.dev.vars`, it alone counts; otherwise all `.env` files, the most specific value.

Errors:  ValueError with the line.
Source:  Cloudflare docs on environment variables and secrets: the files have dotenv's syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from wakeful.errors import ConfigError
from wakeful.log import logger

ENTRY: Final = re.compile(
    r"""
    [ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z_][\w.-]*)[ \t]*=[ \t]*
    (?:
        '(?P<single>[^']*)' | `(?P<back>[^`]*)` | "(?P<double>(?:[^"\\]|\\.)*)"
      | (?P<bare>[^'"`\s#][^\n]*?|)
    )
    [ \t]*(?:\#[^\n]*)?(?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
EMPTY: Final = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def read_secrets(
    directory: Path, environment: str | None, required: Iterable[str] | None
) -> dict[str, str]:
    """The secrets of a Worker.

    Args:
        directory: where its wrangler file is.
        environment: the environment that is used.
        required: the only ones that it gets; one that is missing is logged. None: all there are.

    Raises:
        ConfigError: a file cannot be read.
    """
    found: dict[str, str] = {}
    for file in _files(directory, environment):
        try:
            found.update(loads(file.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ConfigError(f"{file}: {error}. Write KEY=VALUE, a line each") from None
        except OSError as error:
            raise ConfigError(f"{file}: it cannot be read: {error.strerror}") from None
    if required is None:
        return found
    for name in required:
        if name not in found:
            log = logger()
            log.warning("a secret is missing: write it to .dev.vars", name=name)
    return {name: found[name] for name in required if name in found}


def _files(directory: Path, environment: str | None) -> Iterator[Path]:
    """Return the files to read; values of a later file win."""
    chosen = [""] if environment is None else ["", f".{environment}"]
    for ending in reversed(chosen):
        if (file := directory / f".dev.vars{ending}").is_file():
            yield file
            return
    for name in [f".env{ending}{local}" for local in ("", ".local") for ending in chosen]:
        if (file := directory / name).is_file():
            yield file


def loads(text: str) -> dict[str, str]:
    """Parse the values by key; the last one of a key counts.

    Raises:
        ValueError: a line is neither an entry nor a comment.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        if empty := EMPTY.match(text, place):
            place = empty.end()
            continue
        entry = ENTRY.match(text, place)
        if entry is None:
            line = text.count("\n", 0, place) + 1
            raise ValueError(f"line {line} is not KEY=VALUE")
        found[entry["key"]] = _value(entry)
        place = entry.end()
    return found


def _value(entry: re.Match[str]) -> str:
    if entry["double"] is not None:
        return re.sub(
            r"\\(.)",
            lambda escape: ESCAPES.get(escape[1], escape[0]),
            entry["double"],
            flags=re.DOTALL,
        )
    for quote in ("single", "back"):
        if entry[quote] is not None:
            return entry[quote]
    return entry["bare"].strip()
