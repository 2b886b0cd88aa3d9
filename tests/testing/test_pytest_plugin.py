"""The plugin as pytest's users meet it: whole small runs, with other plugins and without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import wakeful.testing.harness
import wakeful.testing.virtual_run
import wakeful.testing.worker_harness  # noqa: F401  (imported once, not anew in each run)

pytest_plugins = ["pytester"]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "worker_counter"
ALONE = ("-p", "no:asyncio", "-p", "no:anyio", "-p", "no:randomly", "-p", "no:cacheprovider")
ASYNCIO = ("-p", "no:randomly", "-o", "asyncio_default_fixture_loop_scope=function")
COUNTER = """
import asyncio
import contextvars
import pytest
from wakeful import DurableObject

class Counter(DurableObject):
    count: int = 0

    async def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count

who = contextvars.ContextVar("who")
"""
FIXTURES = (
    COUNTER
    + """
log = []

@pytest.fixture
async def five(runtime):
    rt = await runtime(Counter)
    await rt.get(Counter, "a").increment(5)
    who.set("ada")
    return rt

@pytest.fixture
async def logged(five):
    await asyncio.sleep(3600)
    log.append("before")
    yield five
    assert await five.get(Counter, "a").increment() == 7
    log.append("after")

@pytest.fixture
async def unrelated():
    await asyncio.sleep(3600)
    return "there"

async def test_seeded(unrelated, logged):
    assert await logged.get(Counter, "a").increment() == 6
    assert (unrelated, who.get(), log) == ("there", "ada", ["before"])

class TestGroup:
    name = "b"

    @pytest.fixture
    async def mine(self, runtime):
        rt = await runtime(Counter)
        await rt.get(Counter, self.name).increment()
        self.name = "c"
        return rt

    async def test_in_a_class(self, mine):
        assert self.name == "c"
        assert await mine.get(Counter, "b").increment() == 2

    @pytest.mark.parametrize("by", [1, 2])
    async def test_parameters(self, five, by):
        assert await five.get(Counter, "a").increment(by) == 5 + by

def test_sync():
    assert log == ["before", "after"]
"""
)


@pytest.mark.parametrize(
    "options",
    [
        ALONE,
        (*ASYNCIO, "-o", "asyncio_mode=auto"),
        (*ASYNCIO, "-o", "asyncio_mode=strict"),
    ],
    ids=["alone", "asyncio-auto", "asyncio-strict"],
)
def test_async_tests_and_fixtures_run(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(FIXTURES)
    result = pytester.runpytest_inprocess(*options, "-W", "error")
    result.assert_outcomes(passed=5)


def test_tests_marked_for_another_plugin_run_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        COUNTER
        + """
import pytest_asyncio

@pytest_asyncio.fixture
async def one(runtime):
    rt = await runtime(Counter)
    await rt.get(Counter, "a").increment()
    return rt

@pytest.mark.asyncio
async def test_marked(one):
    await asyncio.sleep(3600)
    assert await one.get(Counter, "a").increment() == 2

@pytest.mark.anyio
async def test_marked_for_anyio(runtime):
    rt = await runtime(Counter)
    await rt.advance(3600)
    assert await rt.get(Counter, "a").increment() == 1

@pytest.mark.asyncio
async def test_not_ours():
    from wakeful.testing.loop import VirtualLoop
    assert not isinstance(asyncio.get_running_loop(), VirtualLoop)
"""
    )
    result = pytester.runpytest_inprocess(*ASYNCIO, "-k", "not trio", "-W", "error")
    result.assert_outcomes(passed=3)


WORKER_TEST = """
async def test_counts(worker):
    app = await worker()
    assert await (await app.fetch("/increment")).json() == {"count": 1}
"""


def test_the_worker_is_named_in_the_configuration(pytester: pytest.Pytester) -> None:
    shutil.copytree(EXAMPLE, pytester.path / "app")
    pytester.makeini("[pytest]\nwakeful_worker = app")
    pytester.makepyfile(WORKER_TEST)
    pytester.runpytest_inprocess(*ALONE).assert_outcomes(passed=1)


def test_the_worker_is_named_by_a_marker_or_in_the_test(pytester: pytest.Pytester) -> None:
    shutil.copytree(EXAMPLE, pytester.path / "app")
    pytester.makepyfile(
        "import pytest\n"
        + '\n@pytest.mark.wakeful_worker("app/wrangler.toml")'
        + WORKER_TEST
        + WORKER_TEST.replace("test_counts", "test_named").replace("worker()", 'worker("app")')
    )
    pytester.runpytest_inprocess(*ALONE, "--strict-markers").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("async def test(worker): await worker()", "*which Worker? Say *"),
        ("async def test(worker): await worker('nowhere')", "*nowhere has no wrangler.json*"),
        ("def test(runtime): pass", "*test uses `runtime` or `worker`*async def test(...)*"),
        ("@pytest.mark.wakeful_worker\nasync def test(worker): pass", "*write @pytest.mark.wake*"),
        (
            "async def test(runtime): await asyncio.Event().wait()",
            "*waits for something that can never happen*",
        ),
        (
            "async def test(runtime):\n await runtime(Counter)\n await asyncio.Event().wait()",
            "*waits for something that can never happen*",
        ),
        (
            "@pytest.fixture\nasync def two(runtime):\n yield 1\n yield 2\n"
            "async def test(two): pass",
            "*an async fixture yields more than once*",
        ),
        ("async def test(runtime): await runtime(int)", "*actors are subclasses of wakeful.Actor*"),
    ],
)
def test_mistakes_are_told(pytester: pytest.Pytester, test: str, said: str) -> None:
    pytester.makepyfile(COUNTER + test)
    result = pytester.runpytest_inprocess(*ALONE, "-W", "error")
    result.stdout.fnmatch_lines([said])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_failing_test_leaves_no_worker_behind(pytester: pytest.Pytester) -> None:
    shutil.copytree(EXAMPLE, pytester.path / "app")
    pytester.makepyfile(
        """
import sys

async def test_fails(worker):
    await worker("app")
    assert "js" in sys.modules
    raise AssertionError("here")

def test_clean():
    assert not {"js", "workers", "entry"} & set(sys.modules)

async def test_again(worker):
    await worker("app")
"""
    )
    result = pytester.runpytest_inprocess(*ALONE, "-W", "error")
    result.assert_outcomes(failed=1, passed=2)


UNUSED = """
import sys

def test_plain():
    heavy = {"apsw", "granian", "httpx2", "uvloop"}
    ours = {"wakeful.node", "wakeful.runtime", "wakeful.store", "wakeful.workers", "wakeful.http"}
    assert "wakeful.testing.pytest_plugin" in sys.modules
    assert not (heavy | ours | {"js", "workers"}) & set(sys.modules)
"""


def test_unused_it_imports_nothing(tmp_path: Path) -> None:
    """A process of its own: only there is nothing imported yet."""
    (tmp_path / "test_unused.py").write_text(UNUSED)
    plugin = ("-p", "wakeful.testing.pytest_plugin", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-q", *plugin, "test_unused.py"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout
