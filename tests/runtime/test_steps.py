"""Turns that share their actor: each step is saved where it waits, or undone, as a whole."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    Actor,
    ActorAborted,
    ActorRaised,
    CallError,
    DeadlineExceeded,
    DurableObject,
    Facet,
    Overloaded,
    PartialOutcome,
    Runtime,
    StateInvalid,
    interleave,
    readonly,
)
from wakeful.errors import StorageFull
from wakeful.facet import Call
from wakeful.ids import ActorId
from wakeful.runtime.activation import Activation
from wakeful.store.memory import MemoryDisk

Script = Callable[["Desk"], Coroutine[Any, Any, object]]
scripts: dict[str, Script] = {}


class Desk(DurableObject):
    """An actor whose turns do what a test wants; `beside` shares it with others."""

    notes: list[str] = []

    async def on_activate(self) -> None:
        self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows(note)")

    async def alarm(self) -> None:
        self.notes.append("rang")

    async def alone(self, name: str) -> object:
        return await scripts[name](self)

    @interleave
    async def beside(self, name: str) -> object:
        return await scripts[name](self)

    @readonly
    @interleave
    async def look(self) -> list[str]:
        return self.notes

    @readonly
    @interleave
    async def look_and(self, name: str) -> object:
        return await scripts[name](self)

    @readonly
    async def notes_now(self) -> list[str]:
        return self.notes


class Other(DurableObject):
    """An actor that is asked."""

    hits: int = 0

    async def hit(self) -> None:
        self.hits += 1

    async def refuse(self) -> None:
        raise Overloaded("not now")

    async def ask_back(self, name: str) -> object:
        return await self.ctx.get(Desk, "d").beside(name)


class World:
    """A desk under test, and what is on its disk."""

    def __init__(self, rt: Runtime, store: FlakyStore, disk: MemoryDisk) -> None:
        self.rt = rt
        self._disk = disk
        self.store = store
        self.desk = rt.get(Desk, "d")
        self.tasks: list[asyncio.Task[Any]] = []

    def start(self, method: str, name: str) -> asyncio.Task[Any]:
        """Begin a turn."""
        call: Any = getattr(self.desk, method)
        task = asyncio.create_task(outcome(call(name)))
        self.tasks.append(task)
        return task

    @property
    def activation(self) -> Activation:
        return self.rt.host.activator.catalog.actors[ActorId("Desk", "d")]

    def store_now(self) -> FlakyStore:
        """A copy of the disk: to open it would take it over."""
        return FlakyStore(deepcopy(self._disk))

    async def stored(self) -> list[str]:
        """The notes, as another owner of the disk would find them now."""
        async with runtime(Desk, store=self.store_now()) as rt:
            return await rt.get(Desk, "d").notes_now()


@asynccontextmanager
async def world(*more: type[Actor], **limits: Any) -> AsyncIterator[World]:
    store = FlakyStore(disk := MemoryDisk())
    async with runtime(Desk, Other, *more, store=store, **limits) as rt:
        yield World(rt, store, disk)


def note(text: str, *, wait: float = 0, then: str = "", fail: bool = False) -> Script:
    """Note something, wait, note something more, and perhaps fail."""

    async def script(desk: Desk) -> str:
        desk.notes.append(text)
        if wait:
            await asyncio.sleep(wait)
        if then:
            desk.notes.append(then)
        if fail:
            raise ValueError(text)
        return text

    return script


# --- what a failure undoes -----------------------------------------------------------------------


@virtual
async def test_a_turn_that_is_alone_is_undone_over_its_waits() -> None:
    scripts["fails"] = note("a", wait=1, then="b", fail=True)
    async with world() as w:
        assert isinstance(await w.start("beside", "fails"), ValueError)
        assert await w.desk.look() == []


@virtual
async def test_a_turn_beside_another_is_undone_to_where_it_last_waited() -> None:
    async def three(desk: Desk) -> None:
        desk.notes.append("a1")
        await asyncio.sleep(2)
        desk.notes.append("a2")
        await asyncio.sleep(2)
        desk.notes.append("a3")
        raise ValueError

    scripts.update(three=three, long=note("b1", wait=10, then="b2"))
    async with world() as w:
        failing = w.start("beside", "three")
        await asyncio.sleep(1)
        other = w.start("beside", "long")
        assert isinstance(await failing, ValueError)
        assert await w.desk.look() == ["a1", "b1", "a2"]
        assert await other == "b1"
        assert await w.desk.look() == await w.stored() == ["a1", "b1", "a2", "b2"]


@virtual
async def test_a_step_is_on_disk_while_its_turn_waits() -> None:
    scripts.update(first=note("a1", wait=5, then="a2"), long=note("b", wait=10))
    async with world() as w:
        await w.desk.look()
        w.store.batches.clear()
        w.start("beside", "first")
        await asyncio.sleep(1)
        assert not w.store.batches  # alone, it holds what it has changed
        w.start("beside", "long")
        await asyncio.sleep(1)
        assert await w.stored() == ["a1", "b"]
        await asyncio.gather(*w.tasks)
        assert await w.stored() == ["a1", "b", "a2"]


@virtual
async def test_what_was_answered_stays_when_a_turn_that_began_before_fails() -> None:
    scripts.update(fails=note("a", wait=5, then="a2", fail=True), quick=note("b"))
    async with world() as w:
        failing = w.start("beside", "fails")
        await asyncio.sleep(1)
        assert await w.desk.beside("quick") == "b"
        assert await w.stored() == ["a", "b"]
        assert isinstance(await failing, ValueError)
        assert await w.desk.look() == await w.stored() == ["a", "b"]


@virtual
async def test_a_turn_that_is_alone_again_holds_its_changes_again() -> None:
    async def long(desk: Desk) -> None:
        await asyncio.sleep(5)
        desk.notes.append("a2")
        await asyncio.sleep(5)
        desk.notes.append("a3")
        raise ValueError

    scripts.update(long=long, quick=note("b", wait=1))
    async with world() as w:
        failing = w.start("beside", "long")
        await settle()
        await w.desk.beside("quick")
        assert isinstance(await failing, ValueError)
        assert await w.desk.look() == ["b"]  # both notes: it was alone when it made them


@virtual
async def test_a_reader_commits_the_step_of_the_turn_it_joins_and_no_more() -> None:
    scripts["fails"] = note("a", wait=5, then="b", fail=True)
    async with world() as w:
        failing = w.start("alone", "fails")
        await asyncio.sleep(1)
        assert await w.desk.look() == await w.stored() == ["a"]
        assert isinstance(await failing, ValueError)
        assert await w.desk.look() == await w.stored() == ["a"]


async def _state(desk: Desk, text: str) -> None:
    desk.notes.append(text)


async def _cell(desk: Desk, text: str) -> None:
    await desk.ctx.storage.put(text, 1)


async def _row(desk: Desk, text: str) -> None:
    desk.ctx.storage.sql.exec("INSERT INTO rows VALUES (?)", text)


async def _alarm(desk: Desk, text: str) -> None:
    desk.ctx.alarm.set(timedelta(hours=len(text)))


async def _places(desk: Desk) -> object:
    rows = desk.ctx.storage.sql.exec("SELECT note FROM rows").all()
    due_ns = desk.ctx.alarm.get()
    keys = list(await desk.ctx.storage.list())
    return [list(desk.notes), keys, [row["note"] for row in rows], due_ns]


@pytest.mark.parametrize("change", [_state, _cell, _row, _alarm])
def test_state_cells_rows_and_alarm_are_parts_of_a_step(change: Any) -> None:
    async def fails(desk: Desk) -> None:
        await change(desk, "1")
        await asyncio.sleep(2)
        await change(desk, "22")
        raise ValueError

    async def waits(desk: Desk) -> object:
        await asyncio.sleep(1)
        seen = await _places(desk)
        await asyncio.sleep(9)
        assert await _places(desk) == seen
        return seen

    @virtual
    async def test() -> None:
        scripts.update(fails=fails, waits=waits, places=_places)
        async with world() as w:
            failing = w.start("beside", "fails")
            await settle()
            waiting = w.start("beside", "waits")
            assert isinstance(await failing, ValueError)
            assert await w.desk.look_and("places") == await waiting
            async with runtime(Desk, store=w.store_now()) as rt:
                assert await rt.get(Desk, "d").look_and("places") == await waiting

    test()


@virtual
async def test_an_error_that_is_caught_undoes_nothing() -> None:
    async def catches(desk: Desk) -> None:
        try:
            desk.notes.append("a")
            raise ValueError
        except ValueError:
            await asyncio.sleep(1)

    scripts.update(catches=catches, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        await w.desk.beside("catches")
        await other
        assert await w.desk.look() == ["b", "a"]


# --- tasks and timeouts inside -------------------------------------------------------------------


async def _one_fails(desk: Desk) -> list[Coroutine[Any, Any, None]]:
    async def works() -> None:
        desk.notes.append("works 1")
        await asyncio.sleep(2)
        desk.notes.append("works 2")

    async def fails() -> None:
        desk.notes.append("fails 1")
        await asyncio.sleep(3)
        desk.notes.append("fails 2")
        raise ValueError

    return [works(), fails()]


async def _gather(desk: Desk) -> None:
    await asyncio.gather(*await _one_fails(desk))


async def _group(desk: Desk) -> None:
    async with asyncio.TaskGroup() as group:
        for work in await _one_fails(desk):
            group.create_task(work)


async def _gather_and_look(desk: Desk) -> None:
    works, fails = await asyncio.gather(*await _one_fails(desk), return_exceptions=True)
    assert works is None
    assert isinstance(fails, ValueError)


@pytest.mark.parametrize("script", [_gather, _group])
def test_tasks_of_a_turn_that_is_alone_are_undone_with_it(script: Script) -> None:
    @virtual
    async def test() -> None:
        scripts["it"] = script
        async with world() as w:
            assert isinstance(await w.start("beside", "it"), ValueError | ExceptionGroup)
            assert await w.desk.look() == []

    test()


@pytest.mark.parametrize("script", [_gather, _group, _gather_and_look])
def test_tasks_of_a_shared_turn_have_steps_of_their_own(script: Script) -> None:
    """The step that raises is undone, no step of another task, and none of another turn."""

    @virtual
    async def test() -> None:
        scripts.update(it=script, long=note("b1", wait=10, then="b2"))
        async with world() as w:
            other = w.start("beside", "long")
            await settle()
            await w.start("beside", "it")
            await other
            expected = ["b1", "works 1", "fails 1", "works 2", "b2"]
            assert await w.desk.look() == await w.stored() == expected

    test()


@virtual
async def test_tasks_of_two_turns_do_not_undo_each_other() -> None:
    async def first(desk: Desk) -> None:
        async def fails() -> None:
            await asyncio.sleep(2)
            desk.notes.append("undone")
            raise ValueError

        await asyncio.gather(fails())

    async def second(desk: Desk) -> None:
        async def works() -> None:
            await asyncio.sleep(1)
            desk.notes.append("kept")
            await asyncio.sleep(5)

        await asyncio.gather(works())

    scripts.update(first=first, second=second)
    async with world() as w:
        failing, working = w.start("beside", "first"), w.start("beside", "second")
        assert isinstance(await failing, ValueError)
        assert await working is None
        assert await w.desk.look() == ["kept"]


@virtual
async def test_a_task_that_is_cancelled_keeps_what_it_did_on_its_way_out() -> None:
    async def stops(desk: Desk) -> None:
        async def loops() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                desk.notes.append("stopped")

        task = asyncio.create_task(loops())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])

    scripts.update(stops=stops, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        await w.desk.beside("stops")
        await other
        assert await w.desk.look() == ["b", "stopped"]


@virtual
async def test_a_task_left_behind_saves_its_steps() -> None:
    async def leaves(desk: Desk) -> None:
        async def works() -> None:
            await asyncio.sleep(1)
            desk.notes.append("late")
            await asyncio.sleep(20)

        desk.tasks = [asyncio.create_task(works())]  # type: ignore[attr-defined]

    async def ends(desk: Desk) -> None:
        desk.tasks[0].cancel()  # type: ignore[attr-defined]

    scripts.update(leaves=leaves, ends=ends, fails=note("b", wait=3, fail=True))
    async with world() as w:
        await w.desk.beside("leaves")
        assert isinstance(await w.start("beside", "fails"), ValueError)
        assert await w.desk.look() == ["b", "late"]
        await w.desk.beside("ends")
        await settle()


@virtual
async def test_a_timeout_inside_of_a_step_goes_on_in_the_same_turn() -> None:
    async def impatient(desk: Desk) -> str:
        desk.notes.append("a1")
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(100)
        except TimeoutError:
            desk.notes.append("a2")
        await asyncio.sleep(1)
        return "done"

    scripts.update(impatient=impatient, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        assert await w.desk.beside("impatient") == "done"
        await other
        assert await w.desk.look() == ["b", "a1", "a2"]


@virtual
async def test_tasks_are_made_as_the_program_wants_them_and_look_like_themselves() -> None:
    made: list[str] = []

    def factory(loop: Any, work: Any, **options: Any) -> Any:
        made.append(work.__qualname__.rpartition(".")[2])
        return asyncio.Task(work, loop=loop, **options)

    async def makes(desk: Desk) -> None:
        async def named() -> None:
            await asyncio.sleep(1)

        await asyncio.gather(asyncio.create_task(named(), name="its name"), named())

    async with world() as w:
        loop = asyncio.get_running_loop()
        await w.desk.look()
        loop.set_task_factory(factory)
        scripts["makes"] = makes
        await w.desk.beside("makes")
        assert made[-2:] == ["named", "named"]
        assert loop.get_task_factory() is factory
        loop.set_task_factory(None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@virtual
async def test_the_first_step_of_an_eager_task_is_part_of_the_step_that_makes_it() -> None:
    async def fails(desk: Desk) -> None:
        async def works() -> None:
            desk.notes.append("eager")
            await asyncio.sleep(1)

        desk.notes.append("a")
        desk.tasks = [asyncio.create_task(works())]  # type: ignore[attr-defined]
        raise ValueError

    scripts.update(fails=fails, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        assert isinstance(await w.start("beside", "fails"), ValueError)
        asyncio.get_running_loop().set_task_factory(None)
        await other
        assert await w.desk.look() == ["b"]


# --- how turns end -------------------------------------------------------------------------------


@virtual
async def test_a_turn_that_takes_too_long_is_undone_to_where_it_waits() -> None:
    async def cleans_up(desk: Desk) -> None:
        desk.notes.append("a1")
        try:
            await asyncio.sleep(100)
        finally:
            desk.notes.append("a2")
            await asyncio.sleep(0.1)
            desk.notes.append("a3")

    scripts.update(it=cleans_up, long=note("b1", wait=8, then="b2"))
    async with world(turn_seconds=5) as w:
        late = w.start("beside", "it")
        await asyncio.sleep(4)
        other = w.start("beside", "long")
        assert isinstance(await late, DeadlineExceeded)
        assert await w.desk.look() == ["a1", "b1"]
        assert isinstance(await other, DeadlineExceeded)
        assert await w.desk.look() == await w.stored() == ["a1", "b1"]


async def _wait_long(desk: Desk) -> None:
    await asyncio.sleep(100)


async def _wait_for_nothing(desk: Desk) -> None:
    await asyncio.sleep(0)


async def _wait_for_what_is_done(desk: Desk) -> None:
    async def done() -> None:
        pass

    task = asyncio.ensure_future(done())
    await asyncio.wait([task])
    await asyncio.shield(task)
    await asyncio.sleep(0)


@pytest.mark.parametrize("wait", [_wait_long, _wait_for_nothing, _wait_for_what_is_done])
def test_a_step_that_cannot_be_saved_is_undone_and_ends_its_turn(wait: Script) -> None:
    ends: list[object] = []

    async def wrong(desk: Desk) -> None:
        desk.notes.append("a1")
        await asyncio.sleep(1)
        desk.notes.append(2)  # type: ignore[arg-type]
        try:
            await wait(desk)
        except BaseException as error:
            ends.append(type(error))
            raise

    @virtual
    async def test() -> None:
        scripts.update(wrong=wrong, long=note("b1", wait=5, then="b2"))
        async with world() as w:
            other = w.start("beside", "long")
            await settle()
            refused = await w.start("beside", "wrong")
            assert isinstance(refused, StateInvalid)
            assert "notes" in str(refused)
            assert await other == "b1"
            assert await w.desk.look() == await w.stored() == ["b1", "a1", "b2"]
        assert ends == [asyncio.CancelledError]

    test()


@virtual
async def test_a_task_whose_step_cannot_be_saved_ends_its_turn() -> None:
    async def wrong(desk: Desk) -> None:
        async def works() -> None:
            desk.notes.append(2)  # type: ignore[arg-type]
            await asyncio.sleep(1)
            desk.notes.append("never")

        await asyncio.gather(works(), asyncio.sleep(50))

    scripts.update(wrong=wrong, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        assert isinstance(await w.start("beside", "wrong"), StateInvalid)
        await other
        assert await w.desk.look() == ["b"]


@virtual
async def test_a_turn_that_goes_on_after_a_refused_step_keeps_nothing() -> None:
    async def stubborn(desk: Desk) -> str:
        desk.notes.append(2)  # type: ignore[arg-type]
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            desk.notes.append("a2")
            await asyncio.sleep(1)
            desk.notes.append("a3")
        return "done"

    scripts.update(stubborn=stubborn, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        assert isinstance(await w.start("beside", "stubborn"), StateInvalid)
        await other
        assert await w.desk.look() == ["b"]


@virtual
async def test_a_readonly_turn_that_changes_something_is_refused_where_it_waits() -> None:
    scripts.update(writes=note("no", wait=1), long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        refused = await w.start("look_and", "writes")
        assert isinstance(refused, StateInvalid)
        assert "@readonly" in str(refused)
        await other
        assert await w.desk.look() == ["b"]


@virtual
async def test_what_a_readonly_turn_has_changed_is_not_saved_by_one_that_joins() -> None:
    scripts.update(writes=note("no", wait=2), quick=note("b"))
    async with world() as w:
        writing = w.start("look_and", "writes")
        await settle()
        assert isinstance(await w.start("beside", "quick"), StateInvalid)
        assert isinstance(await writing, StateInvalid)
        assert await w.desk.beside("quick") == "b"
        assert await w.desk.look() == ["b"]


@virtual
async def test_a_batch_that_fails_takes_all_turns_back_to_what_is_durable() -> None:
    scripts.update(first=note("a1", wait=3, then="a2"), long=note("b1", wait=10, then="b2"))
    async with world() as w:
        first = w.start("beside", "first")
        await asyncio.sleep(1)
        w.store.failures.append(StorageFull("full"))
        other = w.start("beside", "long")
        assert type(await first) is type(await other) is StorageFull  # nothing of them stands
        assert await w.desk.look() == await w.stored() == []


@virtual
async def test_abort_in_a_step_throws_that_away_and_keeps_the_steps_before() -> None:
    async def aborts(desk: Desk) -> None:
        desk.notes.append("a1")
        await asyncio.sleep(1)
        desk.notes.append("a2")
        desk.ctx.abort("on purpose")

    scripts.update(aborts=aborts, long=note("b1", wait=10, then="b2"))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        assert isinstance(await w.start("beside", "aborts"), ActorAborted)
        assert isinstance(await other, ActorAborted)
        assert await w.desk.look() == ["b1", "a1"]


@virtual
async def test_an_actor_that_is_deleted_between_steps_stays_deleted() -> None:
    scripts.update(first=note("a1", wait=3, then="a2"), long=note("b1", wait=10, then="b2"))
    async with world() as w:
        w.start("beside", "first")
        w.start("beside", "long")
        await asyncio.sleep(1)
        await w.rt.delete(Desk, "d")
        assert all([isinstance(await task, ActorAborted) for task in w.tasks])
        assert await w.desk.look() == []


@virtual
async def test_a_turn_that_is_cancelled_before_it_begins_undoes_nothing() -> None:
    """It was to join a turn that holds changes."""
    scripts.update(first=note("a1", wait=5, then="a2"))
    async with world() as w:
        first = w.start("beside", "first")
        await settle()
        pool = w.rt.host.delivery.pool
        pool._depth = 100
        waiting = w.start("beside", "never")
        await asyncio.sleep(0)
        pool._depth = 0
        turn = w.activation.turns[-1]
        assert turn.what == "beside"
        turn.interrupt(CallError("stopped"))
        assert isinstance(await waiting, CallError)
        assert await first == "a1"
        assert await w.desk.look() == ["a1", "a2"]


# --- commit points, transactions, calls ----------------------------------------------------------


@virtual
async def test_sync_and_calls_are_commit_points_of_their_own_turn() -> None:
    """A refusal passes as the turn's own only while nothing that this turn did stands."""

    async def syncs(desk: Desk) -> None:
        desk.notes.append("a")
        await desk.ctx.storage.sync()
        await desk.ctx.get(Other, "o").refuse()

    async def asks(desk: Desk) -> None:
        await asyncio.sleep(1)
        await desk.ctx.get(Other, "o").refuse()

    scripts.update(syncs=syncs, asks=asks)
    async with world() as w:
        asking = w.start("beside", "asks")
        assert isinstance(await w.start("beside", "syncs"), PartialOutcome)
        assert type(await asking) is Overloaded
        assert await w.desk.look() == ["a"]


