"""RegExp: JavaScript's regular expressions, which are not Python's.

Source:  ECMAScript standard; the engine is corvus-regex-ecma262.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any, Final

from wakeful.workers.proxies import JsArray, JsDict, JsProxy, JsSyntaxError
from wakeful.workers.shims.numbers import to_number
from wakeful.workers.values import js_string

FLAGS: Final = {
    "d": "hasIndices",
    "g": "global",
    "i": "ignoreCase",
    "m": "multiline",
    "s": "dotAll",
    "u": "unicode",
    "v": "unicodeSets",
    "y": "sticky",
}
UNITS: Final = "utf-16-le" if sys.byteorder == "little" else "utf-16-be"
BREAKS: Final = {"\n": "\\n", "\r": "\\r", "\u2028": "\\u2028", "\u2029": "\\u2029", "/": "\\/"}


class Found(JsArray):
    """What `exec` has found: the whole, and what each group took; None for one that took nothing.

    Attributes:
        index: where it begins, in UTF-16 units, as `lastIndex`.
        input: the text.
        groups: what named groups took, by name; None if there are no such groups.
        indices: begin and end of each, with the flag `d`.
    """

    index: int  # type: ignore[assignment]  # as in JavaScript, not the method of a list
    input: str
    groups: JsDict | None
    indices: JsArray | None


class RegExp(JsProxy):
    """`js.RegExp`.

    Attributes:
        lastIndex: where the next search begins, with the flags `g` and `y`.

    Raises:
        JsSyntaxError: the pattern, or a flag, is none.
    """

    js_name = "RegExp"
    flags: str
    _pattern: str

    def __init__(self, pattern: Any = "", flags: Any = None) -> None:
        if isinstance(pattern, RegExp):
            flags = pattern.flags if flags is None else flags
            pattern = pattern._pattern
        self._pattern = js_string(pattern)
        self.flags = "".join(sorted(js_string(flags, none="")))
        self.lastIndex: Any = 0
        self._compiled = _compiled(self._pattern, self.flags)
        self._moves = "g" in self.flags or "y" in self.flags
        self._last: tuple[str, Any] = ("", "")  # the text asked about last, and its units

    @property
    def source(self) -> str:
        """The pattern, as it stands between slashes."""
        return _between_slashes(self._pattern) or "(?:)"

    def __getattr__(self, name: str) -> bool:
        for flag, property in FLAGS.items():
            if name == property:
                return flag in self.flags
        raise AttributeError(name)

    def exec(self, text: object = None) -> Found | None:
        """The next match of a text; None if there is none."""
        given = js_string(text)
        units = self._units(given)
        match = self._search(units)
        return None if match is None else _found(match, given, units, self.flags)

    def test(self, text: object = None) -> bool:
        """Whether a text has a match."""
        return self._search(self._units(js_string(text))) is not None

    def toString(self) -> str:
        """The pattern and its flags."""
        return str(self)

    def _units(self, text: str) -> Any:
        if text is not self._last[0]:
            self._last = text, _units(text)
        return self._last[1]

    def _search(self, units: Any) -> Any:
        start = _length(self.lastIndex) if self._moves else 0
        match = self._compiled.search(units, start) if start <= len(units) else None
        if self._moves:
            self.lastIndex = 0 if match is None else match.end()
        return match

    def __str__(self) -> str:
        return f"/{self.source}/{self.flags}"

    __repr__ = __str__

    def __wakeful_copy__(self) -> RegExp:
        return RegExp(self)


def _compiled(pattern: str, flags: str) -> Any:
    import corvus_regex_ecma262 as engine  # few Workers need it

    try:
        return engine.compile(pattern, flags)
    except engine.error as error:
        if error.kind == "flags":
            raise JsSyntaxError(f"Invalid flags supplied to RegExp constructor '{flags}'") from None
        raise JsSyntaxError(f"Invalid regular expression: /{pattern}/{flags}: {error}") from None


def _units(text: str) -> Any:
    """Prepare a text for JavaScript's indices, which count UTF-16 units."""
    if text.isascii():
        return text
    data = text.encode(UNITS, "surrogatepass")
    return text if len(data) == 2 * len(text) else array("H", data)


def _text(part: Any) -> Any:
    return part.tobytes().decode(UNITS, "surrogatepass") if isinstance(part, array) else part


def _found(match: Any, text: str, units: Any, flags: str) -> Found:
    found = Found(map(_text, (match.group(), *match.groups())))
    found.index, found.input = match.start(), text
    named = {name: _text(part) for name, part in match.groupdict().items()}
    found.groups = JsDict(named) if named else None
    found.indices = None
    if "d" in flags:
        spans = (match.span(number) for number in range(len(found)))
        found.indices = JsArray(None if span[0] < 0 else JsArray(span) for span in spans)
    return found


def _length(value: Any) -> int:
    """Convert an index as JavaScript does."""
    number = to_number(value)
    return int(min(number, 2**53 - 1)) if number > 0 else 0


def _between_slashes(pattern: str) -> str:
    shown, in_class, escaped = [], False, False
    for sign in pattern:
        if escaped or (sign == "/" and in_class):
            shown.append(BREAKS[sign].removeprefix("\\") if escaped and sign in "\n\r" else sign)
            escaped = False
            continue
        escaped = sign == "\\"
        in_class = sign == "[" or (in_class and sign != "]")
        shown.append(BREAKS.get(sign, sign))
    return "".join(shown)
