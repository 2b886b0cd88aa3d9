"""The list of examples/collaborative_list, with two windows open and a program beside them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from wakeful import Config, Runtime

APP = Path(__file__).resolve().parents[2] / "examples" / "collaborative_list" / "app.py"


async def shown(window: ClientConnection) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await window.recv())
    return found


async def test_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("list_app", APP)
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "list_app", app)
    spec.loader.exec_module(app)

    milk = {"id": 1, "text": "milk", "done": False}
    config = Config(idle_seconds=0.05)
    async with Runtime(tmp_path / "data", actors=[app.SharedList], config=config) as rt:
        place = f"127.0.0.1:{rt.serve(port=0).port}/actors/SharedList/groceries"
        async with (
            connect(f"ws://{place}/watch") as one,
            connect(f"ws://{place}/watch") as two,
            httpx2.AsyncClient() as program,
        ):
            assert await shown(one) == await shown(two) == []
            await one.send('{"type": "add", "text": " milk "}')
            assert await shown(one) == await shown(two) == [milk]
            added = await program.post(f"http://{place}/add", json={"text": "tea"})
            assert added.json() == {"id": 2, "text": "tea", "done": False}
            assert await shown(one) == await shown(two) == [milk, added.json()]
            await program.post(f"http://{place}/check", json={"id": 1})
            assert (await shown(two))[0]["done"]
            await two.send('{"type": "check", "id": 1, "done": false}')
            assert not (await shown(two))[0]["done"]
            await two.send('{"type": "remove", "id": 1}')
            assert await shown(two) == [added.json()]
            refused = await program.post(f"http://{place}/add", json={"text": " "})
            assert "an item needs a text" in refused.text
            await two.send('{"type": "paint"}')
            with pytest.raises(ConnectionClosed, match=r"4000.*paint"):
                await two.recv()
        assert [item.text for item in await rt.get(app.SharedList, "groceries").get()] == ["tea"]
