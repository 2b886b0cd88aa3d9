"""The first statement of a turn, if it only writes, is committed by SQLite itself: nobody sees it.

Whatever a turn does after it, and however it ends, must be as if it had been in a transaction.
"""

from __future__ import annotations

import pytest
from tests.sql.rig import Rig

from wakeful.errors import LimitExceeded, SqlError
from wakeful.facet import Persistence
from wakeful.sql.statements import only_writes

INSERT = "INSERT INTO t VALUES (?)"


@pytest.fixture(params=["", " RETURNING a"], ids=["plain", "returning"])
def insert(request: pytest.FixtureRequest) -> str:
    return f"{INSERT}{request.param}"


@pytest.fixture(params=[False, True], ids=["generous", "strict"])
def rig(request: pytest.FixtureRequest) -> Rig:
    rig = Rig(Persistence(sql_strict=request.param))
    rig.sql.exec("CREATE TABLE t(a PRIMARY KEY)")
    rig.sql.exec("CREATE TABLE parents(id INTEGER PRIMARY KEY)")
    rig.sql.exec(
        "CREATE TABLE children(parent REFERENCES parents(id) DEFERRABLE INITIALLY DEFERRED)"
    )
    rig.commit()
    return rig


def rows(rig: Rig) -> list[object]:
    return [row for (row,) in rig.sql.exec("SELECT a FROM t ORDER BY a").raw()]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO t VALUES (1)", True),
        ("  insert into t values (1)", True),
        ("REPLACE INTO t VALUES (1);", True),
        ("UPDATE t SET a = 1", True),
        ("DELETE FROM t", True),
        ("INSERTED", False),
        ("SELECT 1", False),
        ("INSERT INTO t VALUES (1) RETURNING a", True),
        ("INSERT INTO t VALUES (1); DELETE FROM t", False),
        ("INSERT INTO t VALUES (';')", False),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", False),
        ("-- a comment\nDELETE FROM t", False),
        ("", False),
    ],
)
def test_a_look_tells_what_only_writes(sql: str, expected: bool) -> None:
    assert only_writes(sql) is expected


def test_it_is_undone_with_its_turn(rig: Rig, insert: str) -> None:
    rig.sql.exec(insert, 1)
    assert rig.database.touched
    rig.database.undo()
    assert not rig.database.touched
    assert rows(rig) == []


def test_it_is_undone_with_what_came_after_it(rig: Rig, insert: str) -> None:
    rig.sql.exec(insert, 1)
    rig.sql.exec(insert, 2)
    assert rows(rig) == [1, 2]
    rig.database.undo()
    assert rows(rig) == []


def test_it_is_committed_with_what_came_after_it(rig: Rig, insert: str) -> None:
    rig.sql.exec(insert, 1)
    rig.sql.exec(insert, 2)
    rig.commit()
    rig.wake()
    assert rows(rig) == [1, 2]


def test_a_second_turn_that_is_undone_leaves_the_first(rig: Rig, insert: str) -> None:
    rig.sql.exec(insert, 1)
    rig.save()
    rig.sql.exec(insert, 2)
    rig.database.undo()
    assert rows(rig) == [1]
    rig.fly()
    rig.land()
    rig.wake()
    assert rows(rig) == [1]


def test_a_later_failure_leaves_it(rig: Rig, insert: str) -> None:
    rig.sql.exec(insert, 1)
    with pytest.raises(SqlError, match="UNIQUE"):
        rig.sql.exec(insert, 1)
    assert rows(rig) == [1]


def test_a_failure_of_its_own_leaves_nothing(rig: Rig, insert: str) -> None:
    rig.sql.exec(insert, 1)
    rig.commit()
    with pytest.raises(SqlError, match=r"UNIQUE constraint failed: t\.a"):
        rig.sql.exec("INSERT INTO t VALUES (5), (1)")
    assert rows(rig) == [1]


def test_a_mark_after_it_keeps_it(rig: Rig, insert: str) -> None:
    rig.sql.exec(insert, 1)
    mark = rig.database.mark()
    rig.sql.exec(insert, 2)
    rig.database.undo(mark)
    assert rows(rig) == [1]
    rig.database.undo()
    assert rows(rig) == []


@pytest.mark.parametrize("end", ["", " RETURNING parent"])
def test_a_constraint_that_is_deferred_may_be_met_by_a_later_statement(rig: Rig, end: str) -> None:
    rig.sql.exec(f"INSERT INTO children VALUES (1){end}")
    rig.sql.exec("INSERT INTO parents VALUES (1)")
    rig.commit()
    assert rig.sql.exec("SELECT count(*) AS n FROM children").one() == {"n": 1}


def test_a_constraint_that_is_deferred_is_violated_at_the_commit_point(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO children VALUES (1)")
    with pytest.raises(SqlError, match="FOREIGN KEY"):
        rig.database.prepare()


def test_a_statement_that_ends_the_turn_when_it_fails_ends_it(rig: Rig, insert: str) -> None:
    rig.sql.exec(insert, 1)
    rig.commit()
    with pytest.raises(SqlError, match="UNIQUE"):
        rig.sql.exec("INSERT OR ROLLBACK INTO t VALUES (1)")
    with pytest.raises(SqlError, match="UNIQUE"):
        rig.sql.exec("SELECT 1")
    with pytest.raises(SqlError, match="UNIQUE"):
        rig.database.prepare()
    rig.database.undo()
    assert rows(rig) == [1]


def test_rows_that_it_returns_are_all_there(rig: Rig) -> None:
    found = rig.sql.exec("INSERT INTO t VALUES (1), (2), (3) RETURNING a, a + 1 AS next")
    assert rig.sql.exec("SELECT count(*) AS n FROM t").one() == {"n": 3}
    assert found.columns == ("a", "next")
    assert [tuple(row.values()) for row in found] == [(1, 2), (2, 3), (3, 4)]
    assert found.rows_written == 3
    assert rig.sql.exec("DELETE FROM t WHERE a = 99 RETURNING a").all() == []
    rig.commit()
    rig.wake()
    assert rows(rig) == [1, 2, 3]


def test_rows_written_are_counted(rig: Rig) -> None:
    assert rig.sql.exec("INSERT INTO t VALUES (1), (2), (3)").rows_written == 3
    assert rig.sql.exec("UPDATE t SET a = a + 10 WHERE a > 1").rows_written == 2
    rig.commit()
    assert rig.sql.exec("DELETE FROM t WHERE a = 99").rows_written == 0
    assert not rig.database.touched


def test_a_turn_that_changes_too_much_is_told() -> None:
    rig = Rig(turn_bytes=40_000)
    rig.sql.exec("CREATE TABLE t(a)")
    rig.commit()
    rig.sql.exec("INSERT INTO t VALUES (randomblob(200000))")
    with pytest.raises(LimitExceeded, match="one turn changes more than"):
        rig.database.prepare()
    rig.database.undo()
    assert rows(rig) == []
    rig.sql.exec(INSERT, 1)
    rig.commit()
    assert rows(rig) == [1]
