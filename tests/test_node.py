"""The whole thing on a real disk and a real loop, in debug mode as well."""

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import uvloop

from wakeful import ConfigError, DirectoryInUse, DurableObject, Runtime
from wakeful.store.memory import MemoryStore


class Counter(DurableObject):
    count: int = 0

    async def add(self, by: int = 1) -> int:
        self.count += by
        return self.count

    async def add_slowly(self) -> int:
        await asyncio.sleep(0.001)
        return await self.add()


async def test_state_is_there_after_a_restart(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        async with Runtime(tmp_path / "data", [Counter]) as rt:
            assert await rt.get(Counter, "c").add() == expected


async def test_two_runtimes_in_one_process_and_none_on_anothers_directory(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "a", [Counter]) as a, Runtime(tmp_path / "b", [Counter]) as b:
        assert [await rt.get(Counter, "c").add() for rt in (a, b, a)] == [1, 1, 2]
        with pytest.raises(DirectoryInUse):
            async with Runtime(tmp_path / "a", [Counter]):
                pass


async def test_runtime_runs_once(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "data", [Counter]) as rt:
        with pytest.raises(ConfigError, match="runs once: make a new one"):
            await rt.__aenter__()
        assert await rt.get(Counter, "c").add() == 1
    with pytest.raises(ConfigError, match="runs once: make a new one"):
        await rt.__aenter__()


async def test_exception_in_the_block_stops_the_runtime_in_good_order(tmp_path: Path) -> None:
    async def program() -> None:
        async with Runtime(tmp_path / "data", [Counter]) as rt:
            await rt.get(Counter, "c").add()
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await program()
    async with Runtime(tmp_path / "data", [Counter]) as rt:
        assert await rt.get(Counter, "c").add() == 2


async def test_close_that_is_cancelled_lets_go_of_the_directory_all_the_same(
    tmp_path: Path,
) -> None:
    rt = Runtime(tmp_path / "data", [Counter])
    await rt.__aenter__()
    rt.serve(port=0)
    assert await rt.get(Counter, "c").add() == 1
    closing = asyncio.create_task(rt.__aexit__(None, None, None))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    async with Runtime(tmp_path / "data", [Counter]) as rt:
        assert await rt.get(Counter, "c").add() == 2


async def test_no_task_is_left_after_close(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with Runtime(tmp_path / "data", [Counter]) as rt:
        refs = [rt.get(Counter, str(n)) for n in range(100)]
        await asyncio.gather(*(ref.add_slowly() for ref in refs))
    assert asyncio.all_tasks() == before


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_tasks_may_be_eager() -> None:
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
    async with Runtime(MemoryStore(), [Counter]) as rt:
        refs = [rt.get(Counter, str(n)) for n in range(10)]
        answers = await asyncio.gather(*(ref.add_slowly() for ref in refs for _ in range(3)))
        assert sorted(answers) == [1] * 10 + [2] * 10 + [3] * 10


def test_loop_may_be_uvloop(tmp_path: Path) -> None:
    async def main() -> list[int]:
        async with Runtime(tmp_path / "data", [Counter]) as rt:
            ref = rt.get(Counter, "c")
            return await asyncio.gather(*(ref.add_slowly() for _ in range(3)))

    assert uvloop.run(main()) == [1, 2, 3]


PROGRAM = """
    import asyncio, contextlib, sys
    from wakeful import Actor, DurableObject, Runtime

    class Counter(DurableObject):
        count: int = 0

        async def on_activate(self) -> None:
            await asyncio.sleep(0)

        async def add(self) -> int:
            self.count += 1
            return self.count

        async def slow(self) -> None:
            self.count += 1
            self.ctx.wait_until(self._later())
            await asyncio.sleep(0.01)
            raise ValueError("no")

        async def _later(self) -> None:
            await asyncio.sleep(0.02)
            self.count += 1

        async def abort(self) -> None:
            self.ctx.wait_until(self._later())
            self.ctx.abort()

    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is no fault
        async with Runtime(sys.argv[1], [Counter]) as rt:
            refs = [rt.get(Counter, str(n)) for n in range(20)]
            calls = [getattr(ref, name)() for name in ("add", "slow", "abort") for ref in refs]
            await asyncio.gather(*calls, return_exceptions=True)
            lost = asyncio.create_task(refs[0].slow())
            await asyncio.sleep(0)
            lost.cancel()
            await rt.delete(Counter, "1")

    asyncio.run(main(), debug=True)
"""


@pytest.mark.slow
def test_program_is_silent_in_development_mode(tmp_path: Path) -> None:
    """No coroutine that was never awaited, no exception that nobody retrieved, no resource left."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(PROGRAM)]
    done = subprocess.run([*command, str(tmp_path / "data")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
