"""JSON as JavaScript reads and writes it: its numbers, its errors, halves of surrogate pairs.

Errors:  JsSyntaxError with V8's texts, as far as Python's parser knows what is wrong.
Source:  ECMAScript standard, section The JSON Object.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from wakeful.workers.proxies import JsSyntaxError
from wakeful.workers.values import SAFE_INT_MAX, copied, js_string, number_text

SHOWN_MAX: Final = 40  # characters of a text that an error shows whole; of a longer one, a part
AROUND: Final = 10
TEXT_OR_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e[-+][0-9]+')
TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
HALVES: Final = re.compile("[\ud800-\udfff]")
WORDS: Final = frozenset({"NaN", "Infinity", "undefined", "[object Object]"})
NO_NAME: Final = "Expecting property name enclosed in double quotes"
TOLD: Final = {
    "Expecting ':' delimiter": "Expected ':' after property name",
    "Extra data": "Unexpected non-whitespace character after JSON",
    "Invalid control character at": "Bad control character in string literal",
    "Invalid \\escape": "Bad escaped character",
    "Invalid \\uXXXX escape": "Bad Unicode escape",
}


def read(text: str) -> Any:
    """Parse a JSON text.

    Raises:
        JsSyntaxError: the text is not JSON.
    """

    def constant(name: str) -> NoReturn:
        place = _outside_texts(text).index(name)
        if name.startswith("-"):
            raise JsSyntaxError(_at(text, place + 1, "No number after minus sign"))
        raise JsSyntaxError(_token(text, place))

    try:
        return copied(json.loads(text, parse_int=_whole, parse_constant=constant))
    except json.JSONDecodeError as error:
        raise JsSyntaxError(_message(text, error)) from None


def write(value: Any, indent: int | str | None = None) -> str:
    """A value as JSON text, written as JavaScript writes it."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(
        _form(value), ensure_ascii=False, separators=separators, indent=indent or None
    )
    text = TEXT_OR_NUMBER.sub(_as_js_has_it, text)
    return text if text.isascii() else HALVES.sub(_escape, text)


def iso(moment: datetime) -> str:
    """A date as JavaScript writes it."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _whole(digits: str) -> int | float:
    value = int(digits) if len(digits) < 400 else math.inf  # beyond what a number can be
    if digits == "-0" or abs(value) > SAFE_INT_MAX:
        return float(digits)
    return value


def _form(value: Any) -> Any:
    match value:
        case dict():
            return {js_string(key): _form(item) for key, item in value.items()}
        case list() | tuple():
            return [_form(item) for item in value]
        case float():
            if not math.isfinite(value):
                return None
            return int(value) if value.is_integer() and abs(value) <= SAFE_INT_MAX else value
        case datetime():
            return iso(value)
        case None | bool() | int() | str():
            return value
        case _ if hasattr(value, "toJSON"):
            return _form(value.toJSON())
        case _:
            return {}


def _as_js_has_it(match: re.Match[str]) -> str:
    found = match[0]
    return found if found.startswith('"') else number_text(float(found))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _outside_texts(text: str) -> str:
    return TEXT.sub(lambda match: '"' * len(match[0]), text)


def _message(text: str, error: json.JSONDecodeError) -> str:
    what, place = error.msg, error.pos
    if what.startswith("Illegal trailing comma"):  # as Python 3.13 says it
        place += len(text[place + 1 :]) - len(text[place + 1 :].lstrip()) + 1
        what = "Expecting value" if text[place] == "]" else NO_NAME
    if what == "Expecting value":
        return _token(text, place)
    if what.startswith("Unterminated string"):
        return _at(text, len(text), "Unterminated string")
    if what == NO_NAME:
        first = text[:place].rstrip().endswith("{")
        wanted = "property name or '}'" if first else "double-quoted property name"
        return _at(text, place, f"Expected {wanted}")
    if what == "Expecting ',' delimiter":
        return _at(text, place, f"Expected ',' or {_container(text[:place])}")
    return _at(text, place + what.startswith("Invalid \\"), TOLD.get(what, what))


def _at(text: str, place: int, message: str) -> str:
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    within = "" if message.endswith("JSON") else " in JSON"
    return f"{message}{within} at position {place} (line {line} column {column})"


def _token(text: str, place: int) -> str:
    if place >= len(text.rstrip()):
        return "Unexpected end of JSON input"
    if text.strip() in WORDS:
        return f'"{text.strip()}" is not valid JSON'
    shown = f'"{text}"'
    if len(text) > SHOWN_MAX:
        start, end = max(0, place - AROUND), place + AROUND
        shown = f'"{text[start:end]}"'
        shown = f"{'...' if start else ''}{shown}{'... ' if end < len(text) else ' '}".rstrip(" ")
    return f"Unexpected token '{text[place]}', {shown} is not valid JSON"


def _container(before: str) -> str:
    """Return what may close the innermost open container, and what it may come after."""
    opened = []
    for sign in _outside_texts(before):
        if sign in "[{":
            opened.append(sign)
        elif sign in "]}":
            opened.pop()
    return "']' after array element" if opened[-1] == "[" else "'}' after property value"
