"""URLPattern: URLs that are alike, and what differs in them.

Source:  URL Pattern standard; the package urlpattern.
"""

from __future__ import annotations

from typing import Any, Final

from wakeful.workers.proxies import JsArray, JsDict, JsProxy, JsTypeError, options_of
from wakeful.workers.values import js_string

PARTS: Final = (
    *("protocol", "username", "password", "hostname", "port", "pathname", "search", "hash"),
)


class URLPattern(JsProxy):
    """`js.URLPattern`: made of a pattern, perhaps with a base URL, or of patterns of its parts.

    Groups are regular expressions of Rust's `regex`: they neither look ahead nor refer back.

    Attributes:
        protocol, username, password, hostname, port, pathname, search, hash: the patterns of parts.
        hasRegExpGroups: there is a regular expression among them.

    Raises:
        JsTypeError: the pattern is not valid.
    """

    js_name = "URLPattern"

    def __init__(self, input: Any = None, base: Any = None, options: Any = None, **named: Any):
        import urlpattern  # few Workers need it

        if isinstance(base, dict):
            base, options = None, base
        chosen = options_of(options, named.items())
        given = [_input(input), *([] if base is None else [js_string(base)])]
        try:
            make: Any = urlpattern.URLPattern
            self._pattern = make(*given, {"ignoreCase": bool(chosen.get("ignoreCase"))})
        except (TypeError, ValueError) as error:
            raise JsTypeError(f"Failed to construct 'URLPattern': {error}") from None

    def __getattr__(self, name: str) -> Any:
        if name in PARTS or name == "hasRegExpGroups":
            return getattr(self._pattern, name)
        raise AttributeError(name)

    def test(self, input: Any = None, base: Any = None) -> bool:
        """Whether a URL matches."""
        return self.exec(input, base) is not None

    def exec(self, input: Any = None, base: Any = None) -> JsDict | None:
        """Match a URL; return each part's `input` and `groups` by name; None without a match."""
        given = [_input(input), *([] if base is None else [js_string(base)])]
        try:
            found = self._pattern.exec(*given)
        except (TypeError, ValueError) as error:
            raise JsTypeError(str(error)) from None
        return None if found is None else _as_js(found)


def _input(given: Any) -> Any:
    """A URL, or its parts."""
    if given is None:
        return {}
    if isinstance(given, dict):
        return {name: js_string(value) for name, value in given.items() if value is not None}
    return js_string(given)


def _as_js(value: Any) -> Any:
    match value:
        case dict():
            return JsDict((name, _as_js(item)) for name, item in value.items())
        case list():
            return JsArray(map(_as_js, value))
        case _:
            return value
