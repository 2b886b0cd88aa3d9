"""F: SQL."""

from facts import inside, outcome

WRITTEN = [
    "CREATE TABLE t(id)",
    "INSERT INTO t VALUES (1), (2), (3)",
    "CREATE INDEX i ON t(id)",
    "UPDATE t SET id = id + 10 WHERE id > 1",
    "UPDATE t SET id = 0 WHERE id = 99",
    "CREATE TABLE k(key TEXT PRIMARY KEY, value, n)",
    "INSERT INTO k VALUES ('a', 1, 1)",
    "INSERT INTO k VALUES ('a', 1, 1) ON CONFLICT(key) DO UPDATE SET value = 2",
    "INSERT INTO k VALUES ('b', 1, 1) ON CONFLICT(key) DO UPDATE SET value = 2",
    "INSERT INTO k VALUES ('a', 1, 1), ('c', 1, 1) ON CONFLICT(key) DO UPDATE SET value = 2",
    "INSERT INTO k VALUES ('b', 1, 1) ON CONFLICT DO NOTHING",
    "INSERT OR REPLACE INTO k VALUES ('a', 5, 1)",
    "UPDATE k SET value = 3",
    "UPDATE k SET key = key || 'x'",
    "DELETE FROM k WHERE key = 'ax' RETURNING *",
    "INSERT INTO k VALUES ('r', 1, 1) RETURNING key",
    "CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
    "INSERT INTO p(v) VALUES (1), (2)",
    "CREATE TABLE w(a TEXT PRIMARY KEY, b) WITHOUT ROWID",
    "CREATE INDEX wb ON w(b)",
    "INSERT INTO w VALUES ('a', 1), ('b', 2)",
    "UPDATE w SET b = 4",
    "DELETE FROM w WHERE a = 'a'",
    "CREATE TABLE log(x)",
    "CREATE INDEX logx ON log(x)",
    "CREATE TRIGGER g AFTER INSERT ON p BEGIN INSERT INTO log VALUES (new.id); END",
    "INSERT INTO p(v) VALUES (78), (79)",
    "INSERT INTO t SELECT v FROM p",
    "DELETE FROM t",
    "CREATE TABLE c(p REFERENCES p(id) ON DELETE CASCADE)",
    "INSERT INTO c VALUES (1), (1)",
    "DELETE FROM p WHERE id = 1",
    "SELECT * FROM t",
]
SEVERAL = [
    ["SELECT ?; SELECT 1", 1],
    ["SELECT ?; SELECT 1"],
    ["SELECT 1; SELECT ? a", 2],
    ["SELECT 1;\t\v\f\r\n "],
    [" ; SELECT 1"],
    ["SELECT 1 -- ;"],
    ["SELECT 1 /* ; */"],
    ["CREATE TABLE s(a); INSERT INTO s VALUES (1); -- x"],
    ["SELECT a FROM s"],
    ["SELECT ':a;' b; /* x */ SELECT 2 c;"],
    ["/* x */ SELEC"],
    ["SELECT 1;  \n -- c\n SELEC"],
    ["SELECT ?2 a, ?1 b", 1, 2],
    ["SELECT :a a, @b b, $c c, :a d", 1, 2, 3],
    ["SELECT ?3 a", 1, 2, 3],
    ["\ufeffSELECT 1 a"],
]


