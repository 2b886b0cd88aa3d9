"""What asyncio offers works inside a turn, and a turn cannot harm the next one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from tests.runtime.world import outcome, runtime, settle, virtual

from wakeful import Actor, ActorAborted, ActorRaised, DurableObject

Script = Callable[["Stage"], Awaitable[object]]


class Stage(Actor):
    """Runs whatever a test wants to see run in a turn."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def run(self) -> object:
        return await self._script(self)


async def play(script: Script, times: int = 3) -> list[object]:
    """Outcomes of a script in one actor: the runner is new at first, then used again."""
    async with runtime(Stage) as rt:
        ref = rt.spawn(Stage, script)
        return [await outcome(ref.run()) for _ in range(times)]


@virtual
async def test_one_task_and_one_context_from_the_first_line_to_the_last() -> None:
    async def script(stage: Stage) -> bool:
        before = asyncio.current_task()
        await asyncio.sleep(1)
        inside = asyncio.current_task()
        await asyncio.sleep(0)
        return before is inside is asyncio.current_task()

    assert await play(script) == [True] * 3


@virtual
async def test_timeout_in_a_method_ends_what_it_waits_for() -> None:
    async def script(stage: Stage) -> str:
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(3600)
        except TimeoutError:
            await asyncio.sleep(1)
            return "in time"
        return "never"

    assert await play(script) == ["in time"] * 3


@virtual
async def test_task_group_and_gather_in_a_method() -> None:
    async def script(stage: Stage) -> list[int]:
        async def work(number: int) -> int:
            await asyncio.sleep(number)
            return number

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(n)) for n in (3, 1)]
        return [task.result() for task in tasks] + await asyncio.gather(work(2), work(0))

    assert await play(script) == [[3, 1, 2, 0]] * 3


@virtual
async def test_failing_task_group_cancels_its_other_tasks_and_the_turn_goes_on() -> None:
    async def script(stage: Stage) -> str:
        async def fail() -> None:
            raise ValueError("child")

        sleeper: asyncio.Task[None] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                sleeper = group.create_task(asyncio.sleep(3600))
                group.create_task(fail())
        except* ValueError:
            pass
        assert sleeper is not None
        await asyncio.sleep(0)
        return f"{sleeper.cancelled()}"

    assert await play(script) == ["True"] * 3


@virtual
@pytest.mark.parametrize("wait_first", [False, True])
async def test_turn_that_cancels_its_own_task_harms_no_other(wait_first: bool) -> None:
    async def script(stage: Stage) -> None:
        if wait_first:
            await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(3600)

    async with runtime(Stage) as rt:
        bad, good = rt.spawn(Stage, script), rt.spawn(Stage, lambda stage: asyncio.sleep(1, "fine"))
        for _ in range(3):
            error = await outcome(bad.run())
            assert isinstance(error, ActorRaised)
            assert await good.run() == "fine"


@virtual
@pytest.mark.parametrize("wait_first", [False, True])
@pytest.mark.parametrize("take_back", [False, True])
async def test_cancellation_left_pending_does_not_reach_the_next_turn(
    wait_first: bool, take_back: bool
) -> None:
    async def script(stage: Stage) -> str:
        if wait_first:
            await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if take_back:
            task.uncancel()
        return "done"

    async with runtime(Stage) as rt:
        bad, good = rt.spawn(Stage, script), rt.spawn(Stage, lambda stage: asyncio.sleep(1, "fine"))
        for _ in range(3):
            calls = [bad.run(), good.run(), bad.run(), good.run()]
            assert await asyncio.gather(*calls) == ["done", "fine", "done", "fine"]


@virtual
async def test_child_task_outlives_its_turn() -> None:
    async def script(stage: Stage) -> str:
        async def later() -> None:
            await asyncio.sleep(5)
            seen.append("later")

        stage._task = asyncio.create_task(later())  # type: ignore[attr-defined]
        return "now"

    seen: list[str] = []
    async with runtime(Stage) as rt:
        assert await rt.spawn(Stage, script).run() == "now"
        assert seen == []
        await asyncio.sleep(6)
        assert seen == ["later"]


