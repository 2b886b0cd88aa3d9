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
WHITE: Final = " \t\n\r\v\f"
_BLANK: Final = re.compile(
    r"(?:[ \t\n\r\v\f\ufeff]++|;|--[^\n]*+|(?>/\*.*?(?:\*/|\Z)))*+", re.DOTALL
)


def is_blank(text: str) -> bool:
    """Whether there is no statement in it: white space, comments, semicolons."""
    return _BLANK.fullmatch(text) is not None


def split(text: str) -> list[str]:
    """The statements of a text, in order; comments stay with the statement that follows them.

    What is blank at the end is left out.
    """
    found = pieces(text)
    return found[:-1] if is_blank(found[-1]) else found


def pieces(text: str) -> list[str]:
    """What SQLite is given one after the other: each begins where the statement before ended.

    White space after each belongs to none, other blanks to the statement that follows. Only the
    last may be blank, and so no statement.
    """
    found: list[str] = []
    start = 0
    trigger = False
    for part in _PARTS.finditer(text):
        if part[0][0] in "tT":
            trigger = True
        elif part[0] == ";":
            piece = text[start : part.end()]
            if is_blank(piece) or (trigger and not apsw.complete(piece)):
                continue
            found.append(piece.lstrip(WHITE) if found else piece)
            start = part.end()
            trigger = False
    rest = text[start:].strip(WHITE) if found else text
    if rest or not found:
        found.append(rest)
    return found
