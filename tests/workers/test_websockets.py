"""WebSockets of Workers: what their frames wait for, sleep, ends nobody uses, flags (C22, H23, I3).

What a client sees of the rest is compared with workerd in conformance, rows H and I18.
"""

import asyncio
import gc
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.runtime.test_sockets import FakeWire
from tests.runtime.world import FlakyStore, settle
from tests.workers.running import HEAD, TOML, Running, methods, raised, running, virtual
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from wakeful import Config, Limits
from wakeful.errors import StorageFull
from wakeful.http.server import HttpServer
from wakeful.http.settings import HttpSettings
from wakeful.store.memory import MemoryStore
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.wrangler import read_config
from wakeful.workers.proxies import JsTypeError
from wakeful.workers.web.events import EventTarget, JsEvent
from wakeful.workers.web.requests import JsRequest

IMPORTS = """
from datetime import datetime
from js import WebSocketPair, WebSocketRequestResponsePair
"""
JOIN = """
async def fetch(self, request):
    client, server = WebSocketPair.new().object_values()
    self.ctx.acceptWebSocket(server, ["tag"])
    return Response(None, status=101, web_socket=client)
"""
HEAR = """
async def webSocketMessage(self, ws, message):
    log.append(message)
    if message == "put":
        self.ctx.storage.put("value", message)
        ws.send("put it")
        ws.send("and more")
    elif message == "put and close":
        self.ctx.storage.put("value", message)
        ws.close(4001, "bye")
    elif message == "abort":
        ws.send("never")
        self.ctx.abort("enough")
    elif message == "later":
        def put():
            self.ctx.storage.put("value", message)
            ws.send("put it later")
        asyncio.get_running_loop().call_later(1, put)
    elif message == "roll back":
        async def work(txn):
            await txn.put("value", message)
            ws.send("sent inside")
            await asyncio.sleep(1)
            txn.rollback()
        await self.ctx.storage.transaction(work)
        log.append(await self.ctx.storage.get("value"))
    elif message == "slow":
        await asyncio.sleep(60)
        log.append("slow ends")
    else:
        ws.send(message)

async def webSocketClose(self, ws, code, reason, clean):
    log.append([code, reason, clean])
"""
STANDARD = """
async def fetch(self, request):
    client, server = WebSocketPair.new().object_values()
    if "late" not in request.url:
        server.accept({"allowHalfOpen": "half" in request.url})
    else:
        self.late = server
    server.onmessage = lambda event: self.heard(server, event.data)
    server.onclose = lambda event: log.append([event.code, event.reason, server.readyState])
    return Response(None, status=101, web_socket=client)

async def heard(self, server, data):
    log.append(data)
    self.ctx.storage.put("value", str(data))
    server.send(data if isinstance(data, str) else type(data).__name__)

async def accept(self):
    self.late.accept()

async def drop(self):
    self.ctx.abort("enough")
"""
TALKING = IMPORTS + methods(JOIN, HEAR)
STANDING = IMPORTS + methods(STANDARD)


async def enter(worker: Running, query: str = "", name: str = "a") -> tuple[Any, FakeWire]:
    """A client comes in: whom its connection talks to, and what it gets."""
    asked = worker.stub(name).fetch(f"http://h/{query}", headers={"Upgrade": "websocket"})
    response = await asked
    peer, wire = response.web_socket.returned(), FakeWire()
    del response
    peer.connect(wire)
    await settle()
    return peer, wire


async def hears(peer: Any, message: str | bytes) -> None:
    peer.received(message)
    await settle()


# --- what frames wait for ---------------------------------------------------------------------


@virtual
async def test_frames_sent_after_a_put_wait_until_it_is_durable(tmp_path: Path) -> None:
    store = FlakyStore()
    async with running(tmp_path, TALKING, store=store) as worker:
        peer, wire = await enter(worker)
        store.held = asyncio.Event()
        await hears(peer, "put")
        await hears(peer, "plain")
        before = list(wire.got)
        store.held.set()
        await settle()

        assert before == []
        assert wire.got == ["put it", "and more", "plain"]


