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
