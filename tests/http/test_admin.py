"""What is stored, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from tests.http.actors import Serving, serving

from wakeful import AlarmInfo, DurableObject
from wakeful.runtime.inspection import ROWS_COUNTED


class Shelf(DurableObject):
    books: list[str] = []

    async def put(self, book: str) -> None:
        self.books.append(book)
        await self.ctx.storage.put("latest", book)
        await self.ctx.storage.put("odd", {1: {2, 3}})


@pytest.fixture
async def shelves(tmp_path: Path):  # type: ignore[no-untyped-def]
    async with (
        serving(tmp_path, Shelf) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        for name in ("a", "b", "ä/ö"):
            encoded = "".join(f"%{byte:02X}" for byte in name.encode())
            await http.post(f"/actors/Shelf/{encoded}/put", json=["Emma"])
        yield it, http


Shelves = tuple[Serving, httpx2.AsyncClient]


async def test_types_and_names_are_listed_a_page_at_a_time(shelves: Shelves) -> None:
    _, http = shelves
    assert (await http.get("/_wakeful/actors")).json() == {"types": ["Shelf"]}
    query: dict[str, str] = {"type": "Shelf", "limit": "2"}
    page = (await http.get("/_wakeful/actors", params=query)).json()
    assert [actor["name"] for actor in page["actors"]] == ["a", "b"]
    query["cursor"] = page["cursor"]
    page = (await http.get("/_wakeful/actors", params=query)).json()
    assert [actor["name"] for actor in page["actors"]] == ["ä/ö"]
    assert page["cursor"] is None
    page = (await http.get("/_wakeful/actors", params={"type": "Shelf", "prefix": "b"})).json()
    assert [actor["name"] for actor in page["actors"]] == ["b"]


async def test_a_stored_actor_is_shown_and_deleted(shelves: Shelves) -> None:
    _, http = shelves
    path = "/_wakeful/actors/Shelf/%C3%A4%2F%C3%B6"
    shown = (await http.get(path)).json()
    assert shown["state"] == {"books": ["Emma"]}
    assert shown["storage"]["latest"] == "Emma"
    assert "odd" in shown["storage"]
    assert (shown["type"], shown["name"], shown["schema_version"]) == ("Shelf", "ä/ö", 1)
    assert shown["bytes"] > 0
    assert (await http.delete(path)).json() == {"deleted": True}
    gone = await http.get(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "actor_not_found")


class Ledger(DurableObject):
    async def fill(self, rows: int) -> None:
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE IF NOT EXISTS entries(id INTEGER PRIMARY KEY, text TEXT)")
        sql.exec(
            "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n WHERE x < ?)"
            " INSERT INTO entries(text) SELECT 'entry' FROM n",
            rows,
        )
        self.ctx.alarm.set(timedelta(days=1))

    async def alarm(self, info: AlarmInfo) -> None:
        raise AssertionError("not before tomorrow")


async def test_sql_tables_and_the_alarm_of_an_active_actor_are_shown(tmp_path: Path) -> None:
    """Counting rows ends at a bound: it runs in the server's loop."""
    async with (
        serving(tmp_path, Ledger) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        for rows in (3, ROWS_COUNTED):
            await http.post("/actors/Ledger/a/fill", json=[rows])
            shown = (await http.get("/_wakeful/actors/Ledger/a")).json()
            (table,) = shown["tables"]
            assert table["first"][:3] == [[1, "entry"], [2, "entry"], [3, "entry"]]
            assert (table["rows"], table["more"]) == (min(rows, ROWS_COUNTED), rows > 3)
            assert shown["alarm"]["retries"] == 0
            assert shown["sql_error"] is None
        await http.post("/actors/Ledger/a/fill", json=[1])
        assert (await http.get("/_wakeful/actors/Ledger/a")).json()["sql_bytes"] > 4096


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_wakeful/actors?limit=0", 422),
        ("GET", "/_wakeful/actors?type=Shelf&limit=1001", 422),
        ("GET", "/_wakeful/actors?type=Shelf&limit=x", 422),
        ("GET", "/_wakeful/actors?typo=Shelf", 422),
        ("GET", "/_wakeful/actors?type=%FF", 400),
        ("GET", "/_wakeful/actors/Shelf", 422),
        ("GET", "/_wakeful/actors/Shelf/nobody", 404),
        ("GET", "/_wakeful/actors/Shelf/%FF", 400),
        ("DELETE", "/_wakeful/actors/Nothing/x", 404),
        ("DELETE", "/_wakeful/actors", 405),
        ("POST", "/_wakeful/actors/Shelf/a", 405),
        ("GET", "/_wakeful/actorsx", 404),
    ],
)
async def test_what_is_wrong_is_said(shelves: Shelves, method: str, path: str, status: int) -> None:
    _, http = shelves
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["status"] == status


async def test_a_page_of_another_site_cannot_delete(shelves: Shelves) -> None:
    _, http = shelves
    answer = await http.delete(
        "/_wakeful/actors/Shelf/a", headers={"origin": "https://evil.example"}
    )
    assert answer.json()["code"] == "cross_origin"
    assert (await http.get("/_wakeful/actors/Shelf/a")).status_code == 200
