"""The lines of .dev.vars."""

import pytest

from wakeful.workers.config import dotvars


def test_all_forms() -> None:
    text = """\ufeff# secrets
    A=plain value # said here
    export B = "two\\nlines \\"quoted\\" \\x"
C='as $it is \\n'

D=`it's`
E=
F="first
second"   # of F
A2=http://h/?a=b\r
G="#no comment"
B2="x"
B2=y"""
    assert dotvars.loads(text) == {
        "A": "plain value",
        "B": 'two\nlines "quoted" \\x',
        "C": "as $it is \\n",
        "D": "it's",
        "E": "",
        "F": "first\nsecond",
        "A2": "http://h/?a=b",
        "G": "#no comment",
        "B2": "y",
    }


@pytest.mark.parametrize("text", ["A=1\nno entry", "A=1\n=x", "A=1\n'a'=b", 'A=1\nB="x', "A\n"])
def test_what_is_no_entry_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=f"line {text.count(chr(10), 0, -1) + 1} is not KEY=VALUE"):
        dotvars.loads(text)
