"""Cutting SQL text into its statements.

Source: https://sqlite.org/lang.html; `sqlite3_complete` knows where a trigger ends.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import apsw

# Literals and comments, in which a semicolon ends nothing, and the semicolon itself. A literal or
# a comment that is not closed reaches to the end of the text.
_PARTS: Final = re.compile(
    r"""'[^']*(?:'|\Z)|"[^"]*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z)"""
    r"""|--[^\n]*|/\*.*?(?:\*/|\Z)|;|\btrigger\b""",
    re.DOTALL | re.IGNORECASE,
)
WHITE: Final = " \t\n\r\v\f"
WRITES_KNOWN: Final = 1024  # answers of `only_writes` kept
_WRITE: Final = re.compile(r"\s*(?:INSERT|REPLACE|UPDATE|DELETE)\b", re.IGNORECASE | re.ASCII)
_BLANK: Final = re.compile(
    r"(?:[ \t\n\r\v\f\ufeff]++|;|--[^\n]*+|(?>/\*.*?(?:\*/|\Z)))*+", re.DOTALL
)


def is_blank(text: str) -> bool:
    """Whether there is no statement in it: white space, comments, semicolons."""
    return _BLANK.fullmatch(text) is not None


def split(text: str) -> list[str]:
    """The statements of a text, in order; comments stay with the statement that follows them.

    A blank rest at the end is left out.
    """
    found = pieces(text)
    return found[:-1] if is_blank(found[-1]) else found


def pieces(text: str) -> list[str]:
    """The pieces that SQLite runs one by one: each begins where the statement before ended.

    White space after a statement belongs to no piece; comments and semicolons belong to the
    statement that follows. Only the last piece may be blank, and then it is no statement.
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


@lru_cache(maxsize=WRITES_KNOWN)
def only_writes(sql: str) -> bool:
    """Whether a text is a single statement that writes rows; it may return what it has written.

    False where that takes more than a look: a WITH, a comment, a semicolon inside a string.
    """
    return _WRITE.match(sql) is not None and ";" not in sql.rstrip(WHITE)[:-1]
