"""`ctx.storage.sql`: values, rows, errors."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

import msgspec
import pytest
from pydantic import BaseModel
from tests.sql.rig import Rig

from wakeful.errors import SqlError, again
from wakeful.facet import Persistence


@pytest.fixture
def rig() -> Rig:
    return Rig()


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "kept", "kind"),
    [
        (None, None, "null"),
        (0, 0, "integer"),
        (2**63 - 1, 2**63 - 1, "integer"),
        (-(2**63), -(2**63), "integer"),
        (9007199254740993, 9007199254740993, "integer"),
        (True, 1, "integer"),
        (False, 0, "integer"),
        (Level.HIGH, 3, "integer"),
        (1.5, 1.5, "real"),
        (math.inf, math.inf, "real"),
        (math.nan, None, "null"),
        ("é\0😀", "é\0😀", "text"),
        ("", "", "text"),
        (b"\0\xff", b"\0\xff", "blob"),
        (bytearray(b"a"), b"a", "blob"),
        (memoryview(b"a"), b"a", "blob"),
    ],
)
def test_values_go_in_and_come_out(rig: Rig, value: object, kept: object, kind: str) -> None:
    row = rig.sql.exec("SELECT ? v, typeof(?) k", value, value).one()
    assert row == {"v": kept, "k": kind}
    assert type(row["v"]) is type(kept)


@pytest.mark.parametrize("value", [[1], {"a": 1}, date(2026, 1, 1), Decimal(1), object(), 1j])
def test_other_values_are_refused_by_position(rig: Rig, value: object) -> None:
    with pytest.raises(SqlError, match=f"binding 2 is a {type(value).__name__}"):
        rig.sql.exec("SELECT ?, ?", 1, value)


@pytest.mark.parametrize("value", [2**63, "\ud800"])
def test_values_that_sqlite_has_not_are_refused(rig: Rig, value: object) -> None:
    with pytest.raises(SqlError, match="a text or a binding cannot be used"):
        rig.sql.exec("SELECT ?", value)


def test_bindings_belong_to_the_last_statement(rig: Rig) -> None:
    assert rig.sql.exec("SELECT 1 a; SELECT 2 b").all() == [{"b": 2}]
    assert rig.sql.exec("CREATE TABLE t(a); INSERT INTO t VALUES (?) RETURNING a", 7).one() == {
        "a": 7
    }
    for sql, bindings in (("SELECT ?", ()), ("SELECT 1", (1,))):
        with pytest.raises(SqlError, match="wrong number of bindings"):
            rig.sql.exec(sql, *bindings)
    with pytest.raises(SqlError, match="only the last of several statements"):
        rig.sql.exec("SELECT ?; SELECT ?", 1, 2)
    with pytest.raises(SqlError, match="cannot be used"):
        rig.sql.exec("SELECT 1;\0")
    assert rig.sql.exec("SELECT :a x, :b y", 1, 2).one() == {"x": 1, "y": 2}


@pytest.mark.parametrize("sql", ["", "  ", "-- x", ";", "/* x */"])
def test_no_statement_is_an_error(rig: Rig, sql: str) -> None:
    with pytest.raises(SqlError, match="did not contain a statement"):
        rig.sql.exec(sql)


def test_rows_are_asked_for_by_what_is_expected(rig: Rig) -> None:
    sql = "SELECT value n FROM json_each('[1,2,3]')"
    none = sql + " WHERE value > 3"
    assert rig.sql.exec(sql).all() == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert rig.sql.exec(sql).first() == {"n": 1}
    assert rig.sql.exec(none).first() is None
    assert rig.sql.exec(none).all() == []
    assert list(rig.sql.exec(sql).raw()) == [(1,), (2,), (3,)]
    assert rig.sql.exec(sql + " LIMIT 1").one() == {"n": 1}
    for rows, what in ((sql, "there are more"), (none, "there is none")):
        with pytest.raises(SqlError, match=what):
            rig.sql.exec(rows).one()


def test_readers_of_one_cursor_share_its_position(rig: Rig) -> None:
    rows = rig.sql.exec("SELECT value n FROM json_each('[1,2,3]')")
    assert next(rows.raw()) == (1,)
    assert next(rows) == {"n": 2}
    assert rows.all() == [{"n": 3}]
    for _ in range(2):
        assert next(rows, None) is None
        assert rows.all() == []


def test_rows_are_read_one_ahead(rig: Rig) -> None:
    rows = rig.sql.exec("SELECT value n FROM json_each('[1,2,3]')")
    seen = [rows.rows_read]
    for _ in rows:
        seen.append(rows.rows_read)
    assert seen == [1, 2, 3, 3]


def test_written_rows_are_counted(rig: Rig) -> None:
    sql = rig.sql
    assert sql.exec("CREATE TABLE t(a)").rows_written == 0
    assert sql.exec("INSERT INTO t VALUES (1), (2), (3)").rows_written == 3
    assert sql.exec("UPDATE t SET a = 0 WHERE a > 1 RETURNING a").rows_written == 2
    assert sql.exec("DELETE FROM t").rows_written == 3
    assert sql.exec("SELECT * FROM t").rows_written == 0
    assert sql.exec("SELECT changes() n").one() == {"n": 3}


def test_columns_are_known_with_and_without_rows(rig: Rig) -> None:
    rig.sql.exec("CREATE TABLE t(a, b)")
    assert rig.sql.exec("SELECT b, a, ? AS c FROM t", 1).columns == ("b", "a", "c")
    assert rig.sql.exec("SELECT 1 a, 2 a").columns == ("a", "a")
    assert rig.sql.exec("SELECT 1 a, 2 a").one() == {"a": 2}
    assert list(rig.sql.exec("SELECT 1 a, 2 a").raw()) == [(1, 2)]
    assert rig.sql.exec("INSERT INTO t VALUES (1, 2)").columns == ()
    for once in ("CREATE TABLE n(a)", "ALTER TABLE n RENAME a TO b", "DROP TABLE n"):
        assert rig.sql.exec(once).columns == ()
    rows = rig.sql.exec("SELECT a FROM t")
    assert rows.all() == [{"a": 1}]
    assert rows.columns == ("a",)


@dataclass
class Line:
    name: str
    paid: bool
    on: date | None = None


class Point(msgspec.Struct):
    x: int
    y: float


def test_rows_become_what_is_asked_for(rig: Rig) -> None:
    sql = "SELECT 'tea' AS name, 1 AS paid, '2026-01-02' AS \"on\""
    assert rig.sql.exec(sql, into=Line).one() == Line("tea", True, date(2026, 1, 2))
    points = rig.sql.exec("SELECT value x, value y FROM json_each('[1,2]')", into=Point)
    assert points.first() == Point(1, 1.0)
    assert list(rig.sql.exec("SELECT 1 x, 2 y", into=Point)) == [Point(1, 2.0)]
    with pytest.raises(SqlError, match="a row does not fit Point"):
        rig.sql.exec("SELECT 'a' x, 1 y", into=Point).all()


class Pair(NamedTuple):
    name: str
    count: int


class Price(BaseModel):
    amount: Decimal


@pytest.mark.parametrize(
    ("sql", "into", "expected"),
    [
        ("SELECT 5", int, 5),
        ("SELECT 'tea'", str, "tea"),
        ("SELECT '2026-01-02'", date, date(2026, 1, 2)),
        ("SELECT 'tea', 5", Pair, Pair("tea", 5)),
        ("SELECT 'tea', 5", tuple[str, int], ("tea", 5)),
        ("SELECT '1.50' AS amount", Price, Price(amount=Decimal("1.50"))),
        ("SELECT 1 AS n", dict[str, int], {"n": 1}),
        ("SELECT 1 AS n", dict[str, object], {"n": 1}),
    ],
)
def test_a_row_is_read_by_name_by_position_or_as_its_only_column(
    rig: Rig, sql: str, into: type, expected: object
) -> None:
    assert rig.sql.exec(sql, into=into).all() == [expected]
    assert rig.sql.exec(sql).one(into=into) == expected


def test_a_row_of_several_columns_is_no_single_value(rig: Rig) -> None:
    with pytest.raises(SqlError, match=r"a row of 2 columns \(a, b\) does not fit one value"):
        rig.sql.exec("SELECT 1 AS a, 2 AS b").one(into=int)


class Plain:
    def __init__(self, x: int) -> None:
        self.x = x


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT 1 AS x"])
def test_a_row_does_not_become_an_object_of_a_plain_class(rig: Rig, sql: str) -> None:
    with pytest.raises(SqlError, match="a row does not fit Plain: Plain is not a class that"):
        rig.sql.exec(sql).one(into=Plain)


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELEC 1", 'near "SELEC": syntax error at offset 0: SQLITE_ERROR'),
        ("SELECT * FROM nope", "no such table: nope: SQLITE_ERROR"),
        (
            "INSERT INTO t VALUES (1, 2)",
            "UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT"
            " (extended: SQLITE_CONSTRAINT_PRIMARYKEY)",
        ),
        ("PRAGMA user_version", "not authorized: SQLITE_AUTH"),
    ],
)
def test_errors_carry_what_sqlite_says(rig: Rig, sql: str, text: str) -> None:
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)")
    with pytest.raises(SqlError) as raised:
        rig.sql.exec(sql)
    assert str(raised.value) == text
    twin = again(raised.value)
    assert (str(twin), vars(twin)) == (text, vars(copy.copy(raised.value)))


def test_the_size_is_what_is_used(rig: Rig) -> None:
    assert rig.sql.database_size == 4096
    rig.sql.exec("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(100000))")
    assert rig.sql.database_size == 26 * 4096
    rig.sql.exec("DELETE FROM t")
    assert rig.sql.database_size == 2 * 4096


STRICT = Persistence(sql_strict=True)


@pytest.mark.parametrize("sql", ["SELECT 1;;", "SELECT 1; -- x", "SELECT 1; /* x */ ;", " ;;"])
def test_a_strict_text_ends_with_a_statement(sql: str) -> None:
    with pytest.raises(SqlError, match="did not contain a statement"):
        Rig(STRICT).sql.exec(sql)


@pytest.mark.parametrize("sql", ["SELECT 1 a;\n", "; SELECT 1 a", "SELECT 1 a -- ;", "SELECT 1 a;"])
def test_a_strict_text_may_end_with_a_semicolon(sql: str) -> None:
    assert list(Rig(STRICT).sql.exec(sql).raw()) == [(1,)]


def test_the_hidden_table_is_refused_by_name() -> None:
    sql = Rig(STRICT).sql
    with pytest.raises(SqlError, match=r"access to _cf_KV\.key is prohibited"):
        sql.exec("SELECT * FROM _cf_KV")
    for text in ("DROP TABLE _cf_KV", "DELETE FROM _cf_kv", "PRAGMA table_info(_cf_KV)"):
        with pytest.raises(SqlError, match="not authorized"):
            sql.exec(text)
    assert "_cf_KV" not in [row["name"] for row in sql.exec("PRAGMA table_list")]
    with pytest.raises(SqlError, match="no such table"):
        Rig().sql.exec("SELECT * FROM _cf_KV")


@pytest.mark.parametrize("sql", ["DELETE FROM t LIMIT 1", "update t SET a = 1 ORDER BY a LIMIT 1"])
def test_a_limit_that_is_not_understood_is_explained(rig: Rig, sql: str) -> None:
    rig.sql.exec("CREATE TABLE t(a)")
    with pytest.raises(SqlError, match=r"syntax error.*WHERE rowid IN"):
        rig.sql.exec(sql)
    with pytest.raises(SqlError, match="no such table: nope"):
        rig.sql.exec("DELETE FROM nope")


def test_functions_that_cloudflare_has_not_are_refused_where_it_is_strict(rig: Rig) -> None:
    assert rig.sql.exec("SELECT log10(100) x").one() == {"x": 2.0}
    with pytest.raises(SqlError, match="not authorized to use function: log10"):
        Rig(STRICT).sql.exec("SELECT log10(100) x")
