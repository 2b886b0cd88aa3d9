"""Sockets over fake connections, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, virtual

from wakeful import (
    ActivationFailed,
    Actor,
    ActorContext,
    ConfigError,
    DurableObject,
    InvalidArguments,
    Overloaded,
    Runtime,
    SocketClosed,
    WebSocket,
)
from wakeful.errors import PayloadTooLarge, StorageFull
from wakeful.runtime.internal_plan import InternalPlan
from wakeful.runtime.refs import Ref
from wakeful.runtime.socket import Socket


class FakeWire:
    """What a client gets."""

    def __init__(self) -> None:
        self.got: list[object] = []
        self.held: list[bool] = []
        self.backlog = 0

    def send(self, message: str | bytes) -> None:
        self.got.append(message)

    def close(self, code: int, reason: str) -> None:
        self.got.append((code, reason))

    def drop(self) -> None:
        self.got.append("dropped")

    def hold(self, *, held: bool) -> None:
        self.held.append(held)

    def backlog_bytes(self) -> int:
        return self.backlog


class Room(DurableObject):
    said: int = 0
    log: list[str] = []
    _fresh: bool = True

    async def say(self, text: str) -> None:
        self.said += 1
        for socket in self.ctx.sockets():
            socket.send(text)

    async def say_and_fail(self) -> None:
        self.said += 1
        for socket in self.ctx.sockets():
            socket.attachment = "changed"
            socket.send("never")
            socket.close()
        raise ValueError("no")

    async def wait_and_say(self, seconds: float) -> None:
        for socket in self.ctx.sockets():
            socket.send("before")
        await asyncio.sleep(seconds)
        for socket in self.ctx.sockets():
            socket.send("after")

    async def abort(self) -> None:
        self.ctx.abort()

    async def fresh(self) -> bool:
        fresh, self._fresh = self._fresh, False
        return fresh

    async def get_log(self) -> list[str]:
        return self.log

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        if message == "fail":
            socket.send("never")
            raise ValueError("no")
        if message == "close":
            socket.close(4001, "bye")
            return
        if message == "wait":
            await asyncio.sleep(1)
        self.log = [*self.log, str(message)]
        socket.send(message)

    async def on_close(self, socket: WebSocket, code: int, reason: str, clean: bool) -> None:
        self.log = [*self.log, f"closed {code} {reason} {clean} {socket in self.ctx.sockets()}"]

    async def on_error(self, socket: WebSocket, error: Exception) -> None:
        assert isinstance(error, SocketClosed)
        self.log = [*self.log, f"error {error.close_code}"]


class Quiet(DurableObject):
    """Has no handlers."""

    async def touch(self) -> None:
        pass


Enter = Callable[[ActorContext, Socket], object]


async def enter(
    rt: Runtime, ref: object, *tags: str, also: Enter | None = None
) -> tuple[Socket, FakeWire]:
    """A client comes in: its socket is accepted in a turn of the actor."""
    assert isinstance(ref, Ref)
    host = rt.host
    socket, wire = Socket(host.sockets), FakeWire()

    async def joined(instance: Actor, given: Socket) -> None:
        instance.ctx.accept(given, tags)
        if also is not None:
            also(instance.ctx, given)

    await in_turn(rt, ref, joined, socket)
    socket.connect(wire)
    return socket, wire


async def in_turn(rt: Runtime, ref: object, work: Callable[..., object], *args: object) -> None:
    """Run work as a turn of an actor."""
    assert isinstance(ref, Ref)
    await rt.host._ask(ref._type, ref._id, InternalPlan("test", work), args)  # type: ignore[arg-type]


async def settle() -> None:
    await asyncio.sleep(0.2)


@virtual
async def test_message_is_a_turn_and_its_frames_come_back() -> None:
    async with runtime(Room) as rt:
        socket, wire = await enter(rt, rt.get(Room, "r"))
        socket.received("hi")
        socket.received(b"\0")
        await settle()

        assert wire.got == ["hi", b"\0"]


@virtual
async def test_sleeping_actor_keeps_its_sockets_and_wakes_for_a_message() -> None:
    async with runtime(Room, idle_seconds=1.0) as rt:
        room = rt.get(Room, "r")

        def attach(ctx: ActorContext, socket: Socket) -> None:
            socket.attachment = {"name": "ada"}

        socket, wire = await enter(rt, room, "red", also=attach)
        await room.fresh()
        await asyncio.sleep(3)
        asleep = len(rt.host.activator.catalog)
        socket.received("hi")
        await settle()

        assert asleep == 0
        assert wire.got == ["hi"]
        assert await room.fresh()
        assert (socket.tags, socket.attachment) == (("red",), {"name": "ada"})


@virtual
async def test_frames_wait_for_durability_and_keep_their_order() -> None:
    store = FlakyStore()
    async with runtime(Room, store=store) as rt:
        room = rt.get(Room, "r")
        _, wire = await enter(rt, room)
        store.held = asyncio.Event()
        saying = [asyncio.create_task(room.say(f"{n}")) for n in range(3)]
        await asyncio.sleep(1)
        early = list(wire.got)
        store.held.set()
        await asyncio.gather(*saying)
        await settle()

        assert early == []
        assert wire.got == ["0", "1", "2"]


@virtual
async def test_undone_turn_sends_nothing_and_changes_no_socket() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        first = asyncio.create_task(room.say("one"))
        with pytest.raises(ValueError, match="no"):
            await room.say_and_fail()
        await first
        await room.say("two")
        await settle()

        assert wire.got == ["one", "two"]
        assert socket.attachment is None
        assert not socket.closed_by_actor


@virtual
async def test_frames_of_a_waiting_turn_leave_when_it_ends() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        _, wire = await enter(rt, room)
        turn = asyncio.create_task(room.wait_and_say(1))
        await asyncio.sleep(0.5)
        early = list(wire.got)
        await turn
        await settle()

        assert (early, wire.got) == ([], ["before", "after"])


@virtual
async def test_transaction_that_raises_takes_its_frames_back() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)

        async def turn(instance: Actor) -> None:
            socket.send("kept")

            async def work() -> None:
                socket.send("never")
                raise KeyError

            with pytest.raises(KeyError):
                await instance.ctx.storage.transaction(work)

        await in_turn(rt, room, turn)
        await settle()

        assert wire.got == ["kept"]


@virtual
async def test_background_work_sends_after_what_it_wrote_is_durable() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)

        async def later(instance: Room) -> None:
            await asyncio.sleep(1)
            instance.said = 7
            socket.send("later")
            await asyncio.sleep(1)

        async def turn(instance: Room) -> None:
            instance.ctx.wait_until(later(instance))

        await in_turn(rt, room, turn)
        await asyncio.sleep(1.5)

        assert wire.got == ["later"]


@virtual
async def test_failed_commit_drops_the_sockets_and_new_ones_can_come() -> None:
    store = FlakyStore()
    async with runtime(Room, store=store) as rt:
        room = rt.get(Room, "r")
        _, wire = await enter(rt, room)
        store.failures.append(StorageFull("full"))
        with pytest.raises(StorageFull):
            await room.say("never")
        await settle()
        _, other = await enter(rt, room)
        await room.say("again")
        await settle()

        assert wire.got == ["dropped"]
        assert other.got == ["again"]
        assert rt.host.sockets.count == 1


@virtual
async def test_abort_drops_the_sockets() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        with pytest.raises(Exception, match="abort"):
            await room.abort()
        socket.received("lost")
        await settle()

        assert wire.got == ["dropped"]
        assert await room.get_log() == []


@virtual
async def test_deleting_a_sleeping_actor_drops_its_sockets() -> None:
    async with runtime(Room, idle_seconds=1.0) as rt:
        _, wire = await enter(rt, rt.get(Room, "r"))
        await asyncio.sleep(3)
        await rt.delete(Room, "r")

        assert wire.got == ["dropped"]
        assert rt.host.sockets.count == 0


@virtual
async def test_handler_that_raises_leaves_the_socket_open() -> None:
    async with runtime(Room) as rt:
        socket, wire = await enter(rt, rt.get(Room, "r"))
        socket.received("fail")
        socket.received("next")
        await settle()

        assert wire.got == ["next"]


@virtual
async def test_events_of_a_socket_are_handled_in_order() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        socket.received("wait")
        for n in range(100):
            socket.received(str(n))
        socket.closed(1005, "", clean=True)
        held = list(wire.held)
        await asyncio.sleep(2)

        texts = ["wait", *(str(n) for n in range(100))]
        assert wire.got == [*texts, (1005, "")]
        assert await room.get_log() == [*texts, "closed 1005  True True"]
        assert held[0] is True


@virtual
async def test_clients_close_is_answered_with_its_own_code_after_the_handler() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        socket.closed(4005, "client", clean=True)
        socket.closed(1006, "", clean=False)
        await settle()

        assert wire.got == [(4005, "")]
        assert await room.get_log() == ["closed 4005 client True True"]
        assert rt.host.sockets.count == 0


@virtual
async def test_lost_connection_is_told_once() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        socket.closed(1006, "cut", clean=False)
        await settle()

        assert wire.got == []
        assert await room.get_log() == ["closed 1006 cut False True"]


@virtual
async def test_actors_close_counts() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        socket.received("close")
        await settle()
        socket.received("ignored")
        await room.say("to nobody")
        with pytest.raises(SocketClosed):
            socket.send("more")
        socket.closed(4001, "bye", clean=True)
        await settle()

        assert wire.got == [(4001, "bye")]
        assert await room.get_log() == ["closed 4001 bye True False"]


@virtual
async def test_broken_rule_is_told_to_on_error_and_on_close() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, _ = await enter(rt, room)
        socket.failed(1009, "too big")
        await settle()

        assert await room.get_log() == ["error 1009", "closed 1009 too big False True"]


@virtual
async def test_slow_client_is_closed() -> None:
    async with runtime(Room, socket_backlog_bytes=1000) as rt:
        room = rt.get(Room, "r")
        _, wire = await enter(rt, room)
        wire.backlog = 1001
        await room.say("x")
        await settle()

        assert wire.got == [(1013, "too slow")]
        assert (await room.get_log())[0] == "error 1013"
        assert rt.host.sockets.count == 0


@virtual
async def test_missing_handlers_do_not_even_wake_the_actor() -> None:
    async with runtime(Quiet, idle_seconds=1.0) as rt:
        socket, wire = await enter(rt, rt.get(Quiet, "q"))
        await asyncio.sleep(3)
        socket.received("hi")
        socket.failed(1002, "broken")
        await settle()

        assert len(rt.host.activator.catalog) == 0
        assert rt.host.sockets.count == 0
        assert wire.got == []


@virtual
async def test_automatic_answer_wakes_nobody_and_passes_the_gate() -> None:
    async with runtime(Room, idle_seconds=1.0) as rt:
        room = rt.get(Room, "r")

        def auto(ctx: ActorContext, socket: Socket) -> None:
            ctx.set_auto_response("ping", "pong")
            assert ctx.auto_response == ("ping", "pong")

        socket, wire = await enter(rt, room, also=auto)
        await asyncio.sleep(3)
        before = socket.auto_response_ns
        socket.received("ping")

        assert wire.got == ["pong"]
        assert before is None
        assert socket.auto_response_ns == rt.host.clock.now_ns()
        assert len(rt.host.activator.catalog) == 0

        async def clear(instance: Actor) -> None:
            instance.ctx.set_auto_response()
            assert instance.ctx.auto_response is None

        await in_turn(rt, room, clear)
        socket.received("ping")
        await settle()
        assert wire.got == ["pong", "ping"]


@virtual
async def test_client_that_asks_for_automatic_answers_and_never_reads_is_closed() -> None:
    async with runtime(Quiet, socket_backlog_bytes=1000) as rt:

        def auto(ctx: ActorContext, socket: Socket) -> None:
            ctx.set_auto_response("ping", "pong")

        socket, wire = await enter(rt, rt.get(Quiet, "q"), also=auto)
        socket.received("ping")
        wire.backlog = 1001
        socket.received("ping")
        socket.received("ping")
        await settle()

        assert wire.got == ["pong", (1013, "too slow")]
        assert rt.host.sockets.count == 0


@virtual
async def test_socket_whose_client_has_gone_cannot_be_accepted() -> None:
    """One that was would be among the actor's sockets for ever: nothing happens on it any more."""
    async with runtime(Room) as rt:
        socket = Socket(rt.host.sockets)
        rt.host.sockets.abandon(socket)

        async def late(room: Actor) -> None:
            room.ctx.accept(socket)

        error = await outcome(in_turn(rt, rt.get(Room, "r"), late))

        assert isinstance(error, SocketClosed)
        assert rt.host.sockets.count == 0


