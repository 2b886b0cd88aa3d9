"""`run_sync`: code that is not async waits on a stack of its own, and others run meanwhile."""

import asyncio
import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.workers.running import methods, running, virtual

from wakeful.workers.code.run_sync_use import mentions_run_sync
from wakeful.workers.code.stacks import Stacks

seen: ContextVar[int] = ContextVar("seen", default=0)


async def later(value: int) -> int:
    await asyncio.sleep(0)
    seen.set(seen.get() + 1)
    return value


@pytest.fixture
def stacks() -> Stacks:
    stacks = Stacks()
    stacks.wanted = True
    return stacks


async def call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


async def test_functions_wait_below_other_functions(stacks: Stacks) -> None:
    def twice(value: int) -> int:
        return sum(map(lambda x: stacks.run_sync(later(x)), [value, value]))

    assert await stacks.around(call(twice, 4)) == 8


async def test_the_context_is_that_of_whoever_drives(stacks: Stacks) -> None:
    def count() -> int:
        seen.set(10)
        stacks.run_sync(later(1))
        return seen.get()

    assert await stacks.around(call(count)) == 11
    assert seen.get() == 11  # a coroutine that is awaited shares its context


async def test_others_run_while_one_waits(stacks: Stacks) -> None:
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(stacks.around(call(stacks.run_sync, gate)))
    other = asyncio.ensure_future(stacks.around(call(stacks.run_sync, later(1))))
    assert await other == 1
    assert not waiting.done()
    gate.set_result("open")
    assert await waiting == "open"


async def test_a_stack_inside_another_one(stacks: Stacks) -> None:
    async def outer() -> int:
        inner = asyncio.ensure_future(stacks.around(call(stacks.run_sync, later(2))))
        return stacks.run_sync(inner) + stacks.run_sync(stacks.around(call(stacks.run_sync, inner)))

    assert await stacks.around(outer()) == 4


async def test_errors_and_cancellations_arrive_where_it_waits(stacks: Stacks) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    def careful() -> str:
        try:
            stacks.run_sync(fail())
        except KeyError as error:
            return f"caught {error}"
        raise AssertionError

    assert await stacks.around(call(careful)) == "caught 'x'"
    with pytest.raises(KeyError):
        await stacks.around(call(stacks.run_sync, fail()))

    ended: list[str] = []

    def forever() -> None:
        try:
            stacks.run_sync(asyncio.sleep(1000))
        finally:
            ended.append("cleaned up")

    task = asyncio.ensure_future(stacks.around(call(forever)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cleaned up"]


async def test_where_nothing_can_wait(stacks: Stacks) -> None:
    assert not stacks.can_run_sync()
    work = later(1)
    with pytest.raises(RuntimeError, match="not in another thread"):
        stacks.run_sync(work)
    work.close()


SYNC = methods(
    """
    def put(self, value):
        run_sync(asyncio.sleep(1))
        run_sync(self.ctx.storage.put("value", value))
        return run_sync(self.ctx.storage.get("value"))
    """,
    """
    def fetch(self, request):
        return Response(run_sync(request.text()).upper())
    """,
    """
    def section(self):
        def work():
            run_sync(asyncio.sleep(1))
            return "done"
        return run_sync(self.ctx.blockConcurrencyWhile(work))
    """,
)
DEFAULT = """
class Default(WorkerEntrypoint):
    def fetch(self, request):
        stub = self.env.OBJECT.getByName("a")
        if request.method == "POST":
            return run_sync(stub.fetch(request))
        return Response.json([run_sync(stub.put(n)) for n in (1, 2)])
"""


@virtual
async def test_handlers_and_methods_of_a_worker(tmp_path: Path) -> None:
    source = "from pyodide.ffi import run_sync\n" + SYNC
    async with running(tmp_path, source, default=DEFAULT) as worker:
        assert await worker.fetch("/") == (200, "[1, 2]")
        assert await worker.fetch("/", method="POST", body="loud") == (200, "LOUD")
        assert await worker.stub().section() == "done"
        started = asyncio.get_running_loop().time()
        stub = worker.stub()
        assert await asyncio.gather(stub.put(3), stub.put(4)) == [3, 4]
        assert asyncio.get_running_loop().time() - started == 1  # they waited side by side


@virtual
async def test_a_worker_that_does_not_ask_for_it_has_none(tmp_path: Path) -> None:
    """It might ask at the first request by a package that is installed: a later one can wait."""
    default = """
class Default(WorkerEntrypoint):
    def fetch(self, request):
        import pyodide.ffi
        if request.method == "GET":
            return Response(str(getattr(pyodide.ffi, "can_run" + "_sync")()))
        wait = getattr(pyodide.ffi, "run" + "_sync")
        return wait(asyncio.ensure_future(asyncio.sleep(0, Response("done"))))
"""
    async with running(tmp_path, methods("x = 1"), default=default) as worker:
        assert await worker.fetch("/") == (200, "False")
        with pytest.raises(RuntimeError, match="at the top of a module"):
            await worker.fetch("/", method="POST")
        assert await worker.fetch("/") == (200, "True")
        assert await worker.fetch("/", method="POST") == (200, "done")


@virtual
async def test_it_may_be_imported_at_the_first_request(tmp_path: Path) -> None:
    """In a function of the main module, or by a module that is imported there."""
    default = """
class Default(WorkerEntrypoint):
    def fetch(self, request):
        from deep.waiting import done
        return done(Response)
"""
    deep = tmp_path / "worker" / "src" / "deep"
    deep.mkdir(parents=True)
    (deep / "__init__.py").write_text("")
    source = """
        def done(make):
            from pyodide.ffi import run_sync
            import asyncio
            return make(run_sync(asyncio.sleep(1, "done")))
    """
    (deep / "waiting.py").write_text(dedent(source))
    async with running(tmp_path, methods("x = 1"), default=default) as worker:
        assert await worker.fetch("/") == (200, "done")


def test_what_mentions_it(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    use = "from pyodide.ffi import run_sync"
    write("entry.py", "from anyio.to_thread import run_sync")
    write("README.md", use)
    write(".venv/lib/x.py", use)
    write("env/pyvenv.cfg", "")
    write("env/lib/x.py", use)
    write("node_modules/x.py", use)
    write("python_modules/y.py", "import pyodide")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling.py")
    assert not mentions_run_sync([tmp_path])
    write("python_modules/x.py", use)
    assert mentions_run_sync([tmp_path])
