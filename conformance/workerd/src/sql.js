// F: SQL.

import { outcome } from "./facts.js";

const numbers = (count, of) => Array.from({ length: count }, (_, n) => of(n)).join(", ");

const written = [
  "CREATE TABLE t(id)", "INSERT INTO t VALUES (1), (2), (3)", "CREATE INDEX i ON t(id)",
  "UPDATE t SET id = id + 10 WHERE id > 1", "UPDATE t SET id = 0 WHERE id = 99",
  "CREATE TABLE k(key TEXT PRIMARY KEY, value, n)", "INSERT INTO k VALUES ('a', 1, 1)",
  "INSERT INTO k VALUES ('a', 1, 1) ON CONFLICT(key) DO UPDATE SET value = 2",
  "INSERT INTO k VALUES ('b', 1, 1) ON CONFLICT(key) DO UPDATE SET value = 2",
  "INSERT INTO k VALUES ('a', 1, 1), ('c', 1, 1) ON CONFLICT(key) DO UPDATE SET value = 2",
  "INSERT INTO k VALUES ('b', 1, 1) ON CONFLICT DO NOTHING",
  "INSERT OR REPLACE INTO k VALUES ('a', 5, 1)", "UPDATE k SET value = 3",
  "UPDATE k SET key = key || 'x'", "DELETE FROM k WHERE key = 'ax' RETURNING *",
  "INSERT INTO k VALUES ('r', 1, 1) RETURNING key",
  "CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", "INSERT INTO p(v) VALUES (1), (2)",
  "CREATE TABLE w(a TEXT PRIMARY KEY, b) WITHOUT ROWID", "CREATE INDEX wb ON w(b)",
  "INSERT INTO w VALUES ('a', 1), ('b', 2)", "UPDATE w SET b = 4", "DELETE FROM w WHERE a = 'a'",
  "CREATE TABLE log(x)", "CREATE INDEX logx ON log(x)",
  "CREATE TRIGGER g AFTER INSERT ON p BEGIN INSERT INTO log VALUES (new.id); END",
  "INSERT INTO p(v) VALUES (78), (79)", "INSERT INTO t SELECT v FROM p", "DELETE FROM t",
  "CREATE TABLE c(p REFERENCES p(id) ON DELETE CASCADE)", "INSERT INTO c VALUES (1), (1)",
  "DELETE FROM p WHERE id = 1", "SELECT * FROM t",
];
const several = [
  ["SELECT ?; SELECT 1", 1], ["SELECT ?; SELECT 1"], ["SELECT 1; SELECT ? a", 2],
  ["SELECT 1;\t\v\f\r\n "], [" ; SELECT 1"], ["SELECT 1 -- ;"], ["SELECT 1 /* ; */"],
  ["CREATE TABLE s(a); INSERT INTO s VALUES (1); -- x"], ["SELECT a FROM s"],
  ["SELECT ':a;' b; /* x */ SELECT 2 c;"], ["/* x */ SELEC"], ["SELECT 1;  \n -- c\n SELEC"],
  ["SELECT ?2 a, ?1 b", 1, 2], ["SELECT :a a, @b b, $c c, :a d", 1, 2, 3], ["SELECT ?3 a", 1, 2, 3],
  ["\ufeffSELECT 1 a"],
];

