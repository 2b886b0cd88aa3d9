"""The chat of examples/chat, with two clients."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from wakeful import Config, Runtime

APP = Path(__file__).resolve().parents[2] / "examples" / "chat" / "app.py"


async def receive(client: ClientConnection) -> dict[str, object]:
    found: dict[str, object] = json.loads(await client.recv())
    return found


async def test_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("chat_app", APP)
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "chat_app", app)
    spec.loader.exec_module(app)

    config = Config(idle_seconds=0.05)
    async with Runtime(tmp_path / "data", actors=[app.ChatRoom], config=config) as rt:
        url = f"ws://127.0.0.1:{rt.serve(port=0).port}/actors/ChatRoom/lobby/join?name="
        async with connect(url + "ada") as ada:
            assert await receive(ada) == {"who": ["ada"]}
            await ada.send("hello?")
            assert (await receive(ada))["text"] == "hello?"
            async with connect(url + "bob") as bob:
                assert (await receive(bob))["text"] == "hello?"
                assert await receive(bob) == await receive(ada) == {"who": ["ada", "bob"]}
                with pytest.raises(InvalidStatus):
                    await connect(url + "bob")
                await bob.send("hi ada")
                line = await receive(ada)
                assert (line["name"], line["text"]) == ("bob", "hi ada")
            assert await receive(ada) == {"who": ["ada"]}
            await ada.send("ping")
            assert await ada.recv() == "pong"
        assert await rt.get(app.ChatRoom, "lobby").who() == []
