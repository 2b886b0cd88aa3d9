"""A database that is larger than what may be in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from tests.sql.rig import ACTOR, taken

from wakeful.facet import Persistence
from wakeful.ports import Store
from wakeful.sql.databases import Databases
from wakeful.store.sqlite import SQLiteStore
from wakeful.testing.store_owner import Owner

MIB = 1024 * 1024
FILL = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5000)"
    " INSERT INTO t(v, w) SELECT random(), zeroblob(2000) FROM c"
)


class Place:
    def __init__(self, path: Path) -> None:
        self.path = path

    def store(self) -> Store:
        return SQLiteStore(self.path)

    def steal(self) -> None:
        """Nobody takes this one over."""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_hundred_megabytes_are_written_and_read_in_little_memory(tmp_path: Path) -> None:
    """In a real store: the turn's pages, the journal's overlay and the cache are all bounded."""
    with Owner(Place(tmp_path)) as owner:
        databases = Databases(owner.store.page)
        database = databases.open(ACTOR, Persistence(), lambda: False)
        database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v, w)")
        database.execute("CREATE INDEX by_v ON t(v)")
        for _ in range(10):
            database.execute(FILL)
            assert database.prepare()
            database.commit()
            owner.commit(owner.record(ACTOR.name, {}, type=ACTOR.type, pages=taken(database)))
        assert database.size_bytes > 100_000_000
        assert not database.prepare()
        databases.close()
    with Owner(Place(tmp_path)) as owner:
        assert owner.load(ACTOR.name, type=ACTOR.type) == {}
        assert owner.names(ACTOR.type) == [ACTOR.name]
        databases = Databases(owner.store.page)
        database = databases.open(ACTOR, Persistence(), lambda: False)
        tracemalloc.start()
        try:
            rows = database.execute("SELECT count(*), sum(length(w)) FROM t").rest()
            assert rows == [(50_000, 100_000_000)]
            rows = database.execute("SELECT count(*) FROM t WHERE id % 5000 = 7").rest()
            assert rows == [(10,)]
            assert tracemalloc.get_traced_memory()[1] < 4 * MIB
        finally:
            tracemalloc.stop()
        database.undo()
        databases.close()
