"""What pytest gets: the fixtures `runtime` and `worker`, for async tests on virtual time.

An async test that uses one of them runs on a loop of its own here, together with its async
fixtures of function scope; no other plugin for async tests is needed, and one that is there is
passed by. Tests that use neither are not touched.

Invariants: until a test uses a fixture, nothing of the runtime is imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from wakeful.testing.harness import StartRuntime
    from wakeful.testing.virtual_run import VirtualRun
    from wakeful.testing.worker_harness import StartWorker

LOOP: Final = "wakeful_loop"
MARK: Final = "wakeful_worker"
RUN: Final = pytest.StashKey["VirtualRun"]()
TEST: Final = pytest.StashKey[Any]()  # the function itself: other plugins may put theirs over it


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting `wakeful_worker`."""
    parser.addini(MARK, "The Worker that `await worker()` loads, from the root directory.")


def pytest_configure(config: pytest.Config) -> None:
    """The marker of the same name."""
    config.addinivalue_line("markers", f"{MARK}(path): the Worker that `await worker()` loads.")


@pytest.fixture
def wakeful_loop(request: pytest.FixtureRequest) -> Iterator[VirtualRun]:
    """The loop of this test, on virtual time."""
    if not inspect.iscoroutinefunction(request.function):
        pytest.fail(
            f"{request.node.name} uses `runtime` or `worker`, and so has to be async: "
            f"`async def {request.node.name}(...)`",
            pytrace=False,
        )
    run: VirtualRun = import_module("wakeful.testing.virtual_run").VirtualRun()
    request.node.stash[RUN], request.node.stash[TEST] = run, request.function
    yield run
    run.close()


@pytest.fixture
def runtime(wakeful_loop: VirtualRun) -> StartRuntime:
    """Start actors: `rt = await runtime(Counter)`; see RuntimeHarness."""
    start: StartRuntime = import_module("wakeful.testing.harness").StartRuntime(wakeful_loop.stack)
    return start


@pytest.fixture
def worker(wakeful_loop: VirtualRun, request: pytest.FixtureRequest) -> StartWorker:
    """Load a Cloudflare Worker: `app = await worker("path/to/worker")`; see WorkerHarness."""
    mark = request.node.get_closest_marker(MARK)
    if mark is not None and len(mark.args) != 1:
        pytest.fail(f'write @pytest.mark.{MARK}("path/to/worker")', pytrace=False)
    default = request.config.getini(MARK) if mark is None else mark.args[0]
    start: StartWorker = import_module("wakeful.testing.worker_harness").StartWorker(
        wakeful_loop.stack, request.config.rootpath, default or None
    )
    return start


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run a test that uses the fixtures on its own loop."""
    run = pyfuncitem.stash.get(RUN, None)
    if run is None:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyfuncitem, "obj", run.blocking(pyfuncitem.stash[TEST]))
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Run the async fixtures of such a test there too."""
    function = fixturedef.func
    if inspect.isasyncgenfunction(function):
        kind = "generating"
    elif inspect.iscoroutinefunction(function):
        kind = "blocking"
    else:
        return (yield)
    if fixturedef.scope != "function" or LOOP not in request.fixturenames:
        return (yield)
    run: VirtualRun = request.getfixturevalue(LOOP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixturedef, "func", getattr(run, kind)(_bound(function, request.instance)))
        return (yield)


def _bound(function: Any, instance: object) -> Any:
    """A fixture of a test class, as the test's own instance has it."""
    if instance is None or not isinstance(instance, type(getattr(function, "__self__", None))):
        return function
    return function.__func__.__get__(instance)
