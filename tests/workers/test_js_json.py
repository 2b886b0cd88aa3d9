"""JSON as JavaScript has it; the texts of errors are V8's."""

import math
from typing import Any

import pytest

from wakeful.workers import js_json
from wakeful.workers.proxies import JsSyntaxError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Unexpected end of JSON input"),
        ("[1, ", "Unexpected end of JSON input"),
        ("[1, ]", "Unexpected token ']', \"[1, ]\" is not valid JSON"),
        (
            "[" + "1," * 20 + "x" + ",2" * 20 + "]",
            "Unexpected token 'x', ...\"1,1,1,1,1,x,2,2,2,2,\"... is not valid JSON",
        ),
        ("x", "Unexpected token 'x', \"x\" is not valid JSON"),
        ("NaN", '"NaN" is not valid JSON'),
        ('["NaN", NaN]', 'Unexpected token \'N\', "["NaN", NaN]" is not valid JSON'),
        ("[-Infinity]", "No number after minus sign in JSON at position 2 (line 1 column 3)"),
        ("{a}", "Expected property name or '}' in JSON at position 1 (line 1 column 2)"),
        (
            '{"a":1,}',
            "Expected double-quoted property name in JSON at position 7 (line 1 column 8)",
        ),
        ('{"a" 1}', "Expected ':' after property name in JSON at position 5 (line 1 column 6)"),
        (
            '{"a":1 "b"}',
            "Expected ',' or '}' after property value in JSON at position 7 (line 1 column 8)",
        ),
        (
            '["]",\n[1] 2]',
            "Expected ',' or ']' after array element in JSON at position 10 (line 2 column 5)",
        ),
        ("[1", "Expected ',' or ']' after array element in JSON at position 2 (line 1 column 3)"),
        (
            "1 2",
            "Unexpected non-whitespace character after JSON at position 2 (line 1 column 3)",
        ),
        ('"ab', "Unterminated string in JSON at position 3 (line 1 column 4)"),
        (
            '"a\n"',
            "Bad control character in string literal in JSON at position 2 (line 1 column 3)",
        ),
        ('"\\x"', "Bad escaped character in JSON at position 2 (line 1 column 3)"),
    ],
)
def test_what_is_no_json_is_told_as_v8_does(text: str, told: str) -> None:
    with pytest.raises(JsSyntaxError) as error:
        js_json.read(text)
    assert error.value.message == told


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1.0, -0.0, 1e-7, 1e16, 1e21, 0.1], "[1,0,1e-7,10000000000000000,1e+21,0.1]"),
        ([math.nan, math.inf, None, True], "[null,null,null,true]"),
        ('1e-07 "x" é\ud800', '"1e-07 \\"x\\" é\\ud800"'),
        ({"a": (), 1: {}, "o": object()}, '{"a":[],"1":{},"o":{}}'),
    ],
)
def test_values_are_written_as_javascript_writes_them(value: Any, text: str) -> None:
    assert js_json.write(value) == text


def test_numbers_are_doubles() -> None:
    zero, large, whole = js_json.read("[-0, 12345678901234567890, 2.0]")
    assert (math.copysign(1, zero), large, type(whole)) == (-1, 12345678901234567890.0, int)
    assert js_json.read("9" * 500) == math.inf
