"""`wakeful actors` on a directory that no process owns."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wakeful import DurableObject, Runtime
from wakeful.cli.main import command


class Basket(DurableObject):
    total: int = 0
    tags: set[str] = set()

    async def add(self, price: int, note: str) -> None:
        self.total += price
        self.tags.add(note)
        await self.ctx.storage.put("last", {"note": note, "raw": b"\x00"})


class Room(DurableObject):
    seats: int = 4

    async def resize(self, seats: int) -> None:
        self.seats = seats


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    async with Runtime(data, actors=[Basket, Room]) as rt:
        for number in range(3):
            await rt.get(Basket, f"b{number}").add(number, "[red]")
        await rt.get(Room, "lobby").resize(9)
    return data


def actors(data: Path, *args: str, answer: str | None = None) -> Result:
    line = ["actors", args[0], "--data", str(data), *args[1:]]
    return CliRunner().invoke(command, line, input=answer)


def test_ls_counts_each_type(data: Path) -> None:
    result = actors(data, "ls")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["TYPE", "ACTORS"],
        ["Basket", "3"],
        ["Room", "1"],
    ]
    assert json.loads(actors(data, "ls", "--json").stdout) == {
        "types": [{"type": "Basket", "actors": 3}, {"type": "Room", "actors": 1}]
    }


def test_ls_of_a_type_lists_names_and_sizes(data: Path) -> None:
    result = actors(data, "ls", "--type", "Basket", "--limit", "2")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[:4] for line in lines] == [
        ["TYPE", "NAME", "FIELDS", "KEYS"],
        ["Basket", "b0", "2", "1"],
        ["Basket", "b1", "2", "1"],
    ]
    assert "there are more" in result.stderr
    listed = json.loads(actors(data, "ls", "--type", "Basket", "--json").stdout)
    assert [row["name"] for row in listed["actors"]] == ["b0", "b1", "b2"]
    assert listed["more"] is False


def test_ls_with_a_prefix_looks_into_every_type(data: Path) -> None:
    result = actors(data, "ls", "--prefix", "l", "--json")
    assert [row["name"] for row in json.loads(result.stdout)["actors"]] == ["lobby"]
    assert actors(data, "ls", "--prefix", "zz").stdout == "none\n"


def test_ls_of_a_type_that_is_not_stored_says_which_are(data: Path) -> None:
    result = actors(data, "ls", "--type", "Baskit")
    assert result.exit_code == 1
    assert result.stderr == "error: no Baskit is stored; stored types: Basket, Room\n"


def test_get_shows_state_and_storage_without_the_class(data: Path) -> None:
    text = actors(data, "get", "Basket", "b2").stdout
    assert text.startswith("Basket/b2\n")
    for part in ("schema version 1", "total", "2", "[red]", "last", "'raw': b'\\x00'"):
        assert part in text


def test_get_gives_json(data: Path) -> None:
    content = json.loads(actors(data, "get", "Basket", "b2", "--json").stdout)
    assert content.pop("bytes") > 0
    assert content == {
        "type": "Basket",
        "name": "b2",
        "schema_version": 1,
        "state": {"total": 2, "tags": ["[red]"]},
        "storage": {"last": {"note": "[red]", "raw": "AA=="}},
    }


def test_get_of_an_actor_that_is_not_stored_fails(data: Path) -> None:
    result = actors(data, "get", "Room", "attic")
    assert (result.exit_code, result.stderr) == (1, "error: Room/attic is not stored\n")


def test_delete_asks_first(data: Path) -> None:
    refused = actors(data, "delete", "Room", "lobby", answer="n\n")
    assert refused.exit_code == 1
    assert "delete Room/lobby and all it keeps?" in refused.stdout
    assert actors(data, "get", "Room", "lobby").exit_code == 0

    agreed = actors(data, "delete", "Room", "lobby", answer="y\n")
    assert agreed.stdout.endswith("deleted Room/lobby\n")
    assert actors(data, "get", "Room", "lobby").exit_code == 1


def test_deleted_actor_starts_from_nothing(data: Path) -> None:
    async def add() -> None:
        async with Runtime(data, actors=[Basket, Room]) as rt:
            await rt.get(Basket, "b2").add(5, "x")

    assert actors(data, "delete", "Basket", "b2", "--yes").stdout == "deleted Basket/b2\n"
    asyncio.run(add())
    content = json.loads(actors(data, "get", "Basket", "b2", "--json").stdout)
    assert content["state"] == {"total": 5, "tags": ["x"]}


def test_delete_of_an_actor_that_is_not_stored_fails(data: Path) -> None:
    result = actors(data, "delete", "Room", "attic", "--yes")
    assert (result.exit_code, result.stderr) == (1, "error: Room/attic is not stored\n")


@pytest.mark.parametrize("made", [False, True])
def test_directory_without_data_is_left_as_it_is(tmp_path: Path, made: bool) -> None:
    data = tmp_path / "data"
    if made:
        data.mkdir()
    result = actors(data, "ls")
    what = "holds no actors" if made else "does not exist"
    assert result.stderr == f"error: {data} {what}: name the data directory with --data\n"
    assert result.exit_code == 4
    assert list(tmp_path.rglob("*")) == ([data] if made else [])


async def test_directory_of_a_process_without_http_is_refused(data: Path) -> None:
    async with Runtime(data, actors=[Room]):
        result = actors(data, "ls")
    assert "is in use by process" in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.exit_code == 4
