"""JSON with comments and trailing commas, as wrangler.json and wrangler.jsonc have it.

Comments and commas that JSON does not know are blanked out, so that every character keeps its
line and column; the rest is the standard library's parser.

Errors:  ValueError with line and column.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

TOKEN: Final = re.compile(
    r"""
      "(?:[^"\\]|\\.)*"?                # a string; one without an end is all of the rest
    | //[^\n\r]*                        # a comment to the end of its line
    | /\*.*?\*/                         # a comment with an end
    | (?P<open>/\*)                     # one without
    | (?P<sign>[\[\]{},:])
    | [^\s"\[\]{},:/]+                  # a number or a word
    | .                                 # whatever the parser will complain about
    """,
    re.VERBOSE | re.DOTALL,
)


def loads(text: str) -> Any:
    """Parse a document.

    Raises:
        ValueError: it is malformed; says where.
    """
    pieces = list(text.removeprefix("\ufeff"))
    before, last, comma = "", "", -1
    for token in TOKEN.finditer("".join(pieces)):
        found = token[0]
        if token["open"]:
            raise ValueError(f"the comment of {_place(text, token.start())} has no end")
        if found.startswith(("//", "/*")):
            _blank(pieces, token.start(), token.end())
            continue
        if found.isspace():
            continue
        if found in ("]", "}") and last == "," and before not in ("", "[", "{", ",", ":"):
            _blank(pieces, comma, comma + 1)
        if found == ",":
            comma = token.start()
        before, last = last, found
    try:
        return json.loads("".join(pieces), parse_constant=_no_number)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{error.msg[:1].lower()}{error.msg[1:]} in {place}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _blank(pieces: list[str], start: int, end: int) -> None:
    for index in range(start, end):
        if pieces[index] not in "\r\n":
            pieces[index] = " "


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON value")
