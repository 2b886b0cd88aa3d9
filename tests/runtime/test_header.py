"""A call's header reaches the turn, and what that asks; never what the runtime does itself."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import pytest
from tests.runtime.world import runtime, settle, virtual

from wakeful import (
    Actor,
    ActorBuilder,
    ActorId,
    Call,
    Caller,
    CallHeader,
    DurableObject,
    Facet,
    interleave,
)
from wakeful.facets.virtual import VirtualActorConfig
from wakeful.header import PROGRAM, KnownHeader, call_header

ALICE = Caller("admin_token", "alice")
BOB = Caller("nothing", "bob")

Seen = list[tuple[str, Caller | None]]


class Witness(DurableObject):
    """Notes who calls, wherever code of it runs."""

    count: int = 0
    _seen: Seen

    def __init__(self) -> None:
        self._seen = [("__init__", self.ctx.caller)]

    async def on_activate(self) -> None:
        self._note("on_activate")
        await asyncio.sleep(0)
        self._note("on_activate, later")

    async def straight(self) -> None:
        self._note("straight")

    async def waits(self) -> None:
        self._note("begun")
        await asyncio.sleep(1)
        self._note("later")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._in_a_task())

    async def _in_a_task(self) -> None:
        self._note("task")

    async def work_on(self) -> None:
        self.ctx.wait_until(self._in_the_background())

    async def _in_the_background(self) -> None:
        await asyncio.sleep(1)
        self._note("background")

    async def ask(self, name: str, method: str) -> None:
        await asyncio.sleep(0)
        await getattr(self.ctx.get(Witness, name), method)()

    async def ask_for(self, first: str, second: str) -> None:
        await self.ctx.get(Witness, first).ask(second, "straight")

    async def abort(self) -> None:
        self.ctx.abort()

    async def wake_later(self) -> None:
        self.ctx.alarm.set(timedelta(seconds=1))

    async def alarm(self) -> None:
        self._note("alarm")

    @interleave
    async def seen(self) -> list[tuple[str, str | None, str | None]]:
        return [
            (where, None, None)
            if caller is None
            else (where, caller.identity or caller.established, caller.actor and caller.actor.name)
            for where, caller in self._seen
        ]

    def _note(self, where: str) -> None:
        self._seen.append((where, self.ctx.caller))


WOKEN: list[tuple[str, Any, Any]] = [
    ("__init__", None, None),
    ("on_activate", None, None),
    ("on_activate, later", None, None),
]


def as_caller(caller: Caller, call: Any) -> asyncio.Task[Any]:
    """Make a call as an adapter does that has let somebody in."""
    context = copy_context()
    context.run(call_header.set, KnownHeader(caller))
    return asyncio.get_running_loop().create_task(call, context=context)


@virtual
async def test_the_program_itself_is_the_caller_of_what_nobody_let_in() -> None:
    async with runtime(Witness) as rt:
        ref = rt.get(Witness, "w")
        await ref.straight()
        await ref.waits()
        assert await ref.seen() == [
            *WOKEN,
            *((where, "program", None) for where in ("straight", "begun", "later", "task")),
        ]


@virtual
async def test_the_caller_reaches_straight_waiting_and_queued_turns() -> None:
    async with runtime(Witness) as rt:
        ref = rt.get(Witness, "w")
        await as_caller(ALICE, ref.straight())
        alice = as_caller(ALICE, ref.waits())
        await settle()
        bob = as_caller(BOB, ref.straight())  # waits in the mailbox, and begins in Alice's task
        await asyncio.gather(alice, bob)
        assert (await ref.seen())[3:] == [
            ("straight", "alice", None),
            ("begun", "alice", None),
            ("later", "alice", None),
            ("task", "alice", None),
            ("straight", "bob", None),
        ]


@virtual
async def test_the_caller_stays_when_actors_ask_each_other_and_the_one_that_asks_is_known() -> None:
    async with runtime(Witness) as rt:
        await as_caller(ALICE, rt.get(Witness, "a").ask("b", "straight"))
        await as_caller(ALICE, rt.get(Witness, "a").ask_for("b", "c"))
        await rt.get(Witness, "a").ask("b", "waits")
        assert (await rt.get(Witness, "b").seen())[3:] == [
            ("straight", "alice", "a"),
            ("begun", "program", "a"),
            ("later", "program", "a"),
            ("task", "program", "a"),
        ]
        assert (await rt.get(Witness, "c").seen())[3:] == [("straight", "alice", "b")]


@virtual
async def test_a_queued_call_of_an_actor_says_which_actor_asks() -> None:
    async with runtime(Witness) as rt:
        b = rt.get(Witness, "b")
        busy = asyncio.create_task(b.waits())
        await settle()
        await asyncio.gather(as_caller(BOB, rt.get(Witness, "a").ask("b", "straight")), busy)
        assert (await b.seen())[-1] == ("straight", "bob", "a")


@virtual
async def test_work_in_the_background_goes_on_for_the_same_caller() -> None:
    async with runtime(Witness) as rt:
        await as_caller(ALICE, rt.get(Witness, "a").ask("b", "work_on"))
        await asyncio.sleep(2)
        assert (await rt.get(Witness, "b").seen())[-1] == ("background", "alice", "a")


@virtual
async def test_an_alarm_has_no_caller_whoever_set_it() -> None:
    async with runtime(Witness) as rt:
        ref = rt.get(Witness, "w")
        await as_caller(ALICE, ref.wake_later())
        await asyncio.sleep(2)
        assert (await ref.seen())[3:] == [("alarm", None, None)]


@virtual
async def test_no_caller_wakes_the_next_activation() -> None:
    """Alice's turn aborts while Bob's call waits: Bob's activation wakes for nobody."""
    async with runtime(Witness) as rt:
        ref = rt.get(Witness, "w")
        alice = as_caller(ALICE, ref.waits())
        await settle()
        aborting = as_caller(ALICE, ref.abort())
        bob = as_caller(BOB, ref.straight())
        await asyncio.gather(alice, aborting, bob, return_exceptions=True)
        assert await ref.seen() == [*WOKEN, ("straight", "bob", None)]


class Plain(Actor):
    async def straight(self) -> str:
        return "straight"

    async def waits(self) -> str:
        await asyncio.sleep(0)
        return "waited"

    async def ask(self) -> str:
        await asyncio.sleep(0)
        return await self.ctx.get(Plain, "other").straight()


class Noting(Facet):
    def __init__(self) -> None:
        self.headers: list[CallHeader | None] = []

    def before(self, call: Call) -> None:
        self.headers.append(call.header)


@virtual
@pytest.mark.parametrize("method", ["straight", "waits"])
async def test_a_facet_gets_the_header_of_the_call(method: str) -> None:
    noting = Noting()
    builder = ActorBuilder(Plain).with_facet(noting)
    spec = builder.with_virtual_actor(VirtualActorConfig()).build()
    async with runtime(spec) as rt:
        await getattr(rt.get(Plain, "p"), method)()
        await as_caller(ALICE, getattr(rt.get(Plain, "p"), method)())
        await as_caller(BOB, rt.get(Plain, "p").ask())
    callers = [header and header.caller for header in noting.headers]
    asked = Caller("nothing", "bob", actor=ActorId("Plain", "p"))
    assert callers == [PROGRAM, ALICE, BOB, asked]
