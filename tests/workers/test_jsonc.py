"""JSON with comments and trailing commas."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeful.workers.config import jsonc

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_comments_and_trailing_commas() -> None:
    text = """\ufeff
    // the Worker
    { /* its name */ "name": "x", // here
      "list": [1, 2, /* last */ 3, // really
      ],
      "text": "// no /* comment */ ,]",
      "escaped": "\\"//",
      "empty": [], "nested": {"a": [{},],},
    }
    """
    assert jsonc.loads(text) == {
        "name": "x",
        "list": [1, 2, 3],
        "text": "// no /* comment */ ,]",
        "escaped": '"//',
        "empty": [],
        "nested": {"a": [{}]},
    }


@settings(max_examples=50)
@given(values)
def test_plain_json_stays_what_it_is(value: object) -> None:
    for indent in (None, 2):
        assert jsonc.loads(json.dumps(value, indent=indent)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[,]", "line 1, column 2"),
        ("[1,,]", "line 1, column 4"),
        ("{,}", "line 1, column 2"),
        ('{"a":,}', "line 1, column 6"),
        ("// x\n{\n  a: 1}", "line 3, column 3"),
        ('{\n  "a": 1 /* \n', "line 2, column 10 has no end"),
        ('{"a": "x', "line 1"),
        ("", "line 1, column 1"),
        ("1 // \n 2", "line 2, column 2"),
        ("[NaN]", "NaN"),
        ("[1 / 2]", "line 1, column 4"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": "' + '\\"' * 100_000, "line 1, column 7"),  # which took minutes
    ],
)
def test_malformed_text_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jsonc.loads(text)
