"""Cutting SQL text into its statements.

Source: https://sqlite.org/lang.html; `sqlite3_complete` knows where a trigger ends.
"""

from __future__ import annotations

import re
from typing import Final

import apsw

# What a semicolon inside is not the end of a statement, and the semicolon itself. A literal or a
# comment that is not closed reaches to the end of the text.
_PARTS: Final = re.compile(
    r"""'[^']*(?:'|\Z)|"[^"]*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z)"""
    r"""|--[^\n]*|/\*.*?(?:\*/|\Z)|;|\btrigger\b""",
    re.DOTALL | re.IGNORECASE,
)
_BLANK: Final = re.compile(r"(?:\s++|;|--[^\n]*+|(?>/\*.*?(?:\*/|\Z)))*+", re.DOTALL)


def is_blank(text: str) -> bool:
    """Whether there is no statement in it: white space, comments, semicolons."""
    return _BLANK.fullmatch(text) is not None


def split(text: str) -> list[str]:
    """The statements of a text, in order; comments stay with the statement that follows them.

    What is blank is left out, also at the end.
    """
    found: list[str] = []
    start = 0
    trigger = False
    for part in _PARTS.finditer(text):
        if part[0][0] in "tT":
            trigger = True
        elif part[0] == ";":
            piece = text[start : part.end()]
            if trigger and not apsw.complete(piece):
                continue
            found.append(piece)
            start = part.end()
            trigger = False
    found.append(text[start:])
    return [piece for piece in found if not is_blank(piece)]