@virtual
async def test_close_after_a_put_waits_until_it_is_durable(tmp_path: Path) -> None:
    store = FlakyStore()
    async with running(tmp_path, TALKING, store=store) as worker:
        peer, wire = await enter(worker)
        store.held = asyncio.Event()
        await hears(peer, "put and close")
        before = list(wire.got)
        store.held.set()
        await settle()

        assert (before, wire.got) == ([], [(4001, "bye")])


@virtual
async def test_automatic_answer_does_not_wait(tmp_path: Path) -> None:
    store = FlakyStore()
    source = TALKING.replace(
        "self.ctx.acceptWebSocket(server",
        'pair = WebSocketRequestResponsePair.new("ping", "pong")\n'
        "        self.ctx.setWebSocketAutoResponse(pair)\n"
        "        self.ctx.acceptWebSocket(server",
    )
    async with running(tmp_path, source, store=store) as worker:
        peer, wire = await enter(worker)
        store.held = asyncio.Event()
        await hears(peer, "put")
        await hears(peer, "ping")
        before = list(wire.got)
        store.held.set()
        await settle()

        assert before == ["pong"]
        assert worker.log == ["put"]


@virtual
async def test_frames_of_a_lost_commit_are_never_sent_and_sockets_drop(tmp_path: Path) -> None:
    store = FlakyStore()
    async with running(tmp_path, TALKING, store=store) as worker:
        (peer, wire), (_, other) = await enter(worker), await enter(worker)
        store.failures.append(StorageFull("no room"))
        await hears(peer, "put")
        again, fresh = await enter(worker)
        await hears(again, "hello")

        assert (wire.got, other.got) == (["dropped"], ["dropped"])
        assert fresh.got == ["hello"]
        assert worker.runtime.host.sockets.count == 1


@virtual
async def test_abort_takes_back_what_its_step_has_sent(tmp_path: Path) -> None:
    async with running(tmp_path, TALKING) as worker:
        peer, wire = await enter(worker)
        await hears(peer, "abort")

        assert wire.got == ["dropped"]
        assert worker.log == ["abort"]


@virtual
async def test_frame_sent_by_a_callback_waits_for_what_that_has_put(tmp_path: Path) -> None:
    store = FlakyStore()
    async with running(tmp_path, TALKING, store=store) as worker:
        peer, wire = await enter(worker)
        await hears(peer, "later")
        store.held = asyncio.Event()
        await asyncio.sleep(2)
        before = list(wire.got)
        store.held.set()
        await settle()

        assert (before, wire.got) == ([], ["put it later"])


@virtual
async def test_frame_of_a_transaction_leaves_after_it_whatever_becomes_of_it(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, TALKING) as worker:
        peer, wire = await enter(worker)
        await hears(peer, "roll back")
        before = list(wire.got)
        await asyncio.sleep(2)

        assert (before, wire.got) == ([], ["sent inside"])
        assert worker.log == ["roll back", None]


# --- sleep --------------------------------------------------------------------------------------


@virtual
async def test_object_sleeps_with_its_sockets_and_sees_new_ones_when_it_wakes(
    tmp_path: Path,
) -> None:
    more = """
    async def webSocketMessage(self, ws, message):
        [known] = self.ctx.getWebSockets("tag")
        log.append([known is ws, getattr(ws, "mine", None), ws.deserializeAttachment()])
        ws.mine = "mine"
        ws.serializeAttachment({"since": 5})
    """
    async with running(tmp_path, IMPORTS + methods(JOIN, more), idle_seconds=5) as worker:
        peer, _ = await enter(worker)
        await hears(peer, "one")
        await hears(peer, "two")
        await asyncio.sleep(11)
        asleep = len(worker.runtime.host.activator.catalog)
        await hears(peer, "three")

        assert asleep == 0
        assert worker.log == [
            [True, None, None],
            [True, "mine", {"since": 5}],
            [True, None, {"since": 5}],
        ]


@virtual
async def test_standard_socket_keeps_its_object_awake_until_it_is_closed(tmp_path: Path) -> None:
    async with running(tmp_path, STANDING, idle_seconds=5) as worker:
        peer, wire = await enter(worker, "half")
        await asyncio.sleep(60)
        awake = len(worker.runtime.host.activator.catalog)
        await hears(peer, "hello")
        peer.closed(4005, "client", clean=True)
        await settle()
        half_open = worker.runtime.host.sockets.count
        peer.disconnected()
        await asyncio.sleep(11)

        assert (awake, half_open) == (1, 1)
        assert wire.got == ["hello"]
        assert worker.log == ["hello", [4005, "client", 2]]
        assert len(worker.runtime.host.activator.catalog) == worker.runtime.host.sockets.count == 0


