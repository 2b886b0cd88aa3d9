"""Runtimes and Workers under test, by the fixtures that the plugin gives everybody."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from wakeful import (
    Actor,
    ActorId,
    AlarmInfo,
    ConfigError,
    DurableObject,
    UnknownActorType,
)
from wakeful.testing.harness import StartRuntime
from wakeful.testing.worker_harness import Request, Response, StartWorker
from wakeful.workers.proxies import JsException

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOML = """
name = "app"
main = "src/entry.py"
compatibility_date = "2026-03-01"
vars = { GREETING = "hello" }
durable_objects.bindings = [{ name = "OBJECT", class_name = "Thing" }]
migrations = [{ tag = "v1", new_sqlite_classes = ["Thing"] }]
"""
ENTRY = """
import asyncio
from js import Date, WebSocketPair
from workers import DurableObject, Response, WorkerEntrypoint, fetch

class Thing(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.seen = 0

    async def add(self):
        self.seen += 1
        count = (await self.ctx.storage.get("count") or 0) + 1
        await self.ctx.storage.put("count", count)
        return count

    def seen_since_waking(self):
        return self.seen

    async def ring_in(self, seconds):
        await self.ctx.storage.setAlarm(Date.now() + seconds * 1000)

    async def fetch(self, request):
        client, server = WebSocketPair.new().object_values()
        self.ctx.acceptWebSocket(server)
        return Response(None, status=101, web_socket=client)

    async def webSocketMessage(self, ws, message):
        ws.send(f"{await self.add()}, {self.seen}: {message}")

    async def alarm(self, info):
        if await self.ctx.storage.get("broken"):
            raise ValueError("broken")
        await self.ctx.storage.put("rung", Date.now())

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/socket"):
            return await self.env.OBJECT.getByName("a").fetch(request)
        if request.url.endswith("/outside"):
            return await fetch("https://example.com/price", method="POST", body="7")
        if request.url.endswith("/broken"):
            raise KeyError("no such thing")
        if request.url.endswith("/slow"):
            await asyncio.sleep(3600)
        text = await request.text() if request.method == "POST" else ""
        return Response(f"{self.env.GREETING} {request.method} {request.url} {text}".strip())
"""


class Lamp(DurableObject):
    on: bool = False
    switched: int = 0
    broken: bool = False

    def __init__(self) -> None:
        self._seen = 0

    async def toggle(self) -> bool:
        self._seen += 1
        self.on, self.switched = not self.on, self.switched + 1
        return self.on

    async def seen(self) -> int:
        return self._seen

    async def off_in(self, seconds: int) -> None:
        self.ctx.alarm.set(timedelta(seconds=seconds))

    async def alarm(self, info: AlarmInfo) -> None:
        self.on = False
        if self.broken:
            raise ValueError("broken")

    async def nap(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Heater(Actor):
    async def heat(self) -> int:
        return 1


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "wrangler.toml").write_text(TOML)
    (tmp_path / "src" / "entry.py").write_text(dedent(ENTRY))
    return tmp_path


# --- actors ----------------------------------------------------------------------------------


async def test_each_runtime_begins_empty(runtime: StartRuntime) -> None:
    for _ in range(2):
        rt = await runtime(Lamp)
        assert await rt.get(Lamp, "a").toggle()


async def test_time_passes_only_as_the_test_waits(runtime: StartRuntime) -> None:
    rt = await runtime(Lamp, now=START)
    assert rt.now() == START
    await rt.get(Lamp, "a").toggle()
    assert rt.now() == START
    await rt.advance(timedelta(days=14))
    assert timedelta(0) <= rt.now() - START - timedelta(days=14) < timedelta(seconds=0.1)


async def test_time_begins_when_the_machine_says(runtime: StartRuntime) -> None:
    rt = await runtime(Lamp)

    assert abs(rt.now() - datetime.now(UTC)) < timedelta(minutes=1)


async def test_an_alarm_fires_when_time_has_passed_it(runtime: StartRuntime) -> None:
    lamp = (rt := await runtime(Lamp)).get(Lamp, "a")
    await lamp.toggle()
    await lamp.off_in(60)
    await rt.advance(59)
    assert await rt.run_in(lamp, lambda lamp, ctx: lamp.on)
    await rt.advance(1)
    assert not await rt.run_in(lamp, lambda lamp, ctx: lamp.on)


async def test_idle_actors_go_to_sleep(runtime: StartRuntime) -> None:
    lamp = (rt := await runtime(Lamp)).get(Lamp, "a")
    await lamp.toggle()
    await rt.advance(9)
    assert await lamp.seen() == 1
    await rt.advance(10)
    assert await lamp.seen() == 0
    assert not await lamp.toggle()  # what it keeps has stayed


async def test_an_alarm_is_run_early(runtime: StartRuntime) -> None:
    lamp = (rt := await runtime(Lamp)).get(Lamp, "a")
    await lamp.toggle()
    assert not await rt.run_alarm(lamp)
    await lamp.off_in(60)
    await rt.evict(lamp)
    assert await rt.run_alarm(lamp)
    assert await lamp.toggle()
    assert not await rt.run_alarm(lamp)
    await rt.advance(60)
    assert not await lamp.toggle()  # it does not fire again


async def test_an_alarm_run_early_that_fails_is_undone_and_stays(runtime: StartRuntime) -> None:
    lamp = (rt := await runtime(Lamp)).get(Lamp, "a")
    await lamp.toggle()
    await lamp.off_in(60)
    await rt.run_in(lamp, lambda lamp, ctx: setattr(lamp, "broken", True))
    with pytest.raises(ValueError, match="broken"):
        await rt.run_alarm(lamp)
    await rt.run_in(lamp, lambda lamp, ctx: setattr(lamp, "broken", False))
    assert await rt.run_in(lamp, lambda lamp, ctx: lamp.on)
    await rt.advance(60)
    assert not await rt.run_in(lamp, lambda lamp, ctx: lamp.on)


async def test_eviction_waits_for_what_runs(runtime: StartRuntime) -> None:
    lamp = (rt := await runtime(Lamp)).get(Lamp, "a")
    assert not await rt.evict(lamp)
    await lamp.toggle()
    napping = asyncio.create_task(lamp.nap(5))
    await asyncio.sleep(0)
    before = rt.now()
    assert await rt.evict(lamp)
    assert rt.now() - before >= timedelta(seconds=5)
    assert napping.done()
    assert await lamp.seen() == 0


async def test_everything_is_evicted(runtime: StartRuntime) -> None:
    rt = await runtime(Lamp)
    lamps = [rt.get(Lamp, name) for name in "abc"]
    for lamp in lamps:
        await lamp.toggle()
    await rt.evict_all()

    assert [await lamp.seen() for lamp in lamps] == [0, 0, 0]


async def test_code_inside_an_actor_is_a_turn(runtime: StartRuntime) -> None:
    lamp = (rt := await runtime(Lamp)).get(Lamp, "a")

    async def spoil(lamp: Lamp, ctx: object) -> None:
        lamp.on = True
        await asyncio.sleep(1)
        raise AssertionError("as expected")

    with pytest.raises(AssertionError, match="as expected"):
        await rt.run_in(lamp, spoil)
    assert not await rt.run_in(lamp, lambda lamp, ctx: lamp.on)
    inside = await rt.run_in(lamp, lambda lamp, ctx: (lamp, ctx.id))
    assert isinstance(inside[0], Lamp)
    assert inside[1] == ActorId("Lamp", "a")


@pytest.mark.parametrize("wait", [False, True])
async def test_a_failure_said_inside_an_actor_is_one_of_the_test(
    runtime: StartRuntime, wait: bool
) -> None:
    lamp = (rt := await runtime(Lamp)).get(Lamp, "a")

    async def fail(lamp: Lamp, ctx: object) -> None:
        if wait:
            await asyncio.sleep(1)
        pytest.fail("said inside")

    with pytest.raises(pytest.fail.Exception, match="said inside"):
        await rt.run_in(lamp, fail)
    assert await lamp.toggle()


async def test_actors_are_listed_whether_stored_or_awake(runtime: StartRuntime) -> None:
    rt = await runtime(Lamp)
    for number in range(150):
        await rt.get(Lamp, f"{number:03}").toggle()
    await rt.evict_all()
    await rt.get(Lamp, "awake").seen()

    found = [name for _, name in await rt.ids(Lamp)]
    assert found == [*(f"{number:03}" for number in range(150)), "awake"]
    with pytest.raises(UnknownActorType):
        await rt.ids(Heater)


async def test_spawned_actors_can_be_tested_too(runtime: StartRuntime) -> None:
    rt = await runtime()
    heater = rt.spawn(Heater)
    assert await rt.run_in(heater, lambda heater, ctx: heater.heat()) == 1
    assert await rt.evict(heater)
    assert not await rt.evict(heater)


def test_another_loop_is_refused() -> None:
    with pytest.raises(ConfigError, match="run on virtual time"):
        asyncio.run(StartRuntime(AsyncExitStack())(Lamp))


async def test_what_is_no_ref_is_refused(runtime: StartRuntime) -> None:
    rt = await runtime(Lamp)
    with pytest.raises(TypeError, match="a ref is wanted"):
        await rt.evict("a")
    with pytest.raises(ValueError, match="forward only"):
        await rt.advance(-1)
    with pytest.raises(ConfigError, match="time zone"):
        await runtime(Lamp, now=datetime(2026, 3, 1))


# --- Workers ---------------------------------------------------------------------------------


async def test_a_worker_answers(worker: StartWorker, app: Path) -> None:
    served = await worker(app)
    assert await (await served.fetch("/a?b=1")).text() == "hello GET http://localhost/a?b=1"
    response = await served.fetch("https://example.com/x", method="POST", body="text")
    assert (response.status, await response.text()) == (
        200,
        "hello POST https://example.com/x text",
    )
    request = Request("http://h/")
    assert await (await served.fetch(request)).text() == "hello GET http://h/"
    with pytest.raises(KeyError, match="no such thing"):
        await served.fetch("/broken")


async def test_a_worker_that_sleeps_an_hour_takes_no_time(worker: StartWorker, app: Path) -> None:
    served = await worker(app, now=START)
    await served.fetch("/slow")

    assert served.now() == START + timedelta(hours=1)


async def test_env_is_the_workers(worker: StartWorker, app: Path) -> None:
    served = await worker(app)
    assert served.env.GREETING == "hello"
    stub = served.env.OBJECT.getByName("a")
    assert [await stub.add(), await stub.add()] == [1, 2]


@pytest.mark.parametrize("number", [1, 2])
async def test_each_test_begins_with_empty_storage(
    worker: StartWorker, app: Path, number: int
) -> None:
    served = await worker(app)
    assert await served.list_durable_object_ids(served.env.OBJECT) == []
    assert await served.env.OBJECT.getByName("a").add() == 1


async def test_code_runs_inside_an_object(worker: StartWorker, app: Path) -> None:
    served = await worker(app)
    stub = served.env.OBJECT.getByName("a")
    await stub.add()

    async def look(instance: object, ctx: object) -> tuple[str, int]:
        await asyncio.sleep(1)
        return type(instance).__name__, await ctx.storage.get("count")  # type: ignore[attr-defined]

    assert await served.run_in_durable_object(stub, look) == ("Thing", 1)
    sync = await served.run_in_durable_object(stub, lambda instance, ctx: ctx.id)
    assert sync == stub.id
    with pytest.raises(AssertionError, match="as it is"):
        await served.run_in_durable_object(
            stub, lambda *_: (_ for _ in ()).throw(AssertionError("as it is"))
        )
    with pytest.raises(pytest.fail.Exception, match="said inside"):
        await served.run_in_durable_object(stub, lambda *_: pytest.fail("said inside"))
    assert await stub.add() == 2  # the object goes on


async def test_an_object_that_is_reset_inside_says_so(worker: StartWorker, app: Path) -> None:
    served = await worker(app)
    stub = served.env.OBJECT.getByName("a")
    with pytest.raises(JsException, match="enough"):
        await served.run_in_durable_object(stub, lambda instance, ctx: ctx.abort("enough"))


async def test_alarms_of_objects(worker: StartWorker, app: Path) -> None:
    served = await worker(app, now=START)
    stub = served.env.OBJECT.getByName("a")

    async def rung() -> object:
        return await served.run_in_durable_object(stub, lambda _, ctx: ctx.storage.get("rung"))

    assert not await served.run_durable_object_alarm(stub)
    await stub.ring_in(60)
    assert await served.evict(stub)
    assert await served.run_durable_object_alarm(stub)
    assert await rung() == START.timestamp() * 1000
    await served.run_in_durable_object(stub, lambda _, ctx: ctx.storage.put("broken", True))
    await stub.ring_in(60)
    with pytest.raises(ValueError, match=r"^broken$") as raised:
        await served.run_durable_object_alarm(stub)
    assert type(raised.value) is ValueError
    await served.run_in_durable_object(stub, lambda _, ctx: ctx.storage.delete("broken"))
    await served.advance(60)
    assert await rung() == pytest.approx(START.timestamp() * 1000 + 60_000, abs=100)


async def test_objects_are_evicted(worker: StartWorker, app: Path) -> None:
    served = await worker(app)
    stub = served.env.OBJECT.getByName("a")
    assert not await served.evict(stub)
    await stub.add()
    assert await served.evict(stub)
    assert await stub.seen_since_waking() == 0
    await stub.add()
    await served.evict_all()
    assert await stub.seen_since_waking() == 0
    await served.advance(11)
    assert not await served.evict(stub)  # idle, it has gone by itself
    assert await stub.add() == 3


async def test_objects_are_listed(worker: StartWorker, app: Path) -> None:
    served = await worker(app)
    ids = {served.env.OBJECT.idFromName(name) for name in "ab"} | {served.env.OBJECT.newUniqueId()}
    for id in ids:
        await served.env.OBJECT.get(id).add()
    assert set(await served.list_durable_object_ids(served.env.OBJECT)) == ids
    with pytest.raises(TypeError, match="a namespace is wanted"):
        await served.list_durable_object_ids("OBJECT")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a stub is wanted"):
        await served.evict(served.env.OBJECT)


async def test_sockets_stay_while_their_object_is_evicted(worker: StartWorker, app: Path) -> None:
    served = await worker(app)
    response = await served.fetch("/socket", headers={"Upgrade": "websocket"})
    assert response.status == 101
    socket, heard = response.web_socket, asyncio.Queue[str]()
    socket.addEventListener("message", lambda event: heard.put_nowait(event.data))
    socket.accept()
    socket.send("hello")
    assert await heard.get() == "1, 1: hello"
    assert await served.evict(served.env.OBJECT.getByName("a"))
    socket.send("again")
    assert await heard.get() == "2, 1: again"
    socket.close(1000, "bye")


async def test_workers_that_it_binds(worker: StartWorker, app: Path, tmp_path: Path) -> None:
    front = tmp_path / "front"
    front.mkdir()
    (front / "wrangler.toml").write_text(
        """
        name = "front"
        main = "main.py"
        services = [{ binding = "APP", service = "app" }]
        durable_objects.bindings = [
            { name = "THEIRS", class_name = "Thing", script_name = "app" }
        ]
        """
    )
    (front / "main.py").write_text(
        dedent("""
        from workers import WorkerEntrypoint

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                return await self.env.APP.fetch(request)
        """)
    )
    served = await worker(front, others=[app])
    assert await (await served.fetch("/x")).text() == "hello GET http://localhost/x"
    stub = served.env.THEIRS.getByName("a")
    assert await stub.add() == 1
    assert await served.run_in_durable_object(stub, lambda instance, ctx: instance.seen) == 1
    assert await served.list_durable_object_ids(served.env.THEIRS) == [stub.id]
    assert await served.evict(stub)


async def test_the_test_answers_for_the_outside(worker: StartWorker, app: Path) -> None:
    async def answer(request: Request) -> Response:
        return Response(f"{request.method} {request.url} {await request.text()}")

    served = await worker(app, outgoing=answer)
    response = await served.fetch("/outside")
    assert await response.text() == "POST https://example.com/price 7"


async def test_without_an_answer_the_outside_is_not_there(worker: StartWorker, app: Path) -> None:
    served = await worker(app)
    with pytest.raises(OSError, match=r"https://example.com/price.*outgoing=answer"):
        await served.fetch("/outside")