@virtual
async def test_tags_find_sockets_newest_first() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        first, _ = await enter(rt, room, "a", "b", "a")
        second, _ = await enter(rt, room, "b")
        found: list[object] = []

        async def look(instance: Actor) -> None:
            found.extend([instance.ctx.sockets(), instance.ctx.sockets("a")])
            found.extend([instance.ctx.sockets("b"), instance.ctx.sockets("c")])

        await in_turn(rt, room, look)

        assert first.tags == ("a", "b")
        assert found == [[second, first], [first], [second, first], []]


@virtual
async def test_misuse_is_refused() -> None:
    async with runtime(Room, sockets_per_actor=1, socket_message_bytes=10) as rt:
        room = rt.get(Room, "r")
        socket, _ = await enter(rt, room)
        lonely = Socket(rt.host.sockets)

        async def misuse(instance: Actor) -> None:
            ctx = instance.ctx
            with pytest.raises(InvalidArguments, match="accepted already"):
                ctx.accept(socket)
            with pytest.raises(InvalidArguments, match="a socket is accepted, not str"):
                ctx.accept("socket")  # type: ignore[arg-type]
            with pytest.raises(InvalidArguments, match="more than 10 tags"):
                ctx.accept(lonely, [str(n) for n in range(11)])
            with pytest.raises(Overloaded, match="sockets_per_actor"):
                ctx.accept(lonely)
            with pytest.raises(InvalidArguments, match="accept the socket"):
                lonely.send("x")
            with pytest.raises(InvalidArguments, match="str or bytes"):
                socket.send(1)  # type: ignore[arg-type]
            with pytest.raises(PayloadTooLarge):
                socket.send("ü" * 6)
            with pytest.raises(InvalidArguments, match="close code"):
                socket.close(1005)
            with pytest.raises(InvalidArguments, match="16384 bytes"):
                socket.attachment = "x" * 16_384

        await in_turn(rt, room, misuse)