@virtual
async def test_standard_socket_is_lost_with_its_object(tmp_path: Path) -> None:
    async with running(tmp_path, STANDING) as worker:
        _, wire = await enter(worker)
        await raised(worker.stub().drop())

        assert wire.got == ["dropped"]
        assert worker.runtime.host.sockets.count == 0


@virtual
async def test_frames_of_standard_sockets_wait_for_durability_too(tmp_path: Path) -> None:
    store = FlakyStore()
    async with running(tmp_path, STANDING, store=store) as worker:
        peer, wire = await enter(worker)
        store.held = asyncio.Event()
        await hears(peer, "hello")
        before = list(wire.got)
        store.held.set()
        await settle()

        assert (before, wire.got) == ([], ["hello"])


@virtual
async def test_stopping_hangs_up_at_once_and_says_so(tmp_path: Path) -> None:
    source = STANDING + dedent("""
    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            client, server = WebSocketPair.new().object_values()
            server.accept()
            ended = asyncio.get_running_loop().create_future()
            server.onclose = lambda event: ended.set_result(event.code)
            async def wait():
                log.append(await ended)
            workers.waitUntil(wait())
            return Response(None, status=101, web_socket=client)
    """)
    async with running(tmp_path, source, default="") as worker:
        _, wire = await enter(worker)
        asked = JsRequest("http://h/", {"headers": {"Upgrade": "websocket"}})
        response, plain = await worker.runtime.worker.respond(asked), FakeWire()
        response.webSocket.returned().connect(plain)
        began = asyncio.get_running_loop().time()
    cut = "WebSocket disconnected without sending Close frame."
    assert wire.got == plain.got == [(1001, "the server is going away"), "dropped"]
    assert worker.log == [1006, [1006, cut, 1]]
    assert asyncio.get_running_loop().time() - began < 3


# --- ends ---------------------------------------------------------------------------------------


@virtual
async def test_client_end_that_nobody_holds_is_a_lost_connection(tmp_path: Path) -> None:
    forget = """
    async def fetch(self, request):
        self.ctx.acceptWebSocket(WebSocketPair.new().object_values()[1])
        return Response("no socket")
    """
    async with running(tmp_path, IMPORTS + methods(forget, HEAR)) as worker:
        await worker.stub().fetch("http://h/")
        gc.collect()
        await settle()

        cut = "WebSocket disconnected without sending Close frame."
        assert worker.log == [[1006, cut, False]]
        assert worker.runtime.host.sockets.count == 0


@virtual
async def test_messages_wait_for_an_end_that_is_accepted_late(tmp_path: Path) -> None:
    async with running(tmp_path, STANDING) as worker:
        peer, wire = await enter(worker, "late")
        await hears(peer, "early")
        before = list(worker.log)
        await worker.stub().accept()
        await settle()

        assert (before, worker.log) == ([], ["early"])
        assert wire.held == [True, False]
        assert wire.got == ["early"]


@virtual
async def test_end_returned_in_a_response_cannot_be_used_any_more(tmp_path: Path) -> None:
    source = """
    async def fetch(self, request):
        self.client, self.server = WebSocketPair.new().object_values()
        self.server.accept()
        return Response(None, status=101, web_socket=self.client)

    async def use(self, how):
        if how == "return":
            return Response(None, status=101, web_socket=self.client)
        if how == "return accepted":
            return Response(None, status=101, web_socket=self.server)
        if how == "hibernate":
            self.ctx.acceptWebSocket(self.client)
        self.client.accept()
    """
    async with running(tmp_path, IMPORTS + methods(source)) as worker:
        await enter(worker)
        stub = worker.stub()
        hows = ("accept", "return", "return accepted", "hibernate")
        found = [(await raised(stub.use(how))).message for how in hows]

        assert found == [
            "Can't accept() WebSocket that was already used in a response.",
            "Can't return WebSocket that was already used in a response.",
            "Can't return WebSocket in a Response after calling accept().",
            "Tried to make an api::WebSocket hibernatable when it was in an incompatible state.",
        ]


