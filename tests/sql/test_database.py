"""Turns, savepoints, failures, handles."""

from __future__ import annotations

import gc
import sys

import pytest
from tests.sql.rig import ACTOR, Rig, taken

from wakeful.errors import LimitExceeded, SqlError, StorageClosed
from wakeful.facet import Persistence
from wakeful.ids import ActorId

FILL = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?)"
    " INSERT INTO t(v) SELECT randomblob(1000) FROM c"
)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    rig.commit()
    return rig


def count(rig: Rig) -> object:
    return rig.sql.exec("SELECT count(*) n FROM t").one()["n"]


def test_what_is_committed_is_there_after_waking(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES ('a'), ('b')")
    rig.commit()
    rig.wake()
    assert count(rig) == 2


def test_an_undone_turn_leaves_nothing(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES ('a'); CREATE TABLE u(a)")
    rig.database.undo()
    assert count(rig) == 0
    assert rig.save() is False
    with pytest.raises(SqlError, match="no such table: u"):
        rig.sql.exec("SELECT * FROM u")


def test_a_turn_can_be_undone_after_it_was_prepared(rig: Rig) -> None:
    """Another part of the commit point may refuse."""
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    rig.database.prepare()
    rig.database.undo()
    assert count(rig) == 0
    rig.sql.exec("INSERT INTO t(v) VALUES ('b')")
    rig.commit()
    rig.wake()
    assert rig.sql.exec("SELECT v FROM t").one() == {"v": "b"}


def test_a_large_undone_turn_leaves_nothing() -> None:
    """Also what SQLite had to write out before, for its cache was full."""
    rig = Rig(cache_bytes=64 * 1024)
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    rig.sql.exec(FILL, 500)
    rig.commit()
    before = dict(rig.stored)
    rig.sql.exec("UPDATE t SET v = randomblob(1000)")
    rig.sql.exec(FILL, 500)
    rig.database.undo()
    assert count(rig) == 500
    assert rig.save() is False
    assert rig.stored == before
    assert rig.sql.exec("PRAGMA quick_check").one() == {"quick_check": "ok"}


def test_a_savepoint_takes_back_a_part(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    mark = rig.database.mark()
    rig.sql.exec("INSERT INTO t(v) VALUES ('b')")
    inner = rig.database.mark()
    rig.sql.exec("INSERT INTO t(v) VALUES ('c')")
    rig.database.release(inner)
    rig.database.undo(mark)
    rig.commit()
    rig.wake()
    assert rig.sql.exec("SELECT v FROM t").all() == [{"v": "a"}]


def test_a_savepoint_before_the_first_statement_takes_back_all(rig: Rig) -> None:
    mark = rig.database.mark()
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    rig.database.undo(mark)
    assert count(rig) == 0


def test_savepoints_may_end_in_any_order(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    outer = rig.database.mark()
    rig.sql.exec("INSERT INTO t(v) VALUES ('b')")
    inner = rig.database.mark()
    rig.sql.exec("INSERT INTO t(v) VALUES ('c')")
    rig.database.release(outer)
    rig.database.undo(inner)
    assert count(rig) == 2
    rig.database.undo(outer)
    rig.database.undo(inner)
    assert count(rig) == 1


def test_statements_before_a_failing_one_stay(rig: Rig) -> None:
    with pytest.raises(SqlError):
        rig.sql.exec("INSERT INTO t(v) VALUES ('a'); SELEC")
    assert count(rig) == 1


def test_a_failing_statement_takes_only_itself_back(rig: Rig) -> None:
    rig.sql.exec("CREATE UNIQUE INDEX one ON t(v); INSERT INTO t(v) VALUES (1)")
    with pytest.raises(SqlError, match="UNIQUE"):
        rig.sql.exec("INSERT INTO t(v) VALUES (2), (1)")
    rig.commit()
    assert count(rig) == 1


def test_a_deferred_violation_refuses_the_commit_point() -> None:
    rig = Rig()
    rig.sql.exec(
        "CREATE TABLE a(id INTEGER PRIMARY KEY);"
        "CREATE TABLE b(a REFERENCES a(id) DEFERRABLE INITIALLY DEFERRED)"
    )
    rig.commit()
    rig.sql.exec("INSERT INTO b VALUES (1)")
    with pytest.raises(SqlError) as raised:
        rig.save()
    assert raised.value.extended == "SQLITE_CONSTRAINT_FOREIGNKEY"
    rig.database.undo()
    assert rig.sql.exec("SELECT * FROM b").all() == []
    rig.sql.exec("INSERT INTO b VALUES (1); INSERT INTO a VALUES (1)")
    rig.commit()
    with pytest.raises(SqlError, match="FOREIGN KEY"):
        rig.sql.exec("CREATE TABLE c(a REFERENCES a(id)); INSERT INTO c VALUES (7)")


def test_foreign_keys_stay_on(rig: Rig) -> None:
    rig.sql.exec("PRAGMA foreign_keys=OFF")
    assert rig.sql.exec("PRAGMA foreign_keys").one() == {"foreign_keys": 1}


def test_a_database_has_a_limit() -> None:
    rig = Rig(Persistence(sql_bytes_max=40 * 4096))
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    rig.commit()
    with pytest.raises(LimitExceeded, match="sql_bytes_max"):
        rig.sql.exec(FILL, 500)
    rig.database.undo()
    assert count(rig) == 1
    rig.sql.exec("INSERT INTO t(v) VALUES ('b')")
    rig.commit()
    assert count(rig) == 2


@pytest.mark.parametrize("cache_bytes", [64 * 1024, 4 * 1024 * 1024])
def test_a_turn_has_a_limit(cache_bytes: int) -> None:
    """Whether it is met while the turn runs or when it is committed."""
    rig = Rig(turn_bytes=100 * 4096, cache_bytes=cache_bytes)
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    rig.commit()

    def turn() -> None:
        rig.sql.exec(FILL, 1000)
        rig.save()

    with pytest.raises(LimitExceeded, match="sql_turn_bytes"):
        turn()
    rig.database.undo()
    assert count(rig) == 0
    rig.sql.exec(FILL, 100)
    rig.commit()
    rig.wake()
    assert count(rig) == 100
    assert rig.sql.exec("PRAGMA quick_check").one() == {"quick_check": "ok"}


def test_a_turn_that_sqlite_has_rolled_back_is_not_committed() -> None:
    """Whoever catches the error cannot commit the half that came after it."""
    rig = Rig(seconds=0.01)
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    rig.commit()
    rig.sql.exec("INSERT INTO t(v) VALUES ('before')")
    mark = rig.database.mark()
    with pytest.raises(SqlError, match="sql_seconds"):
        rig.sql.exec(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
            " INSERT INTO t(v) SELECT x FROM c"
        )
    for _ in range(2):
        with pytest.raises(SqlError, match="sql_seconds"):
            rig.sql.exec("INSERT INTO t(v) VALUES ('after')")
    rig.database.undo(mark)
    assert rig.database.mark() == -1
    with pytest.raises(SqlError, match="sql_seconds"):
        rig.save()
    rig.database.undo()
    assert count(rig) == 0


def test_a_query_that_takes_too_long_takes_only_itself_back() -> None:
    rig = Rig(seconds=0.01)
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES ('a')")
    with pytest.raises(SqlError, match="sql_seconds") as raised:
        rig.sql.exec(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT max(x) FROM c"
        )
    assert raised.value.name == "SQLITE_INTERRUPT"
    rig.commit()
    assert count(rig) == 1


def test_pages_on_their_way_are_read(rig: Rig) -> None:
    """The store does not show them yet, and the handle that wrote them is closed."""
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    rig.save()
    rig.database.rest()
    assert count(rig) == 1
    rig.fly()
    rig.sql.exec("INSERT INTO t(v) VALUES ('b')")
    rig.save()
    rig.database.rest()
    assert count(rig) == 2
    rig.save()
    rig.land()
    rig.database.rest()
    assert count(rig) == 2
    rig.save()
    rig.fly()
    rig.land()
    rig.wake()
    assert count(rig) == 2


def test_a_closed_database_says_so_and_still_gives_what_was_saved(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    rig.save()
    rig.sql.exec("INSERT INTO t(v) VALUES ('b')")
    rig.database.close()
    with pytest.raises(StorageClosed):
        count(rig)
    rig.database.undo()
    rig.database.undo()
    assert rig.save() is False
    rig.fly()
    rig.land()
    rig.wake()
    assert rig.sql.exec("SELECT v FROM t").all() == [{"v": "a"}]


# --- cursors -------------------------------------------------------------------------------------


def test_a_cursor_with_rows_left_ends_at_the_commit_point(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES (1), (2)")
    rows = rig.sql.exec("SELECT v FROM t")
    assert next(rows) == {"v": 1}
    read = rig.sql.exec("SELECT v FROM t")
    assert len(read.all()) == 2
    rig.commit()
    for use in (lambda: next(rows), rows.all, rows.one):
        with pytest.raises(SqlError, match=r"take them before that with \.all\(\)"):
            use()
    assert list(read) == []
    rig.sql.exec("DROP TABLE t")


def test_a_statement_that_was_kept_has_its_place_in_errors(rig: Rig) -> None:
    for _ in range(2):
        rig.sql.exec("SELECT v FROM t").all()
    rig.sql.exec("ALTER TABLE t RENAME COLUMN v TO w")
    for _ in range(2):
        with pytest.raises(SqlError, match="no such column: v at offset 7"):
            rig.sql.exec("SELECT v FROM t")
    rig.sql.exec("CREATE TABLE u(a)")
    for _ in range(2):
        with pytest.raises(SqlError, match="table u already exists at offset 13"):
            rig.sql.exec("CREATE TABLE u(a)")
    assert rig.sql.exec("SELECT count(*) n FROM u").one() == {"n": 0}


def test_a_table_in_use_cannot_be_dropped(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES (1), (2), (3)")
    rows = rig.sql.exec("SELECT v FROM t")
    with pytest.raises(SqlError, match="SQLITE_LOCKED"):
        rig.sql.exec("DROP TABLE t")
    assert len(rows.all()) == 3


def test_cursors_that_nobody_holds_are_forgotten(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES (1), (2)")
    for _ in range(100):
        rig.sql.exec("SELECT v FROM t")
    gc.collect()
    rig.sql.exec("DROP TABLE t")


def test_a_cursor_is_not_a_snapshot(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES (1)")
    rows = rig.sql.exec("SELECT v FROM t ORDER BY id")
    rig.sql.exec("INSERT INTO t(v) VALUES (2)")
    assert [row["v"] for row in rows] == [1, 2]


def test_a_cursor_goes_on_after_a_rollback_to_a_savepoint(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES (1), (2)")
    rig.commit()
    rows = rig.sql.exec("SELECT v FROM t ORDER BY id")
    mark = rig.database.mark()
    assert next(rows) == {"v": 1}
    rig.sql.exec("INSERT INTO t(v) VALUES (3)")
    rig.database.undo(mark)
    assert rows.all() == [{"v": 2}]


def test_a_cursor_of_a_table_that_a_rollback_takes_away_says_so(rig: Rig) -> None:
    rig.sql.exec("SELECT 1")
    mark = rig.database.mark()
    rig.sql.exec("CREATE TABLE u(a); INSERT INTO u VALUES (1), (2), (3)")
    rows = rig.sql.exec("SELECT a FROM u")
    rig.database.undo(mark)
    with pytest.raises(SqlError, match="abort due to ROLLBACK: SQLITE_ABORT"):
        rows.all()


def test_a_cursor_of_a_database_that_was_dropped_says_so(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES (1), (2)")
    rows = rig.sql.exec("SELECT v FROM t")
    rig.database.drop()
    with pytest.raises(SqlError, match="because the database was deleted"):
        rows.all()


# --- dropping everything -------------------------------------------------------------------------


def full(rig: Rig) -> None:
    rig.sql.exec(
        "CREATE TABLE parent(id INTEGER PRIMARY KEY AUTOINCREMENT);"
        "CREATE TABLE child(p REFERENCES parent(id));"
        "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);"
        'CREATE TABLE "odd "" name"(a); CREATE VIEW v AS SELECT * FROM child;'
        "CREATE VIRTUAL TABLE f USING fts5(x); CREATE VIRTUAL TABLE r USING rtree(id, a, b);"
        "CREATE TRIGGER g AFTER INSERT ON parent BEGIN INSERT INTO child VALUES (1); END;"
        "ANALYZE"
    )


def test_dropping_leaves_no_page(rig: Rig) -> None:
    full(rig)
    rig.commit()
    rig.database.drop()
    rig.commit()
    assert rig.stored == {}
    assert rig.sql.database_size == 4096
    rig.sql.exec("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    rig.commit()
    rig.wake()
    assert rig.sql.exec("SELECT * FROM t").all() == [{"a": 1}]


@pytest.mark.parametrize("prepared", [False, True])
def test_dropping_can_be_undone(rig: Rig, prepared: bool) -> None:
    full(rig)
    rig.commit()
    before = dict(rig.stored)
    rig.database.drop()
    if prepared:
        rig.database.prepare()
    rig.database.undo()
    assert rig.sql.exec("SELECT p FROM v").one() == {"p": 1}
    rig.commit()
    assert rig.stored == before


def test_dropping_can_be_undone_to_a_savepoint(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES (1)")
    mark = rig.database.mark()
    rig.database.drop()
    rig.database.undo(mark)
    rig.commit()
    rig.wake()
    assert count(rig) == 1


def test_what_comes_after_dropping_stays(rig: Rig) -> None:
    rig.database.drop()
    rig.sql.exec("CREATE TABLE u(a); INSERT INTO u VALUES (1)")
    rig.commit()
    rig.wake()
    assert rig.sql.exec("SELECT * FROM u").all() == [{"a": 1}]


def test_dropping_nothing_opens_nothing() -> None:
    rig = Rig()
    rig.database.drop()
    assert len(rig.databases) == 0


# --- handles -------------------------------------------------------------------------------------


def test_the_least_recently_used_handle_is_closed() -> None:
    rig = Rig(handles=2)
    stored: dict[tuple[str, int], bytes] = {}
    rig.databases._stored = lambda actor, number: stored.get((actor.name, number))
    opened = {n: rig.databases.open(ActorId("T", n), Persistence(), lambda: False) for n in "abc"}

    def turn(name: str) -> object:
        database = opened[name]
        database.face.exec("CREATE TABLE IF NOT EXISTS t(a); INSERT INTO t VALUES (?)", name)
        found = database.face.exec("SELECT count(*) n, max(a) a FROM t").one()
        database.prepare()
        database.commit()
        stored.update({(name, n): page for n, page in taken(database).items() if page})
        return found

    for name in "abcabcaabbcc":
        found = turn(name)
        assert len(rig.databases) <= 2
    assert found == {"n": 4, "a": "c"}


def test_a_handle_in_a_turn_stays_open() -> None:
    rig = Rig(handles=1)
    rig.sql.exec("CREATE TABLE t(a)")
    others = [rig.databases.open(ACTOR, Persistence(), lambda: False) for _ in range(3)]
    for other in others:
        other.execute("SELECT 1").rest()
        assert not other.prepare()
    assert len(rig.databases) == 2
    rig.sql.exec("INSERT INTO t VALUES (1)")
    assert rig.sql.exec("SELECT * FROM t").one() == {"a": 1}


def test_a_database_that_is_not_used_is_small() -> None:
    rig = Rig()
    assert len(rig.databases) == 0
    assert sys.getsizeof(rig.database) < 300


def test_closing_all_leaves_no_vfs() -> None:
    import apsw

    rig = Rig()
    rig.sql.exec("CREATE TABLE t(a)")
    name = rig.databases._disk.name
    assert name in apsw.vfs_names()
    rig.databases.close()
    assert name not in apsw.vfs_names()
    assert len(rig.databases) == 0


def test_a_refused_commit_point_can_be_followed_by_more_and_by_undo(rig: Rig) -> None:
    """Another part of it refused; the turn goes on, as one that another wanted to join."""
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    assert rig.database.touched
    rig.database.prepare()
    assert rig.database.touched
    rig.sql.exec("INSERT INTO t(v) VALUES ('b')")
    assert count(rig) == 2
    rig.database.undo()
    assert (count(rig), rig.database.touched) == (0, False)
    rig.sql.exec("INSERT INTO t(v) VALUES ('c')")
    rig.database.prepare()
    rig.sql.exec("INSERT INTO t(v) VALUES ('d')")
    rig.commit()
    rig.wake()
    assert [row["v"] for row in rig.sql.exec("SELECT v FROM t")] == ["c", "d"]


def test_a_refused_commit_point_after_dropping_can_be_followed_by_more(rig: Rig) -> None:
    rig.sql.exec("INSERT INTO t(v) VALUES ('a')")
    rig.commit()
    before = dict(rig.stored)
    for end in (rig.database.undo, rig.commit):
        rig.database.drop()
        rig.database.prepare()
        rig.sql.exec("CREATE TABLE u(a)")
        end()
        if end == rig.database.undo:
            assert count(rig) == 1
            assert rig.stored == before
    rig.wake()
    assert rig.sql.exec("SELECT name FROM sqlite_schema").all() == [{"name": "u"}]