@virtual
async def test_actor_that_does_not_wake_cannot_keep_sockets() -> None:
    class Volatile(Actor):
        async def touch(self) -> None:
            pass

    async with runtime(Volatile) as rt:
        ref = rt.spawn(Volatile, name="v")
        with pytest.raises(ConfigError, match="does not wake by itself"):
            await enter(rt, ref)


@virtual
async def test_overloaded_actor_is_not_read_until_it_has_room() -> None:
    async with runtime(Room, mailbox=1) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        busy = asyncio.create_task(room.wait_and_say(1))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(room.get_log())
        await asyncio.sleep(0.1)
        socket.received("one")
        socket.received("two")
        await asyncio.sleep(3)
        await asyncio.gather(busy, waiting)

        assert wire.got == ["before", "after", "one", "two"]
        assert (wire.held[0], wire.held[-1]) == (True, False)


@virtual
async def test_actor_that_cannot_wake_closes_the_socket_that_called() -> None:
    broken = False

    class Broken(DurableObject):
        def __init__(self) -> None:
            if broken:
                raise ValueError("no")

        async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
            pass

    async with runtime(Broken, idle_seconds=1.0) as rt:
        socket, wire = await enter(rt, rt.get(Broken, "b"))
        await asyncio.sleep(3)
        broken = True
        socket.received("hi" * 10_000)
        await settle()

        assert wire.got == [(1011, "the actor cannot be reached")]
        assert rt.host.sockets.count == rt.host.sockets.memory.bytes == 0


