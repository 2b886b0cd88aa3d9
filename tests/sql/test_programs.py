"""Entries of tables and indexes, counted from a statement's program."""

from __future__ import annotations

import pytest
from tests.sql.rig import Rig

from wakeful.facet import Persistence

TABLES = """
CREATE TABLE k(key TEXT PRIMARY KEY, value, n); CREATE INDEX kn ON k(n);
CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
CREATE TABLE w(key TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE INDEX wv ON w(v);
CREATE TABLE log(x); CREATE INDEX logx ON log(x);
CREATE TRIGGER g AFTER INSERT ON a BEGIN INSERT INTO log VALUES (new.id); END;
CREATE VIRTUAL TABLE f USING fts5(v); INSERT INTO f VALUES ('a'), ('b');
CREATE TABLE d(id INTEGER PRIMARY KEY, v);
CREATE VIRTUAL TABLE df USING fts5(v, content='d', content_rowid='id');
CREATE TRIGGER dg AFTER INSERT ON d BEGIN INSERT INTO df(rowid, v) VALUES (new.id, new.v); END;
INSERT INTO k VALUES ('a', 1, 1), ('b', 1, 1); INSERT INTO w VALUES ('a', 1), ('b', 1)
"""


@pytest.fixture
def rig() -> Rig:
    rig = Rig(Persistence(sql_strict=True))
    rig.sql.exec(TABLES)
    return rig


@pytest.mark.parametrize(
    ("sql", "entries"),
    [
        ("SELECT * FROM k", 0),
        ("INSERT INTO k VALUES ('c', 1, 1)", 3),
        ("INSERT INTO k VALUES ('c', 1, 1) RETURNING key", 3),
        ("INSERT INTO k VALUES ('a', 1, 1) ON CONFLICT(key) DO UPDATE SET value = 2", 1),
        ("INSERT INTO k VALUES ('a', 1, 1), ('c', 1, 1) ON CONFLICT(key) DO UPDATE SET n = 2", 5),
        ("INSERT INTO k VALUES ('a', 1, 1) ON CONFLICT DO NOTHING", 0),
        ("REPLACE INTO k VALUES ('a', 1, 1)", 3),
        ("UPDATE k SET value = 2", 2),
        ("UPDATE k SET n = 2", 4),
        ("UPDATE k SET n = 2 WHERE key = 'x'", 0),
        ("DELETE FROM k", 2),
        ("DELETE FROM k WHERE n = 1", 2),
        ("INSERT INTO a(v) VALUES (1)", 4),
        ("INSERT INTO w VALUES ('c', 1)", 2),
        ("UPDATE w SET v = 2", 4),
        ("DELETE FROM w WHERE key = 'a'", 1),
        ("INSERT INTO f VALUES ('c'), ('d')", 2),
        ("UPDATE f SET v = 'x' WHERE rowid = 1", 1),
        ("DELETE FROM f", 2),
        ("INSERT INTO f(f) VALUES ('rebuild')", 1),
        ("INSERT INTO d(v) VALUES ('c'), ('d e f')", 4),
    ],
)
def test_entries_of_indexes_are_counted(rig: Rig, sql: str, entries: int) -> None:
    cursor = rig.database.execute(sql)
    cursor.rest()
    assert cursor.entries_written == entries


def test_of_a_table_that_is_gone_the_rows_are_known(rig: Rig) -> None:
    cursor = rig.database.execute("INSERT INTO k VALUES ('c', 1, 1)")
    rig.sql.exec("DROP TABLE k")
    assert cursor.entries_written == 1


def test_watching_ends_with_the_statement(rig: Rig) -> None:
    sql = "INSERT INTO k VALUES ('a', 1, 1) ON CONFLICT(key) DO UPDATE SET value = 2"
    first = rig.database.execute(sql)
    rig.sql.exec("UPDATE k SET n = 5")
    assert first.entries_written == 1
