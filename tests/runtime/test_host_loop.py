"""Whose context what is scheduled runs in."""

import asyncio
from contextvars import Context, ContextVar, copy_context

from tests.runtime.world import settle, virtual

from wakeful.runtime.host_loop import HostLoop

who: ContextVar[str | None] = ContextVar("who", default=None)
turn: ContextVar[str | None] = ContextVar("turn", default=None)


def made() -> HostLoop:
    """A loop of a host that was made as "host", by a turn."""

    def make() -> HostLoop:
        who.set("host")
        turn.set("another's")
        return HostLoop(asyncio.get_running_loop(), (turn,))

    return copy_context().run(make)


def note(seen: list[object]) -> None:
    seen.append((who.get(), turn.get()))
    who.set("left behind")


async def work(seen: list[object]) -> None:
    note(seen)


@virtual
async def test_everything_runs_as_the_host_whoever_schedules_it() -> None:
    loop, seen = made(), list[object]()
    who.set("caller")
    turn.set("caller's")
    done = loop.future()
    loop.soon(note, seen)
    loop.later(1.0, note, seen)
    loop.when_done(done, lambda _: note(seen))
    done.set_result(None)
    task = loop.task(work(seen))
    loop.run(note, seen)
    await asyncio.sleep(2)
    await task
    assert seen == [("host", None)] * 5, "and none saw what the one before has set"
    assert (who.get(), turn.get()) == ("caller", "caller's")


@virtual
async def test_task_may_have_a_context_of_its_own_even_an_empty_one() -> None:
    loop, seen = made(), list[object]()
    who.set("caller")
    await loop.task(work(seen), copy_context())
    await loop.task(work(seen), Context())
    assert seen == [("caller", None), (None, None)]


async def test_callback_from_another_thread_runs_as_the_host() -> None:
    loop, seen = made(), list[object]()
    await asyncio.to_thread(loop.soon_from_thread, note, seen)
    await settle()
    assert seen == [("host", None)]
