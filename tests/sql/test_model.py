"""Any sequence of turns against a plain SQLite in memory; and every prefix of what was committed.

The model is an ordinary connection that does by itself what the database does with the runtime:
transactions, savepoints. Evictions and reopens must change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import apsw
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.sql.rig import Rig, put

from wakeful.errors import SqlError
from wakeful.sql.pages import Changes, Pages

SCHEMA = (
    "CREATE TABLE a(id INTEGER PRIMARY KEY, v UNIQUE, pad TEXT);"
    "CREATE TABLE b(a REFERENCES a(id) DEFERRABLE INITIALLY DEFERRED, n);"
    "CREATE INDEX by_n ON b(n);"
    "CREATE VIRTUAL TABLE f USING fts5(x)"
)
DUMP = {
    "schema": "SELECT type, name, sql FROM sqlite_schema ORDER BY name",
    "a": "SELECT id, v, pad FROM a ORDER BY id",
    "b": "SELECT a, n FROM b ORDER BY a, n",
    "f": "SELECT rowid, x FROM f ORDER BY rowid",
}
IDS = st.integers(1, 12)


def statements() -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    pads = st.sampled_from([0, 10, 3_000, 9_000])
    return st.one_of(
        st.tuples(
            st.just("INSERT INTO a VALUES (?, ?, printf('%.*c', ?, 'x'))"),
            st.tuples(IDS, st.integers(0, 20), pads),
        ),
        st.tuples(
            st.just(
                "WITH RECURSIVE c(x) AS (SELECT ? UNION ALL SELECT x + 1 FROM c LIMIT 40)"
                " INSERT OR REPLACE INTO a SELECT x, x + 100, printf('%.*c', 2000, 'y') FROM c"
            ),
            st.tuples(st.integers(13, 200)),
        ),
        st.tuples(
            st.just("UPDATE a SET v = v + 1, pad = pad || 'z' WHERE id >= ?"), st.tuples(IDS)
        ),
        st.tuples(st.just("DELETE FROM a WHERE id = ?"), st.tuples(IDS)),
        st.tuples(st.just("DELETE FROM a WHERE id > 12"), st.just(())),
        st.tuples(st.just("INSERT INTO b VALUES (?, ?)"), st.tuples(IDS, st.integers(0, 3))),
        st.tuples(st.just("DELETE FROM b WHERE n = ?"), st.tuples(st.integers(0, 3))),
        st.tuples(st.just("INSERT INTO f VALUES (?)"), st.tuples(st.text("ab ", max_size=8))),
        st.tuples(st.just("DELETE FROM f WHERE rowid = ?"), st.tuples(IDS)),
        st.tuples(st.just("CREATE TABLE IF NOT EXISTS extra(q)"), st.just(())),
        st.tuples(st.just("DROP TABLE IF EXISTS extra"), st.just(())),
    )


class Machine(RuleBasedStateMachine):
    """A turn is always open in the model; here it is once something has been run."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(cache_bytes=64 * 1024, handles=1)
        self.model = apsw.Connection(":memory:")
        self.model.execute("PRAGMA foreign_keys=on")
        self.model.execute("BEGIN")
        self.marks: list[tuple[int, str]] = []
        self.model.execute(SCHEMA)
        self.rig.sql.exec(SCHEMA)
        self.commit()
        self.land()

    @rule(statement=statements())
    def run(self, statement: tuple[str, tuple[Any, ...]]) -> None:
        sql, bindings = statement
        try:
            self.model.execute(sql, bindings).fetchall()
        except apsw.ConstraintError:
            with pytest.raises(SqlError, match="constraint failed"):
                self.rig.sql.exec(sql, *bindings)
        else:
            self.rig.sql.exec(sql, *bindings).all()

    @rule()
    def mark(self) -> None:
        """A savepoint."""
        name = f"m{len(self.marks)}"
        self.model.execute(f"SAVEPOINT {name}")
        self.marks.append((self.rig.database.mark(), name))

    @precondition(lambda self: self.marks)
    @rule(data=st.data())
    def back(self, data: st.DataObject) -> None:
        """Back to a savepoint."""
        index = data.draw(st.integers(0, len(self.marks) - 1))
        mark, name = self.marks[index]
        self.model.execute(f"ROLLBACK TO {name}; RELEASE {name}")
        self.rig.database.undo(mark)
        del self.marks[index:]

    @precondition(lambda self: self.marks)
    @rule()
    def keep(self) -> None:
        """Release the innermost savepoint."""
        mark, name = self.marks.pop()
        self.model.execute(f"RELEASE {name}")
        self.rig.database.release(mark)

    @rule()
    def undo(self) -> None:
        """The turn raises."""
        self.marks.clear()
        self.model.execute("ROLLBACK; BEGIN")
        self.rig.database.undo()

    @rule(refused=st.booleans())
    def commit(self, refused: bool = False) -> None:
        """The turn ends; `refused`: something else of its commit point is."""
        self.marks.clear()
        if refused:
            with suppress(SqlError):
                self.rig.database.prepare()
            self.undo()
            return
        try:
            self.model.execute("COMMIT")
        except apsw.ConstraintError:
            with pytest.raises(SqlError, match="FOREIGN KEY"):
                self.rig.save()
            self.undo()
        else:
            self.model.execute("BEGIN")
            self.rig.save()

    @rule()
    def fly(self) -> None:
        """A record leaves."""
        self.rig.fly()

    @rule()
    def land(self) -> None:
        """The record on its way is durable."""
        self.rig.land()

    @rule()
    def evict(self) -> None:
        """Another database wants the handle."""
        self.rig.database.rest()

    @rule()
    def sleep(self) -> None:
        """The actor goes to sleep, with nothing owed, and wakes."""
        self.commit()
        self.rig.fly()
        self.rig.land()
        self.rig.database.close()
        self.rig.wake()

    @rule()
    def agree(self) -> None:
        """Both show the same."""
        for sql in DUMP.values():
            expected = self.model.execute(sql).fetchall()
            assert list(self.rig.sql.exec(sql).raw()) == expected

    def teardown(self) -> None:
        self.agree()
        self.rig.database.undo()
        self.model.close()
        stored: dict[int, bytes] = {}
        for batch in self.rig.batches:
            put(stored, batch)
            check(stored)
        self.rig.databases.close()


def check(stored: dict[int, bytes]) -> None:
    """What a crash leaves is a database without a flaw."""
    rig = Rig()
    rig.stored = dict(stored)
    rig.wake()
    handle = rig.database._begin()
    assert rig.database._steps.rows(handle, "PRAGMA integrity_check") == [("ok",)]
    assert rig.database._steps.rows(handle, "PRAGMA foreign_key_check") == []
    rig.sql.exec("INSERT INTO f(f) VALUES ('integrity-check')")
    rig.databases.close()


def run(phases: Sequence[Phase] = tuple(Phase)) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            phases=phases,
            database=None,
            print_blob=False,
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_any_sequence_of_turns_is_as_in_plain_sqlite() -> None:
    run()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_machine_notices_a_page_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that cannot fail proves nothing."""
    take = Pages.take

    def lossy(pages: Pages) -> Changes:
        taken = take(pages)
        if len(taken) > 2:
            taken.popitem()
        return taken

    monkeypatch.setattr(Pages, "take", lossy)
    with pytest.raises((AssertionError, SqlError, apsw.Error)):
        run((Phase.generate,))