class Aborting(DurableObject):
    """Throws its activation away in several ways."""

    count: int = 0

    async def at_once(self) -> None:
        self.count += 1
        self.ctx.abort("reason")

    async def later(self) -> None:
        self.count += 1
        await asyncio.sleep(1)
        try:
            self.ctx.abort("reason")
        except Exception:
            self.count += 100

    async def in_a_child(self) -> None:
        self.count += 1
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600))
            group.create_task(self.later())

    async def in_a_gathered_child(self) -> None:
        await asyncio.gather(self.later(), asyncio.sleep(3600))

    async def in_a_forgotten_child(self) -> None:
        self.count += 1
        self._child = asyncio.create_task(self._abort())
        await asyncio.sleep(3600)

    async def _abort(self) -> None:
        with contextlib.suppress(BaseException):
            self.ctx.abort("reason")

    async def get(self) -> int:
        return self.count


@virtual
@pytest.mark.parametrize(
    "method",
    ["at_once", "later", "in_a_child", "in_a_gathered_child", "in_a_forgotten_child"],
)
async def test_abort_ends_the_turn_and_what_it_did_is_undone(method: str) -> None:
    """Wherever it is called from, its own task or a child's."""
    async with runtime(Aborting) as rt:
        ref = rt.get(Aborting, "a")
        aborting = asyncio.create_task(outcome(getattr(ref, method)()))
        waiting = asyncio.create_task(ref.get())
        error = await aborting
        assert isinstance(error, ActorAborted)
        assert str(error) == "reason"
        assert await waiting == 0
        assert asyncio.get_running_loop().time() < 60


@virtual
async def test_turn_interrupted_before_it_could_begin_still_ends() -> None:
    """Its runner is new and has not run yet; the caller must not wait for ever."""
    async with runtime(Aborting) as rt:
        refs = [rt.get(Aborting, str(n)) for n in range(5)]
        calls = [asyncio.create_task(outcome(ref.later())) for ref in refs]
        await asyncio.sleep(0)
        await asyncio.gather(*(rt.delete(Aborting, str(n)) for n in range(5)))
        assert [type(await call) for call in calls] == [ActorAborted] * 5


@virtual
async def test_interrupted_turn_cancels_what_it_waits_for() -> None:
    cancelled: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append("child")
            raise

    async def script(stage: Stage) -> None:
        await asyncio.create_task(child())

    async with runtime(Stage) as rt:
        ref = rt.spawn(Stage, lambda stage: asyncio.sleep(0), name="s")
        await ref.run()
        await rt.stop(ref)
        ref = rt.spawn(Stage, script, name="s")
        call = asyncio.create_task(outcome(ref.run()))
        await settle()
        await rt.delete(Stage, "s")
        assert isinstance(await call, ActorAborted)
        assert cancelled == ["child"]


@virtual
async def test_all_tasks_cancelled_from_outside_leaves_a_runtime_that_works() -> None:
    """As a program does at its end; parked runners must not be used after that."""
    async with runtime(Stage) as rt:
        ref = rt.spawn(Stage, lambda stage: asyncio.sleep(0, "fine"))
        assert await ref.run() == "fine"
        for task in asyncio.all_tasks() - {asyncio.current_task()}:  # type: ignore[arg-type]
            task.cancel()
        assert await ref.run() == "fine"
        assert await ref.run() == "fine"


@virtual
async def test_many_turns_at_once_leave_few_parked_runners() -> None:
    async with runtime(Stage) as rt:
        before = len(asyncio.all_tasks())
        refs = [rt.spawn(Stage, lambda stage: asyncio.sleep(1)) for _ in range(1_000)]
        await asyncio.gather(*(ref.run() for ref in refs))
        await settle()
        assert len(asyncio.all_tasks()) - before <= 256
