"""What SQL may and may not do (durable-objects.md 1.6)."""

from __future__ import annotations

import pytest
from tests.sql.rig import Rig

from wakeful.errors import SqlError
from wakeful.facet import Persistence


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    rig.commit()
    return rig


@pytest.mark.parametrize(
    "sql",
    [
        *("BEGIN", "begin immediate", "COMMIT", "END", "ROLLBACK", "/* */ SAVEPOINT a"),
        *("RELEASE a", "ROLLBACK TO a", "SELECT 1; COMMIT"),
    ],
)
def test_transactions_are_not_sqls(rig: Rig, sql: str) -> None:
    """Also when ours have been prepared with the same text."""
    for _ in range(2):
        rig.commit()
        rig.database.undo()
        with pytest.raises(SqlError, match=r"ctx\.storage\.transaction"):
            rig.sql.exec(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH 'x' AS y",
        "ATTACH ':memory:' AS y",
        "DETACH main",
        "CREATE TEMP TABLE x(a)",
        "CREATE TABLE temp.x(a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE TABLE _cf_x(a)",
        "CREATE TABLE _CF_x(a)",
        "CREATE INDEX _cf_i ON t(v)",
        "CREATE VIEW _cf_v AS SELECT 1",
        "CREATE VIRTUAL TABLE _cf_f USING fts5(a)",
        "CREATE VIRTUAL TABLE x USING fts4(a)",
        "CREATE VIRTUAL TABLE x USING dbstat",
        "CREATE TRIGGER _cf_t AFTER INSERT ON t BEGIN SELECT 1; END",
        "ALTER TABLE t RENAME TO _cf_t",
        "ALTER TABLE t RENAME TO /* a */ [_CF_t]",
        "PRAGMA user_version",
        "PRAGMA user_version = 1",
        "PRAGMA journal_mode",
        "PRAGMA journal_mode = wal",
        "PRAGMA locking_mode = normal",
        "PRAGMA page_count",
        "PRAGMA page_size = 512",
        "PRAGMA max_page_count = 1",
        "PRAGMA writable_schema = 1",
        "PRAGMA cache_size = 1000000",
        "PRAGMA database_list",
        "PRAGMA foreign_keys = 2",
        "PRAGMA foreign_keys(t)",
        "PRAGMA temp.foreign_keys",
        "PRAGMA optimize(t)",
        "PRAGMA index_list",
        "PRAGMA index_list(_cf_KV)",
        "PRAGMA quick_check(_cf_KV)",
        "SELECT * FROM pragma_index_list",
        "SELECT * FROM pragma_user_version",
        "SELECT * FROM dbstat",
        "SELECT * FROM fts3tokenize",
        "SELECT load_extension('x')",
        "SELECT sqlite_version()",
        "SELECT sqlite_source_id()",
        "UPDATE sqlite_master SET name = 'x'",
        "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x(a)')",
        "DELETE FROM sqlite_schema",
        "VACUUM",
        "VACUUM INTO 'x'",
        "SELECT * FROM generate_series(1, 2)",
        "SELECT readfile('/etc/passwd')",
        "EXPLAIN ATTACH 'x' AS y",
        "WITH x AS (SELECT sqlite_version() v) SELECT * FROM x",
    ],
)
def test_what_is_forbidden_is_refused_and_changes_nothing(rig: Rig, sql: str) -> None:
    for _ in range(2):
        with pytest.raises(SqlError):
            rig.sql.exec(sql)
    names = rig.sql.exec("SELECT name FROM sqlite_schema").all()
    assert names == [{"name": "t"}]
    rig.commit()


def test_a_view_and_a_trigger_cannot_smuggle(rig: Rig) -> None:
    with pytest.raises(SqlError):
        rig.sql.exec("CREATE VIEW v AS SELECT sqlite_version() x; SELECT * FROM v")
    with pytest.raises(SqlError):
        rig.sql.exec(
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT load_extension('x'); END;"
            "INSERT INTO t(v) VALUES (1)"
        )


def test_a_shadow_table_cannot_be_written(rig: Rig) -> None:
    rig.sql.exec("CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('a')")
    with pytest.raises(SqlError):
        rig.sql.exec("DELETE FROM f_data")


def test_a_column_may_have_any_name(rig: Rig) -> None:
    rig.sql.exec('CREATE TABLE u("_cf_a"); INSERT INTO u VALUES (1)')
    assert rig.sql.exec("SELECT _cf_a FROM u").one() == {"_cf_a": 1}


def test_an_honest_renaming_works(rig: Rig) -> None:
    rig.sql.exec("ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME COLUMN v TO w")
    assert rig.sql.exec("SELECT w FROM u").columns == ("w",)


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA table_list",
        "PRAGMA table_info(t)",
        "PRAGMA table_xinfo(t)",
        "PRAGMA index_list(t)",
        "PRAGMA index_info(t)",
        "PRAGMA index_xinfo(t)",
        "PRAGMA foreign_key_check",
        "PRAGMA foreign_key_list(t)",
        "PRAGMA defer_foreign_keys = ON",
        "PRAGMA quick_check",
        "PRAGMA optimize",
        "PRAGMA optimize = -1",
        "PRAGMA main.quick_check(5)",
        "PRAGMA table_list(t)",
        "PRAGMA case_sensitive_like = ON",
        "PRAGMA ignore_check_constraints = OFF",
        "PRAGMA legacy_alter_table = OFF",
        "PRAGMA recursive_triggers = ON",
        "PRAGMA reverse_unordered_selects = OFF",
        "PRAGMA data_version",
        "PRAGMA page_size",
        "SELECT * FROM pragma_table_info('t')",
        "ANALYZE",
        "REINDEX",
        "EXPLAIN QUERY PLAN SELECT * FROM t",
        "SELECT changes(), last_insert_rowid(), total_changes()",
    ],
)
def test_what_is_allowed_works(rig: Rig, sql: str) -> None:
    rig.sql.exec(sql).all()
    rig.commit()