class Hooks(DurableObject):
    """Its hooks do something to its sockets, and may fail then."""

    slept: int = 0
    fails: ClassVar[str] = ""

    async def on_activate(self) -> None:
        self.ctx.set_auto_response("ping", "pong")
        for socket in self.ctx.sockets():
            socket.attachment = "awake"
        if self.fails == "waking":
            raise ValueError("no")

    async def on_deactivate(self) -> None:
        self.slept += 1
        for socket in self.ctx.sockets():
            socket.send(f"slept {self.slept}")
        if self.fails == "sleeping":
            raise ValueError("no")

    async def count(self) -> int:
        return self.slept


@virtual
@pytest.mark.parametrize("fails", ["", "sleeping"])
async def test_frames_of_on_deactivate_leave_with_what_they_tell_of(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hooks, "fails", fails)
    async with runtime(Hooks, idle_seconds=1.0) as rt:
        _, wire = await enter(rt, rt.get(Hooks, "h"))
        await asyncio.sleep(3)
        assert wire.got == ([] if fails else ["slept 1"])
        assert await rt.get(Hooks, "h").count() == (0 if fails else 1)


@virtual
async def test_actor_that_fails_to_wake_has_done_nothing_to_its_sockets_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with runtime(Hooks, idle_seconds=1.0) as rt:
        socket, wire = await enter(rt, rt.get(Hooks, "h"))
        socket.attachment = "asleep"
        await asyncio.sleep(3)
        wire.got.clear()
        monkeypatch.setattr(Hooks, "fails", "waking")
        for name in ("h", "other", "third"):
            assert isinstance(await outcome(rt.get(Hooks, name).count()), ActivationFailed)

        assert socket.attachment == "asleep"
        assert len(rt.host.sockets._rooms) == 1
        socket.received("ping")
        assert wire.got == ["pong"]