@virtual
async def test_what_a_slow_end_is_sent_is_bounded(tmp_path: Path) -> None:
    flood = """
    async def flood(self, accept):
        client, server = WebSocketPair.new().object_values()
        server.accept()
        server.onclose = lambda event: log.append([event.code, event.wasClean])
        server.onerror = lambda event: log.append(event.message)
        for _ in range(10):
            server.send("x" * 300)
            await asyncio.sleep(0)
        self.kept = client
    """
    limit = {"socket_backlog_bytes": 1000}
    async with running(tmp_path, IMPORTS + methods(flood), **limit) as worker:
        await worker.stub().flood(accept=False)
        await settle()

        assert "limits.socket_backlog_bytes" in str(worker.log[0])
        assert worker.log[1] == [1013, False]


@virtual
async def test_socket_for_a_request_without_upgrade_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, TALKING) as worker:
        error = await raised(worker.stub().fetch("http://h/"))

        assert isinstance(error, JsTypeError)
        assert 'did not contain the header "Upgrade: websocket"' in error.message


@virtual
async def test_object_has_no_more_sockets_than_it_may(tmp_path: Path) -> None:
    async with running(tmp_path, TALKING, sockets_per_actor=1) as worker:
        kept = await enter(worker)
        error = await raised(enter(worker))

        text = "only 1 websockets can be accepted on a single Durable Object instance"
        assert error.message == text
        del kept


@virtual
async def test_close_reason_that_no_frame_can_carry_is_refused(tmp_path: Path) -> None:
    close = """
    async def webSocketMessage(self, ws, message):
        try:
            ws.close(4001, "é" * 62)
        except Exception as error:
            ws.send(f"{error.name}: {error.message}")
    """
    async with running(tmp_path, IMPORTS + methods(JOIN, close)) as worker:
        peer, wire = await enter(worker)
        await hears(peer, "close")

        text = "A WebSocket close reason cannot be longer than 123 bytes of UTF-8."
        assert wire.got == [f"SyntaxError: {text}"]


# --- handlers and flags -------------------------------------------------------------------------


@virtual
async def test_handler_is_cancelled_after_the_event_timeout(tmp_path: Path) -> None:
    limit = """
    async def limit(self, ms):
        self.ctx.setHibernatableWebSocketEventTimeout(ms)
    """
    async with running(tmp_path, IMPORTS + methods(JOIN, HEAR, limit), idle_seconds=5) as worker:
        peer, wire = await enter(worker)
        await worker.stub().limit(500)
        await asyncio.sleep(11)  # it survives sleep
        await hears(peer, "slow")
        await asyncio.sleep(100)
        await hears(peer, "next")

        assert worker.log == ["slow", "next"]
        assert wire.got == ["next"]


@virtual
@pytest.mark.parametrize(
    ("date", "kind", "got", "state"),
    [("2026-03-01", "JsBytes", [], 2), ("2026-04-07", "JsBlob", [(4005, "client")], 3)],
)
async def test_compatibility_date_decides_on_blobs_and_close_frames(
    tmp_path: Path, date: str, kind: str, got: list[object], state: int
) -> None:
    async with running(tmp_path, STANDING, date=date) as worker:
        peer, wire = await enter(worker)
        await hears(peer, b"\1")
        peer.closed(4005, "client", clean=True)
        await settle()

        assert wire.got == [kind, *got]
        assert worker.log[1] == [4005, "client", state]
        peer.disconnected()


@virtual
async def test_listeners_are_called_in_turn_and_one_that_fails_stops_no_other(
    tmp_path: Path,
) -> None:
    source = """
    async def fetch(self, request):
        from pyodide.ffi import create_proxy

        client, server = WebSocketPair.new().object_values()
        server.accept()

        def fails(event):
            raise ValueError("no")

        async def waits(event):
            await asyncio.sleep(1)
            log.append(f"waited for {event.data}")

        class Handling:
            def handleEvent(self, event):
                log.append([event.type, event.target is server])

        taken_away = create_proxy(lambda event: log.append("never"))
        for listener in (taken_away, fails, create_proxy(waits), Handling()):
            server.addEventListener("message", listener)
        server.addEventListener("message", lambda event: log.append("once"), {"once": True})
        server.removeEventListener("message", taken_away)
        return Response(None, status=101, web_socket=client)
    """
    async with running(tmp_path, IMPORTS + methods(source)) as worker:
        peer, _ = await enter(worker)
        await hears(peer, "a")
        await hears(peer, "b")
        await asyncio.sleep(2)

        told = ["message", True]
        assert worker.log == [told, "once", told, "waited for a", "waited for b"]


