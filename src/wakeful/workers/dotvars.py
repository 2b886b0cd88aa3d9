"""`.dev.vars`: secrets for local development, a KEY=VALUE a line.

Values may be quoted with ', " or `, and then hold several lines; in double quotes \\n is a new
line. `export` before a key is allowed, # starts a comment.

Errors:  ValueError with the line.
Source:  Cloudflare docs on secrets: the file has dotenv's syntax.
"""

from __future__ import annotations

import re
from typing import Final

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


def loads(text: str) -> dict[str, str]:
    """The values by key; the last one of a key counts.

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