FUNCTIONS = [
    "abs(-1)",
    "changes()",
    "char(65)",
    "coalesce(1,2)",
    "concat('a',1)",
    "concat_ws('-','a',1)",
    "format('%d',1)",
    "glob('a*','ab')",
    "hex('a')",
    "ifnull(1,2)",
    "iif(1,2,3)",
    "instr('ab','b')",
    "last_insert_rowid()",
    "length('a')",
    "like('a','A')",
    "likelihood(1,0.5)",
    "likely(1)",
    "lower('A')",
    "ltrim(' a')",
    "max(1,2)",
    "min(1,2)",
    "nullif(1,1)",
    "octet_length('é')",
    "printf('%s','x')",
    "quote('a')",
    "typeof(random())",
    "typeof(randomblob(2))",
    "replace('aa','a','b')",
    "round(1.5)",
    "rtrim('a ')",
    "sign(-2)",
    "soundex('a')",
    "sqlite_compileoption_get(0)",
    "sqlite_compileoption_used('x')",
    "sqlite_offset(1)",
    "sqlite_source_id()",
    "sqlite_version()",
    "substr('abc',2)",
    "substring('abc',2)",
    "total_changes()",
    "trim(' a ')",
    "typeof(1)",
    "unhex('61')",
    "unicode('a')",
    "unistr('\\u0041')",
    "unlikely(1)",
    "upper('a')",
    "zeroblob(1)",
    "subtype(1)",
    "date(0)",
    "time(0)",
    "datetime(0)",
    "julianday(0)",
    "unixepoch(0)",
    "strftime('%Y',0)",
    "timediff(1,0)",
    "avg(1)",
    "count(*)",
    "group_concat('a')",
    "string_agg('a',',')",
    "sum(1)",
    "total(1)",
    "row_number() OVER ()",
    "ntile(2) OVER ()",
    "first_value(1) OVER ()",
    "acos(1)",
    "asin(0)",
    "atan(0)",
    "atan2(0,1)",
    "ceil(1.2)",
    "ceiling(1.2)",
    "cos(0)",
    "degrees(0)",
    "exp(0)",
    "floor(1.5)",
    "ln(1)",
    "log(10)",
    "log10(10)",
    "log2(2)",
    "mod(5,3)",
    "pi()",
    "pow(2,3)",
    "power(2,3)",
    "radians(0)",
    "sin(0)",
    "sqrt(4)",
    "tan(0)",
    "trunc(1.5)",
    "json('[1]')",
    "hex(jsonb('[1]'))",
    "json_array(1)",
    "json_array_length('[1]')",
    "json_error_position('x')",
    "json_extract('[1]','$[0]')",
    "json_insert('[1]','$[1]',2)",
    "json_object('a',1)",
    "json_patch('{}','{\"a\":1}')",
    "json_pretty('[1]')",
    "json_remove('[1]','$[0]')",
    "json_replace('[1]','$[0]',2)",
    "json_set('[1]','$[0]',2)",
    "json_type('1')",
    "json_valid('1')",
    "json_quote('a')",
    "json_group_array(1)",
    "json_group_object('a',1)",
    "'[1]' -> 0",
    "'[1]' ->> 0",
    "load_extension('x')",
    "readfile('x')",
    "writefile('x','y')",
    "edit('x')",
    "sqlite_log(1,'x')",
    "uuid()",
    "regexp('a','a')",
    "'a' REGEXP 'a'",
    "'a' MATCH 'a'",
    "'a' COLLATE NOCASE = 'A'",
    "nope(1)",
    "abs()",
    "abs(-9223372036854775807-1)",
    "1/0",
    "1 % 0",
    "'5' + '5'",
    "'a' ",
    "",
    " NULL",
    "1 IS NOT DISTINCT FROM 1",
    "x'00ff'",
    "1e3",
    "0x10",
    "-0.0",
    "9e999",
    "1_000",
    "CAST('1x' AS INTEGER)",
    "TRUE",
    "current_date > '2000'",
]
PRAGMAS = [
    "table_list",
    "table_info(t)",
    "table_xinfo(t)",
    "table_info",
    "table_info(_cf_x)",
    "index_list(t)",
    "index_info(i)",
    "index_xinfo(i)",
    "foreign_key_list(t)",
    "foreign_key_check",
    "foreign_key_check(t)",
    "foreign_keys",
    "foreign_keys=0",
    "defer_foreign_keys",
    "defer_foreign_keys=1",
    "quick_check",
    "quick_check(5)",
    "quick_check(t)",
    "integrity_check",
    "optimize",
    "optimize(1)",
    "case_sensitive_like",
    "case_sensitive_like=1",
    "ignore_check_constraints",
    "ignore_check_constraints=1",
    "legacy_alter_table",
    "legacy_alter_table=0",
    "recursive_triggers",
    "recursive_triggers=1",
    "reverse_unordered_selects=0",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "collation_list",
    "compile_options",
    "database_list",
    "encoding",
    "freelist_count",
    "function_list",
    "journal_mode",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "module_list",
    "page_count",
    "page_size",
    "page_size=512",
    "pragma_list",
    "query_only",
    "schema_version",
    "secure_delete",
    "stats",
    "synchronous",
    "temp_store",
    "threads",
    "trusted_schema",
    "user_version",
    "user_version=5",
    "wal_checkpoint",
    "writable_schema=1",
    "nope",
    "incremental_vacuum",
    "shrink_memory",
    "hard_heap_limit",
    "soft_heap_limit",
    "analysis_limit",
]
SETUP = (
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v); "
    "CREATE INDEX i ON t(v); "
    "CREATE TABLE s(n INTEGER) STRICT; "
    "CREATE TABLE u(a, b, UNIQUE(a, b)); "
    "INSERT INTO u VALUES (1, 2); "
    "CREATE TABLE c(p REFERENCES t(id)); "
    "CREATE TABLE named(n CONSTRAINT positive CHECK (n > 0)); "
    "CREATE TABLE r(a); "
    "CREATE TRIGGER g BEFORE INSERT ON r BEGIN SELECT RAISE(ABORT, 'refused by a trigger'); "
    "END; "
    "CREATE VIRTUAL TABLE fts USING fts5(b); "
    "CREATE VIEW vv AS SELECT 1; "
    "CREATE TABLE w2(a PRIMARY KEY) WITHOUT ROWID; "
    "CREATE TABLE dup(a); "
    "INSERT INTO dup VALUES (1), (1)"
)
MISTAKES = [
    "SELECT",
    "SELECT * FROM",
    "CREATE TABLE",
    "SELECT 'x",
    "SELECT 1 FROM t t2, t t3 WHERE id = 1",
    "SELECT id, id FROM t, t t2",
    "INSERT INTO t VALUES (1)",
    "INSERT INTO t(nope) VALUES (1)",
    "INSERT INTO t VALUES (1,2,3)",
    "SELECT abs(1,2)",
    "SELECT (SELECT 1, 2)",
    "SELECT 1 UNION SELECT 1, 2",
    "CREATE TABLE t(id)",
    "CREATE INDEX i ON t(id)",
    "DROP TABLE nope",
    "DROP INDEX nope",
    "DROP VIEW t",
    "ALTER TABLE t DROP COLUMN id",
    "ALTER TABLE t ADD COLUMN id",
    "ALTER TABLE t ADD COLUMN z NOT NULL",
    "INSERT INTO s VALUES ('x')",
    "INSERT INTO u VALUES (1, 2)",
    "INSERT INTO u VALUES (1, 3)",
    "INSERT INTO c VALUES (99)",
    "INSERT INTO named VALUES (0)",
    "INSERT INTO r VALUES (1)",
    "INSERT OR ROLLBACK INTO t VALUES (1, 1)",
    "VACUUM",
    "VACUUM INTO 'x'",
    "UPDATE sqlite_master SET sql = 'x'",
    "DELETE FROM sqlite_master",
    "CREATE TABLE sqlite_x(a)",
    "SELECT json('x')",
    "SELECT json_extract('{}', 'x')",
    "SELECT sum(9223372036854775807) + 1 FROM (SELECT 1 UNION ALL SELECT 2)",
    "SELECT sum(x) FROM (SELECT 9223372036854775807 x UNION ALL SELECT 1)",
    "SELECT zeroblob(3000000000)",
    "SELECT * FROM t WHERE id IN (SELECT 1, 2)",
    "SELECT count(id, id) FROM t",
    "SELECT max(count(*)) FROM t",
    "SELECT id FROM t GROUP BY 5",
    "SELECT id FROM t ORDER BY 5",
    "SELECT * FROM t LIMIT 'x'",
    "WITH x AS (SELECT 1) SELECT * FROM y",
    "CREATE VIRTUAL TABLE v USING nope(a)",
    "CREATE VIRTUAL TABLE v USING dbstat",
    "SELECT * FROM generate_series(1, 3)",
    "SELECT * FROM sqlite_stmt",
    "SELECT * FROM bytecode('SELECT 1')",
    "SELECT * FROM fts WHERE fts MATCH 'a AND'",
    "INSERT INTO fts(fts) VALUES ('optimize')",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
    "BEGIN IMMEDIATE",
    "END",
    "ROLLBACK TO x",
    "SAVEPOINT _cf_x",
    "ATTACH ':memory:' AS m",
    "REINDEX nope",
    "ANALYZE nope",
    "ANALYZE",
    "REINDEX t",
    "CREATE TEMPORARY TABLE x(a)",
    "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
    "CREATE TABLE temp.x(a)",
    "SELECT * FROM temp.sqlite_master",
    "CREATE TABLE main.x(a)",
    "CREATE TABLE other.x(a)",
    "ALTER TABLE t RENAME TO _cf_y",
    "ALTER TABLE t RENAME TO y2",
    "ALTER TABLE y2 RENAME COLUMN v TO w",
    "CREATE TRIGGER _cf_g AFTER INSERT ON y2 BEGIN SELECT 1; END",
    "CREATE INDEX _cf_i ON y2(id)",
    "CREATE VIEW _cf_v AS SELECT 1",
    "SELECT 1 WHERE 1 = ?1 AND ?2",
    "SELECT id FROM y2 WHERE _cf_ = 1",
    "SELECT 1 AS _cf_x",
    "SELECT * FROM _cf_METADATA",
    "SELECT 1; DROP TABLE nope; SELECT 2",
    'SELECT "nope"',
    "SELECT [nope]",
    "SELECT `id` FROM y2",
    "INSERT INTO y2 DEFAULT VALUES",
    "SELECT x'zz'",
    "SELECT 0x",
    "SELECT 1 +",
    "SELECT #1",
    "SELECT @",
    "SELECT ?0",
    "SELECT ?99999",
    "SELECT likelihood(1, 5)",
    "SELECT a.* FROM y2",
    "SELECT printf('%s')",
    "PRAGMA",
    "EXPLAIN",
    "SELECT CAST(1 AS)",
    "SELECT 1 COLLATE nope",
    "SELECT group_concat(DISTINCT 1, 2)",
    "SELECT RAISE(ABORT, 'x')",
    "INSERT INTO vv VALUES (1)",
    "SELECT rowid FROM w2",
    "CREATE TABLE bad(a, a)",
    "CREATE TABLE bad(a PRIMARY KEY, b PRIMARY KEY)",
    "CREATE TABLE bad(a NOPE) STRICT",
    "CREATE TABLE bad(a) WITHOUT ROWID",
    "CREATE UNIQUE INDEX ux ON dup(a)",
]
RESULTS = [
    "SELECT 1.0 a, -0.0 b, 1e300 c, 0.1 d, 9007199254740992 e, -9223372036854775808 f, 1e400 g",
    "SELECT '' a, x'' b, NULL c, 'é' d, x'00' e",
    "SELECT 1 < 2 a, NOT 1 b, 7 / 2 c, 7 % 2 d, 7 / 2.0 e, 5 || 5 f",
    "SELECT upper('é') a, 'a' LIKE 'A' b, 'a' = 'A' c, length('é') d, length(x'00ff') e",
    "SELECT length('a'||char(0)||'b') f",
    'SELECT 1 "a b", 2 "", 3 \'c\', 4 [d]',
    "SELECT 1, 1, 'x', 1+1",
    "SELECT typeof(1) a, typeof(1.0) b, typeof('1') c, typeof(x'') d, typeof(NULL) e",
    "VALUES (1, 'a'), (2, 'b')",
    'SELECT json(\'{"b":1,"a":[1,2.0,null,true]}\') j',
    "SELECT substr('héllo', 2, 2) a, instr('😀a', 'a') b, unicode('😀') c, char(128512) d",
    "SELECT 1 a UNION SELECT 'x' UNION SELECT NULL UNION SELECT x'00' ORDER BY 1",
    'SELECT value, key, type FROM json_each(\'{"a":1,"b":[2]}\')',
    "SELECT fullkey FROM json_tree('[[1]]')",
]


