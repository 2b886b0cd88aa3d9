"""Cutting SQL text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeful.sql.statements import is_blank, split

TRIGGER = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;"


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2", ["SELECT 1;", "SELECT 2"]),
        ("SELECT 1;;\n -- end", ["SELECT 1;"]),
        ("SELECT ';'; SELECT 2", ["SELECT ';';", "SELECT 2"]),
        ("SELECT 'it''s;'; SELECT 2", ["SELECT 'it''s;';", "SELECT 2"]),
        ('SELECT ";", `;`, [;]', ['SELECT ";", `;`, [;]']),
        ("SELECT 1 -- ;\n; SELECT 2", ["SELECT 1 -- ;\n;", "SELECT 2"]),
        ("SELECT 1 /* ; */; SELECT 2", ["SELECT 1 /* ; */;", "SELECT 2"]),
        ("SELECT 'not closed; SELECT 2", ["SELECT 'not closed; SELECT 2"]),
        (TRIGGER + " SELECT 3", [TRIGGER, "SELECT 3"]),
        ("EXPLAIN " + TRIGGER, ["EXPLAIN " + TRIGGER]),
        ("SELECT trigger; SELECT 2", ["SELECT trigger;", "SELECT 2"]),
    ],
)
def test_a_text_is_cut_at_the_ends_of_statements(text: str, statements: list[str]) -> None:
    assert split(text) == statements


@pytest.mark.parametrize("text", ["", " \n", ";", "-- x", "/* x */ ; -- y\n", "/* not closed"])
def test_what_has_no_statement_is_blank(text: str) -> None:
    assert is_blank(text)
    assert split(text) == []


def test_what_has_a_statement_is_not_blank() -> None:
    assert not is_blank("-- a\nSELECT 1")


@pytest.mark.parametrize(
    "text", ["-- " * 30_000 + "\nx", "/* " * 30_000, "'" * 60_001, "; " * 9_000]
)
def test_odd_texts_take_no_longer_than_others(text: str) -> None:
    assert len(split(text)) <= 1


@given(
    st.lists(st.sampled_from(["SELECT 1", "'a;b'", "--c;\n", "/*;*/", ";", " ", "x"]), max_size=12)
)
def test_nothing_but_blanks_is_lost(parts: list[str]) -> None:
    text = "".join(parts)
    kept = "".join(split(text))
    assert [c for c in kept if c in "Sx"] == [c for c in text if c in "Sx"]