@virtual
async def test_closing_the_runtime_says_going_away() -> None:
    async with runtime(Room) as rt:
        socket, wire = await enter(rt, rt.get(Room, "r"))
        asyncio.get_running_loop().call_later(0.5, socket.disconnected)
    assert wire.got == [(1001, "the server is going away")]


@virtual
async def test_client_that_does_not_answer_the_goodbye_is_cut_off() -> None:
    async with runtime(Room) as rt:
        _, wire = await enter(rt, rt.get(Room, "r"))
    assert wire.got == [(1001, "the server is going away"), "dropped"]


class Writer(DurableObject):
    """Writes and waits for that, while others wait."""

    count: int = 0

    async def write(self) -> None:
        self.count += 1
        await self.ctx.storage.sync()

    async def wake(self, name: str) -> None:
        await self.ctx.get(Quiet, name).touch()


@virtual
async def test_what_a_turn_of_a_failed_batch_has_sent_is_lost_though_its_actor_was_to_sleep() -> (
    None
):
    """Another actor of the batch wakes anew at once, and there is room for two only."""
    store = FlakyStore()
    async with runtime(Writer, Room, Quiet, store=store, active_actors=2) as rt:
        writer, room = rt.get(Writer, "w"), rt.get(Room, "r")
        await asyncio.gather(*(writer.wake("third") for _ in range(4)))
        _, wire = await enter(rt, room)
        await writer.write()
        await room.say("before")
        store.failures.append(StorageFull("full"))
        lost = [asyncio.ensure_future(outcome(work)) for work in (writer.write(), room.say("no"))]
        await asyncio.ensure_future(writer.wake("third"))

        assert [type(await work) for work in lost] == [StorageFull, StorageFull]
        assert wire.got == ["before", "dropped"]


LARGE = b"x" * 2_000_000


@virtual
async def test_actor_that_has_a_large_message_is_not_read_until_it_has_handled_it() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        memory = rt.host.sockets.memory
        socket.received("wait")
        socket.received(LARGE)
        assert wire.held == [True]
        assert len(LARGE) < memory.bytes < len(LARGE) + 100
        socket.received("small")
        await asyncio.sleep(2)

        assert wire.got == ["wait", LARGE, "small"]
        assert wire.held == [True, False]
        assert memory.bytes == 0


@virtual
async def test_client_for_whose_message_there_is_no_room_is_closed() -> None:
    async with runtime(Room, sockets_bytes=3_000_000) as rt:
        one, two = rt.get(Room, "one"), rt.get(Room, "two")
        sockets = [await enter(rt, room) for room in (one, two)]
        for socket, _ in sockets:
            socket.received("wait")
            socket.received(LARGE)
        assert sockets[1][1].got == [(1013, "try again later")]
        await asyncio.sleep(2)

        assert sockets[0][1].got == ["wait", LARGE]
        assert await two.get_log() == [
            "wait",
            "error 1013",
            "closed 1013 clients have sent more than there is room for "
            "(limits.sockets_bytes) False True",
        ]
        assert rt.host.sockets.memory.bytes == 0


@virtual
async def test_memory_is_free_again_when_the_actor_goes() -> None:
    async with runtime(Room) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        memory = rt.host.sockets.memory
        for message in ("wait", LARGE, LARGE):
            socket.received(message)
        await rt.delete(Room, "r")
        await settle()
        assert wire.got == ["dropped"]
        assert memory.bytes == 0


@virtual
async def test_memory_is_free_again_when_the_runtime_closes() -> None:
    async with runtime(Room) as rt:
        socket, _ = await enter(rt, rt.get(Room, "r"))
        memory = rt.host.sockets.memory
        for message in ("wait", LARGE, LARGE):
            socket.received(message)
    assert memory.bytes == 0


@virtual
async def test_memory_is_free_again_when_the_actor_is_overloaded_for_too_long() -> None:
    async with runtime(Room, mailbox=1) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        busy = asyncio.create_task(room.wait_and_say(20))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(room.get_log())
        await asyncio.sleep(0.1)
        socket.received(LARGE)
        socket.received(LARGE)
        await asyncio.sleep(10)
        assert wire.got == [(1013, "overloaded")]
        assert rt.host.sockets.memory.bytes == 0
        await asyncio.gather(busy, waiting)


@virtual
async def test_memory_is_free_at_once_if_nobody_hears() -> None:
    async with runtime(Quiet) as rt:
        socket, _ = await enter(rt, rt.get(Quiet, "q"))
        socket.received(LARGE)
        assert rt.host.sockets.memory.bytes == 0