export const inWorker = {};
export const inObject = {
  async F1({ ctx: { storage: { sql } } }) { return sql.exec("SELECT 1 a; SELECT 2 b").toArray(); },
  async F2({ ctx: { storage: { sql } } }) {
    const found = [];
    for (const text of ["", "-- x", ";", "SELECT 1;;", "SELECT 1; -- x"]) {
      found.push(await outcome(() => sql.exec(text).toArray()));
    }
    return found;
  },
  async F3({ ctx: { storage: { sql } } }) {
    return [await outcome(() => sql.exec("SELECT ?, ?", 1).toArray()),
      await outcome(() => sql.exec("SELECT 1", 1).toArray())];
  },
  async F5({ ctx: { storage: { sql } } }) {
    return [sql.exec("SELECT typeof(?) a", 1).one(), sql.exec("SELECT ?/2 a", 5).one()];
  },
  async F6({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE TABLE t(i INTEGER, x TEXT, n NUMERIC, r REAL, b BLOB)");
    sql.exec("INSERT INTO t VALUES (?, ?, ?, ?, ?)", 5, 5, 5, 5, 5);
    return sql.exec(
      "SELECT typeof(i) i, typeof(x) x, x v, typeof(n) n, typeof(r) r, typeof(b) b FROM t").one();
  },
  async F7({ ctx: { storage: { sql } } }) {
    const values = [true, false, [1, 2], { a: 1 }, Infinity, 2n ** 60n];
    const found = [];
    for (const value of values) {
      found.push(await outcome(() => sql.exec("SELECT ? a, typeof(?) b", value, value).one()));
    }
    return found;
  },
  async F8({ ctx: { storage: { sql } } }) {
    return [null, undefined, NaN].map((value) => sql.exec("SELECT typeof(?) a", value).one());
  },
  async F9({ ctx: { storage: { sql } } }) {
    return sql.exec("SELECT ? a, typeof(?) b", new Uint8Array([1, 0, 255]), new Uint8Array([1])).one();
  },
  async F10({ ctx: { storage: { sql } } }) {
    return sql.exec("SELECT 9007199254740993 a, 9223372036854775807 b, -5 c").one();
  },
  async F11({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE TABLE t(id)");
    sql.exec("INSERT INTO t VALUES (1), (2)");
    return [await outcome(() => sql.exec("SELECT * FROM t WHERE id = 9").one()),
      await outcome(() => sql.exec("SELECT * FROM t").one()),
      await outcome(() => sql.exec("SELECT id FROM t WHERE id = 1").one())];
  },
  async F12({ ctx: { storage: { sql } } }) {
    const cursor = sql.exec("SELECT 1 a");
    return [cursor.next().value, cursor.next().done, cursor.next().done, cursor.toArray()];
  },
  async F13({ ctx: { storage: { sql } } }) {
    const cursor = sql.exec("SELECT 1 a UNION ALL SELECT 2 UNION ALL SELECT 3");
    return [cursor.raw().next().value, cursor.toArray()];
  },
  async F14({ ctx: { storage: { sql } } }) {
    return [sql.exec("SELECT 1 a, 2 a").one(), sql.exec("SELECT 1 a, 2 a").raw().toArray(),
      sql.exec("SELECT 1 a, 2 a").columnNames];
  },
  async F15({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE TABLE t(id)");
    const found = [sql.exec("INSERT INTO t VALUES (1), (2), (3)").rowsWritten];
    const cursor = sql.exec("SELECT id FROM t");
    found.push(cursor.rowsRead);
    while (!cursor.next().done) found.push(cursor.rowsRead);
    sql.exec("CREATE INDEX i ON t(id)");
    found.push(sql.exec("INSERT INTO t VALUES (4)").rowsWritten);
    found.push(sql.exec("UPDATE t SET id = id + 10 WHERE id > 2").rowsWritten);
    found.push(sql.exec("DELETE FROM t WHERE id = 1").rowsWritten);
    return found;
  },
  async F16({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE TABLE t(id)");
    sql.exec("INSERT INTO t VALUES (1), (2)");
    const found = [];
    for (const row of sql.exec("SELECT id FROM t")) {
      found.push(row.id);
      if (row.id < 5) sql.exec("INSERT INTO t VALUES (?)", row.id + 10);
    }
    return found;
  },
  async F17({ ctx: { storage: { sql } } }) {
    const failed = await outcome(() => sql.exec("CREATE TABLE t(id); INSERT INTO t VALUES (1); SELEC"));
    return [failed, await outcome(() => sql.exec("SELECT id FROM t").toArray())];
  },
  async F19({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE TABLE t(id)");
    sql.exec("INSERT INTO t VALUES (1), (2), (3)");
    const cursor = sql.exec("SELECT id FROM t");
    cursor.next();
    return [await outcome(() => sql.exec("DROP TABLE t")), cursor.toArray()];
  },
  async F20({ ctx: { storage: { sql } } }) {
    const found = [];
    for (const text of ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT x", "RELEASE x"]) {
      found.push(await outcome(() => sql.exec(text)));
    }
    return found;
  },
  async F21({ ctx: { storage: { sql } } }) {
    const found = [];
    for (const text of [
      "ATTACH 'x' AS y", "DETACH y", "CREATE TEMP TABLE t(a)", "CREATE TEMP VIEW v AS SELECT 1",
      "PRAGMA user_version", "PRAGMA journal_mode", "PRAGMA page_count",
    ]) {
      found.push((await outcome(() => sql.exec(text))).message);
    }
    return found;
  },
  async F22({ ctx: { storage, storage: { sql } } }) {
    await storage.put("a", 1);
    sql.exec("CREATE TABLE t(a)");
    const found = [];
    for (const text of [
      "CREATE TABLE _cf_x(a)", "CREATE TABLE _CF_x(a)", "DROP TABLE _cf_KV", "DELETE FROM _cf_KV",
      "INSERT INTO _cf_KV VALUES ('a', 'b')", "ALTER TABLE t RENAME TO _cf_t",
      "CREATE VIRTUAL TABLE _cf_f USING fts5(a)",
    ]) {
      found.push(await outcome(() => { sql.exec(text); return text; }));
    }
    return found;
  },
  async F23({ ctx: { storage } }) {
    await storage.put("a", 1);
    return await outcome(() => storage.sql.exec("SELECT * FROM _cf_KV").toArray());
  },
  async F24({ ctx: { storage: { sql } } }) {
    return [await outcome(() => sql.exec("SELECT sqlite_version()").toArray()),
      await outcome(() => sql.exec("SELECT load_extension('x')").toArray())];
  },
  async F25({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE VIRTUAL TABLE f USING fts5(body)");
    sql.exec("INSERT INTO f VALUES ('the quick brown fox')");
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER) STRICT");
    sql.exec("CREATE TABLE log(id)");
    sql.exec("CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); END");
    sql.exec("CREATE VIEW v AS SELECT n FROM t");
    const upsert = "INSERT INTO t VALUES (1, 5) ON CONFLICT(id) DO UPDATE SET n = n + 1 RETURNING n";
    return [
      sql.exec("SELECT body FROM f WHERE f MATCH 'quick'").toArray(),
      sql.exec("SELECT json_extract('{\"a\":[1,2]}', '$.a[1]') j, sqrt(16) m").one(),
      sql.exec(upsert).one(), sql.exec(upsert).one(),
      sql.exec("SELECT id FROM log").toArray(), sql.exec("SELECT n FROM v").toArray(),
      sql.exec("SELECT sum(n) OVER (ORDER BY n) w FROM t").toArray(),
      sql.exec("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<3) SELECT x FROM c").toArray(),
    ];
  },
  async F26({ ctx: { storage: { sql } } }) {
    const found = [];
    for (const [text, ...values] of [
      [`CREATE TABLE wide(${numbers(101, (n) => `c${n}`)})`],
      [`SELECT ${numbers(101, () => "?")}`, ...Array(101).fill(1)],
      [Array(6).fill("SELECT 1").join(" UNION ")],
      ["SELECT 'a' LIKE ?", "x".repeat(51)],
      [`SELECT 1 -- ${"x".repeat(100_001)}`],
    ]) {
      found.push(await outcome(() => { sql.exec(text, ...values).toArray(); return null; }));
    }
    return found;
  },
  async F27({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, n NOT NULL, CHECK (n > 0))");
    sql.exec("INSERT INTO t VALUES (1, 1, 1)");
    const found = [];
    for (const values of ["1, 2, 1", "2, 1, 1", "2, 2, NULL", "2, 2, 0"]) {
      found.push(await outcome(() => sql.exec(`INSERT INTO t VALUES (${values})`)));
    }
    return found;
  },
  async F28({ ctx: { storage: { sql } } }) {
    return [await outcome(() => sql.exec("SELEC")), await outcome(() => sql.exec("SELECT * FROM nope")),
      await outcome(() => sql.exec("SELECT nope"))];
  },
  async F29({ ctx: { storage: { sql } } }) {
    const before = sql.exec("PRAGMA foreign_keys").one();
    sql.exec("CREATE TABLE t(id)");
    sql.exec("PRAGMA foreign_keys = OFF");
    return [before, sql.exec("PRAGMA foreign_keys").one()];
  },
  async F30({ ctx: { storage: { sql } } }) {
    const empty = sql.databaseSize;
    sql.exec("CREATE TABLE t(id)");
    sql.exec("INSERT INTO t VALUES (zeroblob(100000))");
    return [empty, sql.databaseSize % 4096, sql.databaseSize > 100_000];
  },
  async F32({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, n)");
    return [
      sql.exec("PRAGMA table_info(t)").toArray(), sql.exec("PRAGMA quick_check").toArray(),
      sql.exec("PRAGMA optimize").toArray(),
      sql.exec("PRAGMA table_list").toArray().map((row) => row.name).includes("t"),
    ];
  },
  async F34({ ctx: { storage: { sql } } }) {
    sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY)");
    sql.exec("INSERT INTO t VALUES (5), (6)");
    return sql.exec("SELECT changes() c, last_insert_rowid() r").one();
  },
  async F35({ ctx: { storage: { sql } } }) {
    return sql.exec("SELECT ? a, length('😀') b", "a\0b😀").one();
  },
  async F36({ ctx: { storage: { sql } } }) {
    return written.map((text) => {
      const cursor = sql.exec(text);
      cursor.toArray();
      return cursor.rowsWritten;
    }).filter((_, n) => !written[n].startsWith("CREATE"));
  },
  async F37({ ctx: { storage: { sql } } }) {
    const found = [];
    for (const [text, ...values] of several) {
      found.push(await outcome(() => sql.exec(text, ...values).toArray()));
    }
    return found;
  },
};