def test_the_parts_of_sqlite_that_are_wanted_are_there(rig: Rig) -> None:
    sql = rig.sql
    sql.exec("CREATE VIRTUAL TABLE f USING fts5(x, tokenize='porter')")
    sql.exec("INSERT INTO f VALUES ('running dogs'), ('cats')")
    assert sql.exec("SELECT x FROM f WHERE f MATCH 'run'").one() == {"x": "running dogs"}
    sql.exec(
        "CREATE VIRTUAL TABLE g USING fts5(x, tokenize='trigram'); INSERT INTO g VALUES ('abcdef')"
    )
    assert sql.exec("SELECT count(*) n FROM g WHERE x LIKE '%bcd%'").one() == {"n": 1}
    sql.exec("CREATE VIRTUAL TABLE r USING rtree(id, a, b); INSERT INTO r VALUES (1, 0, 2)")
    assert sql.exec("SELECT id FROM r WHERE a <= 1 AND b >= 1").one() == {"id": 1}
    assert sql.exec("SELECT json_extract('{\"a\":[1,2]}', '$.a[1]') x, sqrt(16) y").one() == {
        "x": 2,
        "y": 4.0,
    }
    rows = sql.exec("SELECT value v, sum(value) OVER (ORDER BY value) s FROM json_each('[1,2,3]')")
    assert [row["s"] for row in rows] == [1, 3, 6]
    sql.exec("CREATE TABLE s(k TEXT PRIMARY KEY, n INT) STRICT")
    upsert = "INSERT INTO s VALUES ('a', 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n"
    assert [sql.exec(upsert).one()["n"] for _ in range(2)] == [1, 2]
    sql.exec("CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO s VALUES ('t', new.id); END;")
    sql.exec("INSERT INTO t(v) VALUES (1)")
    sql.exec("CREATE VIEW w AS SELECT k FROM s")
    assert {row["k"] for row in sql.exec("SELECT * FROM w")} == {"a", "t"}
    rig.commit()
    rig.wake()
    assert rig.sql.exec("SELECT count(*) n FROM f WHERE f MATCH 'dog'").one() == {"n": 1}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT if(1, 2)", "not authorized to use function: if at offset 7: SQLITE_ERROR"),
        ("SELECT fts5_locale(1, 2)", "not authorized to use function: fts5_locale"),
        ("SELECT Geopoly_area(1)", "no such function: Geopoly_area at offset 7: SQLITE_ERROR"),
        ("SELECT median(1)", "no such function: median"),
        ("CREATE VIRTUAL TABLE x USING geopoly(a)", "not authorized: SQLITE_AUTH"),
    ],
)
def test_what_cloudflares_sqlite_has_not_is_refused_in_its_words(sql: str, message: str) -> None:
    with pytest.raises(SqlError, match=message):
        Rig(Persistence(sql_strict=True)).sql.exec(sql)
    if "SELECT fts5" not in sql:  # which wants another argument
        Rig().sql.exec(sql).all()


COLUMNS = ", ".join(f"c{n}" for n in range(101))
TOO_LARGE = [
    (f"CREATE TABLE x({COLUMNS})", "too many columns"),
    (f"SELECT {', '.join('?' * 101)}", "too many SQL variables"),
    (" UNION ALL ".join(["SELECT 1"] * 6), "too many terms in compound SELECT"),
    (f"SELECT 'a' LIKE '{'a' * 51}'", "LIKE or GLOB pattern too complex"),
    (f"SELECT {'1+' * 101}1", "Expression tree is too large"),
    (f"SELECT '{'a' * 100_000}'", "statement too long|string or blob too big|too big"),
]


@pytest.mark.parametrize(("sql", "message"), TOO_LARGE, ids=[message for _, message in TOO_LARGE])
def test_strict_limits_are_cloudflares_and_the_usual_ones_generous(sql: str, message: str) -> None:
    bindings = [1] * sql.count("?")
    with pytest.raises(SqlError, match=message):
        Rig(Persistence(sql_strict=True)).sql.exec(sql, *bindings).all()
    Rig().sql.exec(sql, *bindings).all()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 -- " + "a" * 1_000_000, "too big|too long"),
        (" UNION ALL ".join(["SELECT 1"] * 501), "too many terms"),
        ("SELECT zeroblob(100000000)", "too big"),
        (f"SELECT 'a' LIKE '{'%a' * 501}'", "pattern too complex"),
    ],
    ids=["text", "compound", "value", "like"],
)
def test_everything_has_a_limit(rig: Rig, sql: str, message: str) -> None:
    with pytest.raises(SqlError, match=message):
        rig.sql.exec(sql).all()