BOUND = [
    *(
        "",
        "a\0b",
        "\ud800",
        0,
        -0.0,
        1.5,
        1e300,
        float("-inf"),
        float(2**53),
        b"",
        bytearray(b"\xff"),
    ),
    *([], [[1], 2], [None], 0, None),
]


async def one(call):
    """The text of an error, or the value."""
    found = await outcome(call)
    return found.get("message", found.get("value"))


def listed(text, rows):
    """Which tables there are inside is each one's own business."""
    return "t" in [row.name for row in rows] if text == "table_list" else rows


async def messages(sql, texts):
    return [await outcome(lambda text=text: sql.exec(text).toArray()) for text in texts]


def rows(sql, text, *values):
    return sql.exec(text, *values).toArray()


@inside
async def F1(self, given):
    return rows(self.ctx.storage.sql, "SELECT 1 a; SELECT 2 b")


@inside
async def F2(self, given):
    texts = ["", "-- x", ";", "SELECT 1;;", "SELECT 1; -- x"]
    return await messages(self.ctx.storage.sql, texts)


@inside
async def F3(self, given):
    sql = self.ctx.storage.sql
    return [
        await outcome(lambda: sql.exec("SELECT ?, ?", 1).toArray()),
        await outcome(lambda: sql.exec("SELECT 1", 1).toArray()),
    ]


