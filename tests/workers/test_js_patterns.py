"""RegExp and URLPattern of the module `js`: the facts are what Node.js says."""

from typing import Any

import pytest
from tests.workers.environments import Recorded

from wakeful.workers.proxies import JsException, JsSyntaxError, JsTypeError
from wakeful.workers.shims.workers_module import shim_modules


@pytest.fixture(scope="module")
def js() -> Any:
    return shim_modules(Recorded().environment)["js"]


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "found"),
    [
        ("a(b)?c", "", "xac", (["ac", None], 1)),
        (r"\d", "", "٣3", (["3"], 1)),  # Python's digit is any script's
        (r"\s+", "", "x\u00a0\ufeff ", (["\u00a0\ufeff "], 1)),
        ("a.c", "", "a\u2028c", None),
        ("a.c", "s", "a\u2028c", (["a\u2028c"], 0)),
        ("b$", "", "b\n", None),  # which Python's `$` takes
        ("[^]", "", "\n", (["\n"], 0)),
        (r"\1(a)", "", "a", (["a", "a"], 0)),
        ("(z)((a+)?(b+)?(c))*", "", "zaacbbbcac", (["zaacbbbcac", "z", "ac", "a", None, "c"], 0)),
        (r"(?<=\$)\d+(?!\d)", "", "$12", (["12"], 1)),
        (r"\p{L}+", "u", "1é", (["é"], 1)),
        ("\u017f", "i", "S", None),  # a long s
        ("\u017f", "iu", "S", (["S"], 0)),
        ("^.$", "", "\U0001f600", None),
        ("^.$", "u", "\U0001f600", (["\U0001f600"], 0)),
        ("b", "", "\U0001f600b", (["b"], 2)),  # places are UTF-16 units
        (r"\ud83d", "", "\U0001f600", (["\ud83d"], 0)),
        ("(?:)", "", "", ([""], 0)),
    ],
)
def test_matches(js: Any, pattern: str, flags: str, text: str, found: Any) -> None:
    expression = js.RegExp.new(pattern, flags)
    match = expression.exec(text)
    assert (match and (list(match), match.index)) == found
    assert expression.test(text) is (found is not None)


def test_what_a_match_knows(js: Any) -> None:
    match = js.RegExp.new(r"(?<y>\d{4})-(?<m>\d\d)?", "d").exec("in 2026-")
    assert (match.input, match.length, match[1], match.groups.y, match.groups.m) == (
        *("in 2026-", 3, "2026"),
        *("2026", None),
    )
    assert match.indices == [[3, 8], [3, 7], None]
    plain = js.RegExp.new("a").exec("a")
    assert (plain.groups, plain.indices) == (None, None)


def test_a_search_goes_on(js: Any) -> None:
    expression = js.RegExp.new("a|b", "g")
    text = "\U0001f600a b"
    found = []
    while (match := expression.exec(text)) is not None:
        found.append((match[0], match.index, expression.lastIndex))
    assert found == [("a", 2, 3), ("b", 4, 5)]
    assert expression.lastIndex == 0
    expression.lastIndex = 99
    assert expression.exec(text) is None
    assert expression.lastIndex == 0
    sticky = js.RegExp.new("b", "y")
    assert (sticky.test("ab"), sticky.lastIndex) == (False, 0)
    sticky.lastIndex = 1
    assert (sticky.test("ab"), sticky.lastIndex) == (True, 2)


def test_what_an_expression_is(js: Any) -> None:
    expression = js.RegExp.new("[/]/\n", "yg")
    assert (expression.source, expression.flags, str(expression)) == (
        *("[/]\\/\\n", "gy", "/[/]\\/\\n/gy"),
    )
    assert (expression.sticky, expression.ignoreCase) == (True, False)
    with pytest.raises(AttributeError):
        _ = expression.none
    other = js.RegExp.new(expression, "i")
    assert (other.source, other.flags, js.RegExp.new(expression).flags) == ("[/]\\/\\n", "i", "gy")
    assert (js.RegExp.new().source, js.String(js.RegExp.new("a"))) == ("(?:)", "/a/")
    copy = js.structuredClone([expression])[0]
    assert copy.toString() == expression.toString()
    assert copy is not expression


@pytest.mark.parametrize(
    ("pattern", "flags", "message"),
    [
        ("(", "", "Invalid regular expression: /(/: "),
        (r"\-", "u", "Invalid regular expression: /\\-/u: "),
        ("a", "gg", "Invalid flags supplied to RegExp constructor 'gg'"),
        ("a", "uv", "Invalid flags supplied to RegExp constructor 'uv'"),
    ],
)
def test_what_is_no_expression(js: Any, pattern: str, flags: str, message: str) -> None:
    with pytest.raises(JsSyntaxError) as raised:
        js.RegExp.new(pattern, flags)
    assert raised.value.message.startswith(message)


@pytest.mark.parametrize(
    ("given", "url", "part", "groups"),
    [
        (("https://*.example.com/a/*",), "https://x.example.com/a/b/c", "hostname", {"0": "x"}),
        (({"pathname": "/x/:y?"},), "https://h/x", "pathname", {"y": None}),
        (({"pathname": "/x/:y?"},), "https://h/x/1/2", "pathname", None),
        ((r"/a(\d+)", "https://h"), "https://h/a12", "pathname", {"0": "12"}),
        (("/:a-:b", "https://h"), "https://h/1-2", "pathname", {"a": "1", "b": "2"}),
        (("/A", "https://h", {"ignoreCase": True}), "https://h/a", "pathname", {}),
        (("/A", "https://h"), "https://h/a", "pathname", None),
        (({"hostname": "{:sub.}?h"},), "https://s.h/", "hostname", {"sub": "s"}),
        (("/caf%C3%A9/:n", "https://h"), "https://h/café/ü", "pathname", {"n": "%C3%BC"}),
        (("?q=:v", "https://h/p"), "https://h/p?q=5", "search", {"v": "5"}),
    ],
)
def test_urls_match(js: Any, given: Any, url: str, part: str, groups: Any) -> None:
    pattern = js.URLPattern.new(*given)
    found = pattern.exec(url)
    assert (found and found[part].groups) == groups
    assert pattern.test(js.URL.new(url)) is (groups is not None)


def test_parts_of_a_url_pattern(js: Any) -> None:
    pattern = js.URLPattern.new(r"https://h/:a(\d+)/*", ignoreCase=False)
    assert (pattern.protocol, pattern.hostname, pattern.pathname) == ("https", "h", r"/:a(\d+)/*")
    assert (pattern.search, pattern.hasRegExpGroups) == ("*", True)
    found = pattern.exec("/1/x", "https://h")
    assert (found.inputs, found.pathname.input) == (["/1/x", "https://h"], "/1/x")
    assert js.URLPattern.new().test({"hostname": "h"})
    assert not pattern.test("no URL")
    for wrong in (("/books/:id",), ("(", "https://h"), ("https://h/:a/:a",)):
        with pytest.raises(JsTypeError, match="Failed to construct 'URLPattern'"):
            js.URLPattern.new(*wrong)
    with pytest.raises(JsException):
        pattern.exec({"hostname": "h"}, "https://h")
