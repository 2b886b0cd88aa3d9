"""A simulated world: one disk, nodes that come and go on it, clients, and faults.

A node is a process with a Runtime and the clients that call it. Its life ends when its clients
are done, or in a crash, or in a takeover: it is paused, the next node opens the disk, and later
the old one goes on as if nothing had happened. In the last life faults have stopped: every call
is answered, every actor takes a write, and nothing is left over.

Invariants: all chance comes from one Random, all time from one loop: a seed is a schedule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import Context
from copy import copy
from functools import cache
from itertools import count
from random import Random
from typing import Any, Final

from wakeful.actor_type import ActorType
from wakeful.config import Config, Limits
from wakeful.core.lifecycle import ActivationState
from wakeful.ids import ActorId
from wakeful.node import Runtime, _actor_type
from wakeful.ports import CommitRecord
from wakeful.runtime.alarm_face import EVER_NS
from wakeful.runtime.host import Host
from wakeful.sql.pages import PAGE_BYTES
from wakeful.testing.actors import Board, Ledger, Teller, incarnations
from wakeful.testing.clock import VirtualClock
from wakeful.testing.disk import FarSimStore, SimDisk, SimStore
from wakeful.testing.faults import FaultPlan
from wakeful.testing.history import (
    NO_TABLES,
    History,
    Landed,
    Opened,
    Remark,
    Tables,
    Trouble,
)
from wakeful.testing.loop import Process, VirtualLoop
from wakeful.testing.places import SAFE, tables_of
from wakeful.testing.safe import object_class
from wakeful.testing.vault import Vault, witness
from wakeful.testing.visitor import Visitors
from wakeful.testing.workload import Client, Workload
from wakeful.workers.objects.classes import ObjectClass

LIVES_MAX: Final = 4
# Far more than the longest timeout of any life: what takes longer will never happen.
PATIENCE_S: Final = 600.0
WARM: Final = 6
ALARM_ROUNDS_MAX: Final = 60
ALARM_SECONDS: Final = 3.0  # a handler that was thrown away twice is left alone for two
BASE: Final = {"__wakeful_base__": True}


class World:
    """Everything of one seed."""

    def __init__(self, loop: VirtualLoop, random: Random) -> None:
        self.loop = loop
        self.random = random
        self.history = History(loop.time)
        self.plan = FaultPlan(random)
        self.disk = SimDisk(random, self.plan, self._landed)
        self.workload = Workload(random)
        self.wall_ns = random.randrange(-(10**17), 10**17)
        self.ops: Iterator[int] = count(1)
        self.sockets: Iterator[int] = count(1)
        self.incarnations: Iterator[int] = count(1)
        self.nodes: list[Node] = []
        self._batches: Iterator[int] = count(1)
        self._tables: dict[ActorId, Tables] = {}

    async def live(self) -> None:
        """All lives, the last one without faults."""
        self.history.add(Remark(f"faults: {self.plan}"))
        for _ in range(self.random.randint(1, LIVES_MAX)):
            await self._life(Node(self))
        self.plan.stop()
        quiet = Node(self, calm=True, clients=0)
        quiet.start()
        await self._finished(quiet.clients_done, f"{quiet.name}: it does not start")
        await self._finished(quiet.every_alarm_fires(), f"{quiet.name}: alarms do not fire")
        await self._end(quiet)
        last = Node(self, calm=True)
        last.start()
        await self._finished(last.clients_done, f"{last.name}: not every call was answered")
        await self._finished(last.probe(), f"{last.name}: not every actor was probed")
        for node in self.nodes:
            await self._end(node)

    def bury(self) -> None:
        """Nothing of this world runs any more."""
        self.history.close()
        for node in self.nodes:
            node.bury()

    async def _life(self, node: Node) -> None:
        node.start()
        if self.plan.hit("crash"):
            await node.some_moment()
            node.crash()
        elif self.plan.hit("takeover"):
            await node.some_moment()
            node.pause(self.random.random() * self.random.choice((0.01, 0.5, 5.0)))
        elif self.plan.hit("restart"):
            await asyncio.sleep(self.random.random() * 0.2)
            await self._end(node)
        else:
            await self._finished(node.clients_done, f"{node.name}: not every call was answered")
            await self._end(node)

    async def _end(self, node: Node) -> None:
        if node.process.alive:
            node.stop.set()
            await self._finished(node.main, f"{node.name}: it does not close")
            node.check_gone()
            node.crash()

    async def _finished(
        self, work: asyncio.Future[Any] | Coroutine[Any, Any, Any], why: str
    ) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await (asyncio.shield(work) if isinstance(work, asyncio.Future) else work)
        except TimeoutError:
            self.history.add(Trouble(why))
        except Exception as error:
            self.history.add(Trouble(f"{why}: {type(error).__name__}: {error}"))

    def _landed(self, records: Sequence[CommitRecord], epoch: int) -> None:
        batch = next(self._batches)
        for record in records:
            actor = ActorId(record.type, record.name)
            cells = self.disk.cells.get(actor, {})
            if record.pages or record.wipe:
                self._tables[actor] = tables_of(self.disk.pages.get(actor, {}))
            tables = self._tables.get(actor, NO_TABLES)
            self.history.add(Landed(batch, epoch, actor, record.seq, record.wipe, cells, tables))


class Node:
    """A process with a runtime, and the clients that call it."""

    def __init__(self, world: World, *, calm: bool = False, clients: int | None = None) -> None:
        self.name = f"node-{len(world.nodes) + 1}"
        self.process = Process(self.name)
        self.process.set(incarnations, world.incarnations)
        self.process.set(witness, world.history.add)
        self.stop = asyncio.Event()
        self.main: asyncio.Future[None]
        self.clients_done: asyncio.Future[None] = world.loop.create_future()
        self._world = world
        self._store = world.random.choice((SimStore, FarSimStore))(world.disk)
        self._host: Host | None = None
        random = world.random
        self._config = calm_config() if calm else draw_config(random)
        self._clients = random.randint(1, 8) if clients is None else clients
        self._calls = random.randint(3, 20)
        self._warm = random.random() < 0.5
        self._visitors = random.choice((0, 1, 3)) if self._clients else 0
        self._clock = VirtualClock(
            world.loop,
            wall_skew_ns=world.wall_ns + random.choice((0, 10**7, 10**11)) * random.randint(-1, 1),
            uptime_ns=random.randrange(10**15),
        )
        world.nodes.append(self)

    def start(self) -> None:
        """Let the process run."""
        self._say("starts")
        self.main = self.process.start(self._world.loop, self._main())

    async def some_moment(self) -> None:
        """Return at a random moment, more often than not while a batch is on its way."""
        random = self._world.random
        await asyncio.sleep(random.random() * random.choice((0.02, 0.2, 2.0)))
        if random.random() < 0.7:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._store.sent()
            await asyncio.sleep(random.random() * 0.002)

    def crash(self) -> None:
        """SIGKILL."""
        self._say("is killed")
        self.process.kill()
        self._store.crash()

    def bury(self) -> None:
        """Nothing of it is left, and nothing of it reports that."""
        self.process.kill()
        if self._host is not None:  # what ends while it is closed begins nothing new
            self._host.sql.close()
            delivery = self._host.delivery
            delivery.pool.finish = lambda turn, result, error: None
            delivery.pump = lambda activation: None  # type: ignore[method-assign]  # of a host that is over
        for task in self.process.tasks:
            frame = getattr(task.get_coro(), "cr_frame", None)
            runner = frame.f_locals.get("self") if frame is not None else None
            if isinstance(work := getattr(runner, "_work", None), Coroutine):
                with suppress(RuntimeError):
                    work.close()  # a turn that was to begin
        self.process.bury()

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        self._say(f"is paused for {seconds:.6f} s")
        self.process.paused = True
        self._world.loop.call_later(seconds, self._resume, context=Context())

    async def probe(self) -> None:
        """Every actor takes a write; then everything comes to rest."""
        client = Client(self._runtime, self.name, self._world.history, self._world.ops)
        probes = [client.call(self._world.workload.probe(a)) for a in self._world.workload.actors()]
        done = [self.process.start(self._world.loop, probe) for probe in probes]
        for probe, actor in zip(done, self._world.workload.actors(), strict=True):
            if not await probe:
                self._trouble(f"{actor} does not take a write, though faults have stopped")
        await self.every_alarm_fires()
        await self.process.start(self._world.loop, self._every_socket_is_served())
        await self.every_alarm_fires()
        await asyncio.sleep(self._config.idle_seconds * 3 + 1)
        for leak in leaks(self._runtime.host):
            self._trouble(f"at rest {leak}")

    async def every_alarm_fires(self) -> None:
        """At rest: what is due fires in time, until none is left."""
        for _ in range(ALARM_ROUNDS_MAX):
            due = await self._store.alarms(EVER_NS, 100)
            if not due:
                return
            await asyncio.sleep(max(0, due[0].due_ns - self._clock.now_ns()) / 1e9 + ALARM_SECONDS)
            for late in set(due[:1]) & set(await self._store.alarms(EVER_NS, 100)):
                self._trouble(f"{late.actor} has an alarm that does not fire")
                return
        self._trouble(f"there is no end of alarms: {due}")

    async def _every_socket_is_served(self) -> None:
        """Each vault gets a client, sleeps, and answers it all the same."""
        visitors, world = self._clients_of_sockets, self._world
        for actor in world.workload.vaults:
            wire = await visitors.enter(actor)
            if wire is None:
                self._trouble(f"{actor} does not let a client in, though faults have stopped")
                continue
            await asyncio.sleep(self._config.idle_seconds * 3)
            visitors.ping(wire)
            visitors.say(wire, 1, "quick")
            await asyncio.sleep(0.5)
            if wire.said <= 0 or wire.asked:
                self._trouble(f"socket {wire.number} of {actor} is not answered")
            for other in visitors.wires[actor]:
                if other.open and other.said != wire.said:
                    self._trouble(f"socket {other.number} has heard {other.said}, not {wire.said}")
                visitors.leave(other, clean=True)

    def check_gone(self) -> None:
        """After an orderly end nothing of the process is left."""
        left = [task for task in self.process.tasks if not task.done()]
        if left:
            first = getattr(left[0].get_coro(), "__qualname__", "one")
            self._trouble(f"closed, but {len(left)} tasks are still there, {first} first")

    async def _main(self) -> None:
        world = self._world
        runtime = self._runtime = Runtime(
            self._store,
            [],
            config=self._config,
            clock=self._clock,
            random=Random(world.random.random()),
        )
        objects = object_class(self._clock.now_ns)
        compiled_types = compiled(self._config.idle_seconds)
        runtime._types = [own(actor_type, objects) for actor_type in compiled_types]
        async with runtime:
            self._host = self._runtime.host
            objects.start(self._host)
            world.history.add(Opened(self.name, self._store.epochs, world.history.now_s()))
            visitors = self._clients_of_sockets = Visitors(
                runtime,
                self.name,
                world.history,
                world.random,
                ops=world.ops,
                sockets=world.sockets,
                tokens=world.workload.token,
            )
            if self._warm:
                await warm_up(runtime)
            async with asyncio.TaskGroup() as clients:
                for _ in range(self._clients):
                    clients.create_task(self._client())
                for _ in range(self._visitors):
                    clients.create_task(self._visit(visitors))
            self.clients_done.set_result(None)
            await self.stop.wait()

    async def _visit(self, visitors: Visitors) -> None:
        world, random = self._world, self._world.random
        for _ in range(random.randint(1, 3)):
            if self.stop.is_set():
                return
            actor = random.choice(world.workload.vaults)
            await visitors.visit(actor, min(self._config.idle_seconds, 0.1))

    async def _client(self) -> None:
        world, random = self._world, self._world.random
        client = Client(self._runtime, self.name, world.history, world.ops)
        hurry = random.choice((0.0002, 0.002, 0.05))
        for _ in range(self._calls):
            if self.stop.is_set():
                return
            patience_s = random.random() * 0.05 if random.random() < 0.15 else None
            await client.call(world.workload.draw(), patience_s)
            if random.random() < 0.5:
                await asyncio.sleep(random.random() * hurry)

    def _resume(self) -> None:
        if self.process.alive:
            self._say("goes on")
            self._world.loop.resume(self.process)

    def _say(self, what: str) -> None:
        self._world.history.add(Remark(f"{self.name} {what}"))

    def _trouble(self, what: str) -> None:
        self._world.history.add(Trouble(f"{self.name}: {what}"))


async def warm_up(runtime: Runtime) -> None:
    """Leave tasks parked in which turns begin at once, as in a node that has run for a while."""
    reads = [runtime.get(Ledger, f"warm{n}").read_slowly(0.001) for n in range(WARM)]
    await asyncio.gather(*reads, return_exceptions=True)


@cache
def compiled(idle_seconds: float) -> tuple[ActorType, ...]:
    """The actor types, compiled once: that takes longer than a life does."""
    config = Config(idle_seconds=idle_seconds)
    safe = object_class(int).spec(idle_seconds)
    return tuple(_actor_type(cls, config) for cls in (Ledger, Board, Teller, Vault, safe))


def own(actor_type: ActorType, objects: ObjectClass) -> ActorType:
    """A copy for one runtime, which changes it."""
    mine = copy(actor_type)
    mine.methods = {name: copy(plan) for name, plan in actor_type.methods.items()}
    mine.socket_methods = {name: copy(plan) for name, plan in actor_type.socket_methods.items()}
    if actor_type.name == SAFE:
        mine.cls = type(mine.cls.__name__, (mine.cls,), {**BASE, "_class": objects})
    return mine


def draw_config(random: Random) -> Config:
    """Settings of one life: often tight, so that limits are met."""
    return Config(
        idle_seconds=random.choice((0.005, 0.05, 1.0)),
        limits=Limits(
            mailbox=random.choice((1, 3, 1000)),
            active_actors=random.choice((1, 2, 3, 1000)),
            calls_waiting=random.choice((4, 1000)),
            turn_seconds=random.choice((0.02, 0.2, 60.0)),
            activate_seconds=random.choice((0.002, 0.2, 30.0)),
            shutdown_seconds=random.choice((0.05, 10.0)),
            sql_handles=random.choice((1, 2, 1000)),
            sql_cache_bytes=random.choice((1, 1024 * 1024)),
            sql_turn_bytes=random.choice((10 * PAGE_BYTES, 1024 * 1024)),
        ),
    )


def calm_config() -> Config:
    """Settings of the last life: nothing is refused for want of room."""
    return Config(idle_seconds=0.05, limits=Limits(sql_handles=1))


def leaks(host: Host) -> Iterable[str]:
    """What is still there of a runtime that has nothing to do."""
    for activation in host.activator.catalog:
        yield f"{activation.id} is still in memory, {activation.life.state.value}"
        if activation.life.state is ActivationState.ACTIVE and not activation.free:
            yield f"{activation.id} is not free"
    if host.delivery.waiting:
        yield f"{host.delivery.waiting} calls are said to wait"
    for lane in host.committer.lanes:
        if lane.busy:
            yield "a batch is not written"
        if lane.commit.collecting.tickets:
            yield "something waits for a batch to which no actor writes"
    if host.sockets.count or host.sockets.connected or host.sockets._rooms:
        yield "a socket is kept that has ended"
    if len(host.delivery.waits):
        yield "an actor is said to wait for another"