@inside
async def F5(self, given):
    sql = self.ctx.storage.sql
    return [sql.exec("SELECT typeof(?) a", 1).one(), sql.exec("SELECT ?/2 a", 5).one()]


@inside
async def F6(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE TABLE t(i INTEGER, x TEXT, n NUMERIC, r REAL, b BLOB)")
    sql.exec("INSERT INTO t VALUES (?, ?, ?, ?, ?)", 5, 5, 5, 5, 5)
    return sql.exec(
        "SELECT typeof(i) i, typeof(x) x, x v, typeof(n) n, typeof(r) r, typeof(b) b FROM t"
    ).one()


@inside
async def F7(self, given):
    sql = self.ctx.storage.sql
    values = [True, False, [1, 2], {"a": 1}, float("inf"), 2**60]
    text = "SELECT ? a, typeof(?) b"
    return [
        await outcome(lambda value=value: sql.exec(text, value, value).one()) for value in values
    ]


@inside
async def F8(self, given):
    sql = self.ctx.storage.sql
    return [sql.exec("SELECT typeof(?) a", value).one() for value in (None, None, float("nan"))]


@inside
async def F9(self, given):
    sql = self.ctx.storage.sql
    return sql.exec("SELECT ? a, typeof(?) b", bytes([1, 0, 255]), bytes([1])).one()


@inside
async def F10(self, given):
    text = "SELECT 9007199254740993 a, 9223372036854775807 b, -5 c"
    return self.ctx.storage.sql.exec(text).one()


@inside
async def F11(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE TABLE t(id)")
    sql.exec("INSERT INTO t VALUES (1), (2)")
    return [
        await outcome(lambda: sql.exec("SELECT * FROM t WHERE id = 9").one()),
        await outcome(lambda: sql.exec("SELECT * FROM t").one()),
        await outcome(lambda: sql.exec("SELECT id FROM t WHERE id = 1").one()),
    ]


@inside
async def F12(self, given):
    cursor = self.ctx.storage.sql.exec("SELECT 1 a")
    return [cursor.next().value, cursor.next().done, cursor.next().done, cursor.toArray()]


@inside
async def F13(self, given):
    cursor = self.ctx.storage.sql.exec("SELECT 1 a UNION ALL SELECT 2 UNION ALL SELECT 3")
    return [cursor.raw().next().value, cursor.toArray()]


@inside
async def F14(self, given):
    sql = self.ctx.storage.sql
    text = "SELECT 1 a, 2 a"
    return [sql.exec(text).one(), sql.exec(text).raw().toArray(), sql.exec(text).columnNames]


@inside
async def F15(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE TABLE t(id)")
    found = [sql.exec("INSERT INTO t VALUES (1), (2), (3)").rowsWritten]
    cursor = sql.exec("SELECT id FROM t")
    found.append(cursor.rowsRead)
    while not cursor.next().done:
        found.append(cursor.rowsRead)
    sql.exec("CREATE INDEX i ON t(id)")
    found.append(sql.exec("INSERT INTO t VALUES (4)").rowsWritten)
    found.append(sql.exec("UPDATE t SET id = id + 10 WHERE id > 2").rowsWritten)
    found.append(sql.exec("DELETE FROM t WHERE id = 1").rowsWritten)
    return found


@inside
async def F16(self, given):
    sql, found = self.ctx.storage.sql, []
    sql.exec("CREATE TABLE t(id)")
    sql.exec("INSERT INTO t VALUES (1), (2)")
    for row in sql.exec("SELECT id FROM t"):
        found.append(row.id)
        if row.id < 5:
            sql.exec("INSERT INTO t VALUES (?)", row.id + 10)
    return found


@inside
async def F17(self, given):
    sql = self.ctx.storage.sql
    texts = ["CREATE TABLE t(id); INSERT INTO t VALUES (1); SELEC", "SELECT id FROM t"]
    return await messages(sql, texts)


@inside
async def F19(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE TABLE t(id)")
    sql.exec("INSERT INTO t VALUES (1), (2), (3)")
    cursor = sql.exec("SELECT id FROM t")
    cursor.next()
    return [await outcome(lambda: sql.exec("DROP TABLE t")), cursor.toArray()]


@inside
async def F20(self, given):
    texts = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT x", "RELEASE x"]
    return await messages(self.ctx.storage.sql, texts)


@inside
async def F21(self, given):
    texts = [
        *("ATTACH 'x' AS y", "DETACH y", "CREATE TEMP TABLE t(a)"),
        *("CREATE TEMP VIEW v AS SELECT 1",),
        *("PRAGMA user_version", "PRAGMA journal_mode", "PRAGMA page_count"),
    ]
    return [found.get("message") for found in await messages(self.ctx.storage.sql, texts)]


@inside
async def F22(self, given):
    sql = self.ctx.storage.sql
    await self.ctx.storage.put("a", 1)
    sql.exec("CREATE TABLE t(a)")

    async def tried(text):
        found = await outcome(lambda: sql.exec(text).toArray())
        return {"value": text} if "value" in found else found

    texts = [
        *("CREATE TABLE _cf_x(a)", "CREATE TABLE _CF_x(a)", "DROP TABLE _cf_KV"),
        *("DELETE FROM _cf_KV", "INSERT INTO _cf_KV VALUES ('a', 'b')"),
        *("ALTER TABLE t RENAME TO _cf_t", "CREATE VIRTUAL TABLE _cf_f USING fts5(a)"),
    ]
    return [await tried(text) for text in texts]


@inside
async def F23(self, given):
    await self.ctx.storage.put("a", 1)
    return await outcome(lambda: self.ctx.storage.sql.exec("SELECT * FROM _cf_KV").toArray())


@inside
async def F24(self, given):
    texts = ["SELECT sqlite_version()", "SELECT load_extension('x')"]
    return await messages(self.ctx.storage.sql, texts)


@inside
async def F25(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE VIRTUAL TABLE f USING fts5(body)")
    sql.exec("INSERT INTO f VALUES ('the quick brown fox')")
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER) STRICT")
    sql.exec("CREATE TABLE log(id)")
    sql.exec("CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); END")
    sql.exec("CREATE VIEW v AS SELECT n FROM t")
    upsert = "INSERT INTO t VALUES (1, 5) ON CONFLICT(id) DO UPDATE SET n = n + 1 RETURNING n"
    numbers = (
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<3) SELECT x FROM c"
    )
    return [
        rows(sql, "SELECT body FROM f WHERE f MATCH 'quick'"),
        sql.exec("SELECT json_extract('{\"a\":[1,2]}', '$.a[1]') j, sqrt(16) m").one(),
        sql.exec(upsert).one(),
        sql.exec(upsert).one(),
        rows(sql, "SELECT id FROM log"),
        rows(sql, "SELECT n FROM v"),
        rows(sql, "SELECT sum(n) OVER (ORDER BY n) w FROM t"),
        rows(sql, numbers),
    ]


@inside
async def F26(self, given):
    sql = self.ctx.storage.sql

    async def tried(text, values):
        found = await outcome(lambda: sql.exec(text, *values).toArray())
        return {"value": None} if "value" in found else found

    return [
        await tried(f"CREATE TABLE wide({', '.join(f'c{n}' for n in range(101))})", []),
        await tried(f"SELECT {', '.join('?' * 101)}", [1] * 101),
        await tried(" UNION ".join(["SELECT 1"] * 6), []),
        await tried("SELECT 'a' LIKE ?", ["x" * 51]),
        await tried(f"SELECT 1 -- {'x' * 100_001}", []),
    ]


@inside
async def F27(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, n NOT NULL, CHECK (n > 0))")
    sql.exec("INSERT INTO t VALUES (1, 1, 1)")
    values = ["1, 2, 1", "2, 1, 1", "2, 2, NULL", "2, 2, 0"]
    return await messages(sql, [f"INSERT INTO t VALUES ({text})" for text in values])


@inside
async def F28(self, given):
    return await messages(self.ctx.storage.sql, ["SELEC", "SELECT * FROM nope", "SELECT nope"])


@inside
async def F29(self, given):
    sql = self.ctx.storage.sql
    before = sql.exec("PRAGMA foreign_keys").one()
    sql.exec("CREATE TABLE t(id)")
    sql.exec("PRAGMA foreign_keys = OFF")
    return [before, sql.exec("PRAGMA foreign_keys").one()]


@inside
async def F30(self, given):
    sql = self.ctx.storage.sql
    empty = sql.databaseSize
    sql.exec("CREATE TABLE t(id)")
    sql.exec("INSERT INTO t VALUES (zeroblob(100000))")
    return [empty, sql.databaseSize % 4096, sql.databaseSize > 100_000]


@inside
async def F32(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, n)")
    return [
        rows(sql, "PRAGMA table_info(t)"),
        rows(sql, "PRAGMA quick_check"),
        rows(sql, "PRAGMA optimize"),
        "t" in [row.name for row in sql.exec("PRAGMA table_list")],
    ]


@inside
async def F34(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    sql.exec("INSERT INTO t VALUES (5), (6)")
    return sql.exec("SELECT changes() c, last_insert_rowid() r").one()


@inside
async def F35(self, given):
    return self.ctx.storage.sql.exec("SELECT ? a, length('😀') b", "a\0b😀").one()


@inside
async def F36(self, given):
    found = []
    for text in WRITTEN:
        cursor = self.ctx.storage.sql.exec(text)
        cursor.toArray()
        if not text.startswith("CREATE"):
            found.append(cursor.rowsWritten)
    return found


@inside
async def F37(self, given):
    sql = self.ctx.storage.sql
    return [
        await outcome(lambda text=text, values=values: sql.exec(text, *values).toArray())
        for text, *values in SEVERAL
    ]


@inside
async def F38(self, given):
    sql = self.ctx.storage.sql
    return [await one(lambda text=text: sql.exec(f"SELECT {text} x").one().x) for text in FUNCTIONS]


@inside
async def F39(self, given):
    sql = self.ctx.storage.sql
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v REFERENCES t(id)); CREATE INDEX i ON t(v)")
    return [
        await one(lambda text=text: listed(text, sql.exec(f"PRAGMA {text}").toArray()))
        for text in PRAGMAS
    ]


@inside
async def F40(self, given):
    sql = self.ctx.storage.sql
    sql.exec(SETUP)
    return [await one(lambda text=text: sql.exec(text).toArray()) for text in MISTAKES]


@inside
async def F41(self, given):
    sql = self.ctx.storage.sql
    return [[sql.exec(text).columnNames, sql.exec(text).raw().toArray()] for text in RESULTS]


@inside
async def F42(self, given):
    sql, found = self.ctx.storage.sql, []
    sql.exec("CREATE TABLE t(id, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")

    def read():
        return sql.exec("SELECT id, v FROM t")

    def seen(cursor):
        return [cursor.columnNames, cursor.rowsRead, cursor.rowsWritten]

    cursor = read()
    found += [seen(cursor), cursor.next(), seen(cursor)]
    for row in cursor:
        found.append(row.id)
        break
    found += [cursor.toArray(), cursor.toArray(), cursor.next(), seen(cursor)]
    cursor = read()
    raw = cursor.raw()
    found += [raw.next(), cursor.next(), raw.next(), list(cursor), raw.next(), seen(cursor)]
    cursor = read()
    found += [list(cursor.raw()), list(cursor)]
    cursor = read()
    found += [await outcome(cursor.one), await outcome(cursor.next), seen(cursor)]
    cursor = sql.exec("SELECT id FROM t WHERE id = 2")
    found += [cursor.one(), await outcome(cursor.one), await outcome(cursor.next)]
    cursor = read()
    for _ in range(3):
        cursor.next()
    found.append(await outcome(cursor.one))
    cursor = sql.exec("SELECT id FROM t WHERE id = 99")
    found += [cursor.columnNames, await outcome(cursor.one), cursor.next()]
    cursor = sql.exec("INSERT INTO t VALUES (5, 'e') RETURNING v, id")
    found += [cursor.columnNames, cursor.one()]
    cursor = sql.exec("INSERT INTO t VALUES (6, 'f')")
    found += [seen(cursor), cursor.next(), cursor.toArray(), await outcome(cursor.one)]
    cursor = sql.exec("CREATE TABLE u(a)")
    found += [cursor.columnNames, cursor.toArray()]
    two = [read(), read()]
    found += [two[0].next().value, two[1].next().value, two[0].next().value, len(two[1].toArray())]
    cursor = read()
    sql.exec("DELETE FROM t WHERE id > 2")
    found.append(cursor.toArray())
    cursor = read()
    sql.exec("UPDATE t SET v = 'changed'")
    return [*found, cursor.toArray()]


@inside
async def F43(self, given):
    sql, text = self.ctx.storage.sql, "SELECT ? a, typeof(?) b"
    return [
        await outcome(lambda value=value: sql.exec(text, value, value).one()) for value in BOUND
    ]


@inside
async def F44(self, given):
    sql, found = self.ctx.storage.sql, []
    for text in (5, True, {"a": 1}, ["SELECT 1 a"], "SELECT 1 a", "\tSELECT 2 a\n"):
        found.append(await outcome(lambda text=text: sql.exec(text).toArray()))
    sizes = [sql.databaseSize]
    sql.exec("CREATE TABLE t(b)")
    sizes.append(sql.databaseSize)
    for _ in range(20):
        sql.exec("INSERT INTO t VALUES (zeroblob(4000))")
    sizes.append(sql.databaseSize)
    for text in ("DELETE FROM t", "DROP TABLE t"):
        sql.exec(text)
        sizes.append(sql.databaseSize)
    return [*found, *sizes]