@virtual
async def test_a_turn_whose_step_is_saved_has_something_that_stands() -> None:
    async def asks(desk: Desk) -> None:
        desk.notes.append("a")
        await asyncio.sleep(1)
        await desk.ctx.get(Other, "o").refuse()

    scripts.update(asks=asks, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        assert isinstance(await w.start("beside", "asks"), PartialOutcome)
        await other


@virtual
async def test_no_step_of_another_turn_begins_inside_of_a_transaction() -> None:
    seen: list[object] = []

    async def transacts(desk: Desk) -> None:
        async def work() -> None:
            desk.notes.append("undone 1")
            await asyncio.sleep(5)
            seen.append(list(desk.notes))
            desk.notes.append("undone 2")
            raise ValueError

        await asyncio.sleep(1)
        desk.notes.append("a")
        assert isinstance(await outcome(desk.ctx.storage.transaction(work)), ValueError)
        await asyncio.sleep(1)

    scripts.update(transacts=transacts, long=note("b1", wait=3, then="b2"))
    async with world() as w:
        other = w.start("beside", "long")
        await w.start("beside", "transacts")
        assert await other == "b1"
        assert seen == [["b1", "a", "undone 1"]]
        assert await w.desk.look() == await w.stored() == ["b1", "a", "b2"]


async def _transacts(desk: Desk) -> None:
    async def work() -> None:
        desk.notes.append("undone")
        await asyncio.sleep(5)
        raise ValueError

    desk.notes.append("a")
    await outcome(desk.ctx.storage.transaction(work))


@virtual
async def test_no_turn_that_was_admitted_before_begins_inside_of_a_transaction() -> None:
    """Both are admitted when the actor has woken, and begin one after the other."""
    scripts["transacts"] = _transacts
    async with world() as w:
        first = w.start("beside", "transacts")
        looking = asyncio.ensure_future(w.desk.look())
        assert await looking == ["a"]
        await first


@virtual
async def test_a_turn_that_is_cancelled_before_it_could_begin_does_not_run() -> None:
    ran: list[str] = []

    async def runs(desk: Desk) -> None:
        ran.append("it")

    scripts.update(transacts=_transacts, runs=runs)
    async with world() as w:
        first, second = w.start("beside", "transacts"), w.start("beside", "runs")
        await asyncio.sleep(1)
        w.activation.turns[1].interrupt(CallError("stopped"))
        assert isinstance(await second, CallError)
        await first
        assert await w.desk.look() == ["a"]
        assert not ran


@virtual
async def test_a_turn_that_is_cancelled_while_it_waits_for_a_transaction_ends_after_it() -> None:
    async def transacts(desk: Desk) -> None:
        async def work() -> None:
            desk.notes.append("a1")
            await asyncio.sleep(5)
            desk.notes.append("a2")

        await asyncio.sleep(1)
        await desk.ctx.storage.transaction(work)

    async def cleans_up(desk: Desk) -> None:
        try:
            await asyncio.sleep(2)
        finally:
            ended.append(list(desk.notes))

    ended: list[list[str]] = []
    scripts.update(transacts=transacts, it=cleans_up)
    async with world() as w:
        other = w.start("beside", "it")
        await settle()
        running = w.start("beside", "transacts")
        await asyncio.sleep(3)
        w.activation.turns[0].interrupt(CallError("stopped"))
        assert await running is None
        assert isinstance(await other, CallError)
        assert ended == [["a1", "a2"]]


@virtual
async def test_a_task_of_the_turn_whose_transaction_it_is_may_go_on() -> None:
    async def transacts(desk: Desk) -> str:
        async def works() -> str:
            await asyncio.sleep(2)
            return "its result"

        async def work() -> str:
            desk.notes.append("a")
            return await task

        task = asyncio.create_task(works())
        return await desk.ctx.storage.transaction(work)

    scripts.update(transacts=transacts, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        assert await w.desk.beside("transacts") == "its result"
        await other
        assert await w.desk.look() == ["b", "a"]


@virtual
async def test_a_turn_that_another_actor_calls_back_is_a_step_beside_its_caller() -> None:
    async def asks(desk: Desk) -> None:
        desk.notes.append("a1")
        assert isinstance(await outcome(desk.ctx.get(Other, "o").ask_back("fails")), ValueError)
        desk.notes.append("a2")
        raise ValueError

    scripts.update(asks=asks, fails=note("b1", wait=1, then="b2", fail=True))
    async with world() as w:
        assert isinstance(await w.start("beside", "asks"), ValueError)
        assert await w.desk.look() == ["a1", "b1"]


@virtual
async def test_a_facet_around_a_shared_turn_is_part_of_its_steps() -> None:
    seen: list[str] = []

    class Watching(Facet):
        async def before(self, call: Call) -> None:
            await asyncio.sleep(1)

        async def failed(self, call: Call, error: Exception) -> None:
            await asyncio.sleep(1)
            seen.append(call.method)

    scripts.update(fails=note("a1", wait=1, then="a2", fail=True), long=note("b", wait=9))
    async with world() as w:
        w.rt.attach(Desk, Watching())
        other = w.start("beside", "long")
        await settle()
        assert isinstance(await w.start("beside", "fails"), ValueError)
        await other
        # The facet has waited after the error: what the method did until then was saved there.
        assert await w.desk.look() == ["b", "a1", "a2"]
        assert seen == ["beside"]


@virtual
async def test_turns_of_a_volatile_actor_interleave_and_undo_nothing() -> None:
    class Scratch(Actor):
        notes: list[str] = []

        @interleave
        async def note(self, text: str) -> None:
            self.notes = [*self.notes, text]
            await asyncio.sleep(1)
            raise ValueError

        @interleave
        async def look(self) -> list[str]:
            return self.notes

    async with runtime(Scratch) as rt:
        ref = rt.spawn(Scratch, name="s")
        one, two = (asyncio.create_task(outcome(ref.note(text))) for text in "ab")
        assert isinstance(await one, ValueError)
        assert isinstance(await two, ValueError)
        assert await ref.look() == ["a", "b"]


# --- background work -----------------------------------------------------------------------------


def background(*parts: str, fail: bool = False) -> Script:
    """Begin background work that notes something each second."""

    async def work(desk: Desk) -> None:
        for part in parts:
            await asyncio.sleep(1)
            desk.notes.append(part)
        if fail:
            raise ValueError

    async def script(desk: Desk) -> None:
        desk.ctx.wait_until(work(desk))

    return script


@virtual
async def test_background_work_that_fails_is_undone_to_where_it_waits() -> None:
    scripts.update(begin=background("w1", "w2", fail=True), long=note("a1", wait=5, then="a2"))
    async with world() as w:
        await w.desk.alone("begin")
        assert await w.start("alone", "long") == "a1"
        assert await w.desk.look() == await w.stored() == ["a1", "w1", "a2"]


@virtual
async def test_background_work_that_is_alone_is_undone_whole() -> None:
    scripts.update(begin=background("w1", "w2", fail=True))
    async with world() as w:
        await w.desk.alone("begin")
        await asyncio.sleep(3)
        assert await w.desk.look() == []


@virtual
async def test_a_turn_beside_background_work_that_only_waits_is_undone_whole() -> None:
    async def begin(desk: Desk) -> None:
        desk.ctx.wait_until(asyncio.sleep(50))

    scripts.update(begin=begin, fails=note("a1", wait=5, then="a2", fail=True))
    async with world() as w:
        await w.desk.alone("begin")
        assert isinstance(await w.start("alone", "fails"), ValueError)
        assert await w.desk.look() == []


@virtual
async def test_background_work_that_goes_on_saves_what_a_turn_holds() -> None:
    scripts.update(begin=background("w"), fails=note("a1", wait=5, then="a2", fail=True))
    async with world() as w:
        await w.desk.alone("begin")
        assert isinstance(await w.start("alone", "fails"), ValueError)
        assert await w.desk.look() == await w.stored() == ["a1", "w"]


@virtual
async def test_a_turn_whose_changes_cannot_be_saved_ends_when_background_work_goes_on() -> None:
    async def wrong(desk: Desk) -> None:
        desk.notes.append(1)  # type: ignore[arg-type]
        await asyncio.sleep(50)

    scripts.update(begin=background("w1", "w2"), wrong=wrong)
    async with world() as w:
        await w.desk.alone("begin")
        assert isinstance(await w.start("alone", "wrong"), StateInvalid)
        await asyncio.sleep(5)
        assert await w.desk.look() == await w.stored() == ["w1", "w2"]


@virtual
async def test_a_turn_does_not_go_on_inside_of_a_transaction_of_background_work() -> None:
    """In a class without @interleave methods too."""

    class Plain(DurableObject):
        notes: list[str] = []

        async def begin(self) -> None:
            self.ctx.wait_until(self._work())

        async def note(self, text: str) -> str:
            await asyncio.sleep(2)
            self.notes.append(text)
            await asyncio.sleep(1)
            return text

        @readonly
        async def look(self) -> list[str]:
            return self.notes

        async def _work(self) -> None:
            async def undone() -> None:
                self.notes.append("undone")
                await asyncio.sleep(5)
                raise ValueError

            await asyncio.sleep(1)
            await outcome(self.ctx.storage.transaction(undone))

    async with runtime(Plain) as rt:
        plain = rt.get(Plain, "p")
        await plain.begin()
        assert await plain.note("kept") == "kept"
        assert await plain.look() == ["kept"]


@virtual
async def test_background_work_whose_end_cannot_be_saved_is_undone_and_logged() -> None:
    async def work(desk: Desk) -> None:
        desk.notes.append("w1")
        await asyncio.sleep(1)
        desk.notes.append(2)  # type: ignore[arg-type]

    async def begin(desk: Desk) -> None:
        desk.ctx.wait_until(work(desk))

    scripts.update(begin=begin, long=note("a", wait=5))
    async with world() as w:
        await w.desk.alone("begin")
        await w.start("alone", "long")
        assert await w.desk.look() == ["w1", "a"]


@virtual
async def test_background_work_that_goes_on_after_a_refused_step_keeps_nothing(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def work(desk: Desk) -> None:
        desk.notes.append(2)  # type: ignore[arg-type]
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            desk.notes.append("w")

    async def begin(desk: Desk) -> None:
        desk.ctx.wait_until(work(desk))
        await asyncio.sleep(2)
        desk.notes.append("a")

    scripts.update(begin=begin)
    async with world() as w:
        await w.desk.alone("begin")
        await settle()
        assert await w.desk.look() == ["a"]
    said = capsys.readouterr().out + caplog.text
    assert "background work failed" in said
    assert "StateInvalid" in said


@virtual
async def test_cancelled_from_inside_a_shared_turn_undoes_its_step() -> None:
    async def cancels(desk: Desk) -> None:
        await asyncio.sleep(1)
        desk.notes.append("a")
        raise asyncio.CancelledError

    scripts.update(cancels=cancels, long=note("b", wait=5))
    async with world() as w:
        other = w.start("beside", "long")
        await settle()
        assert isinstance(await w.start("beside", "cancels"), ActorRaised)
        await other
        assert await w.desk.look() == ["b"]