@virtual
async def test_pair_cannot_be_made_while_a_worker_is_imported(tmp_path: Path) -> None:
    source = IMPORTS + "WebSocketPair.new()\n" + methods(JOIN)
    with pytest.raises(Exception, match="cannot accept sockets"):
        async with running(tmp_path, source):
            pass


# --- over our own server ------------------------------------------------------------------------


SERVED = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "plain" in request.url:
            return Response("no socket", status=403)
        return await self.env.OBJECT.getByName("a").fetch(request)
"""
WITH_PROTOCOL = JOIN.replace(
    "web_socket=client", 'web_socket=client, headers={"Sec-WebSocket-Protocol": "chat"}'
)


class Served:
    def __init__(self, runtime: WorkerRuntime, server: HttpServer) -> None:
        self.runtime = runtime
        self.url = f"ws://127.0.0.1:{server.port}"


@pytest.fixture
async def served(tmp_path: Path) -> Any:
    source = tmp_path / "worker" / "src"
    source.mkdir(parents=True)
    toml = TOML.format(storage="new_sqlite_classes", date="2026-03-01")
    (tmp_path / "worker" / "wrangler.toml").write_text(toml)
    (source / "entry.py").write_text(HEAD + IMPORTS + methods(WITH_PROTOCOL, HEAR) + SERVED)
    config = Config(idle_seconds=0.05, limits=Limits(sockets=1))
    runtime = WorkerRuntime(MemoryStore(), read_config(tmp_path / "worker"), config=config)
    async with runtime:
        yield Served(runtime, runtime.serve(port=0, settings=HttpSettings(close_seconds=1)))


async def test_client_talks_to_an_object_that_sleeps_meanwhile(served: Served) -> None:
    async with connect(f"{served.url}/", subprotocols=["chat"]) as client:  # type: ignore[list-item]
        await client.send("hello")
        await client.send(b"\0\xff")
        said = [await client.recv(), await client.recv()]
        async with asyncio.timeout(10):
            while len(served.runtime.host.activator.catalog):  # noqa: ASYNC110 - over the wire
                await asyncio.sleep(0.01)
        await client.send("awake?")

        assert [*said, await client.recv()] == ["hello", b"\0\xff", "awake?"]
        assert client.subprotocol == "chat"


async def test_refusals_are_ordinary_answers(served: Served) -> None:
    async def refused(path: str) -> int:
        with pytest.raises(InvalidStatus) as caught:
            await connect(served.url + path)
        return caught.value.response.status_code

    assert await refused("/plain") == 403
    async with connect(f"{served.url}/", subprotocols=["chat"]):  # type: ignore[list-item]
        assert await refused("/") == 503  # limits.sockets
    assert served.runtime.host.sockets.count <= 1


@virtual
async def test_a_socket_is_not_read_while_too_many_listeners_wait(tmp_path: Path) -> None:
    slow = STANDING.replace("log.append(data)", "await asyncio.sleep(1)")
    async with running(tmp_path, slow, mailbox=3) as worker:
        peer, wire = await enter(worker)
        for n in range(2):
            peer.received(str(n))
        await settle()
        assert True not in wire.held
        peer.received("2")
        await settle()
        assert wire.held[-1]
        await asyncio.sleep(2)
        assert not wire.held[-1]
        assert wire.got == ["0", "1", "2"]


def test_a_listener_that_exits_ends_nothing_else() -> None:
    target, heard = EventTarget(), list[str]()
    target.addEventListener("x", lambda event: sys.exit(1))
    target.addEventListener("x", lambda event: heard.append(event.type))
    with capture_logs() as logs:
        target.tell(JsEvent("x"), lambda work: None)
    assert heard == ["x"]
    assert [line["event"] for line in logs] == ["a listener to 'x' failed"]
