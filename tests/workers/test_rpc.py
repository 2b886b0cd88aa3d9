"""Stubs, calls, errors, resets: conformance rows A12-A20 and B."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from tests.workers.running import methods, raised, running, virtual

from wakeful.runtime.delivery import STRAIGHT_RUN_MAX
from wakeful.workers.proxies import DataCloneError, JsException, JsRangeError, JsTypeError
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.signals import AbortController, AbortSignal

THING = methods(
    """
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        log.append("made")
        self.count = 0
        self.function = lambda: 1

    async def add(self, by=1):
        self.count += by
        return self.count

    def sync(self):
        return "sync"

    async def whoami(self):
        return [self.ctx.id.toString(), self.ctx.id.name]

    async def echo(self, *values):
        return list(values)

    async def fail(self, kind="RangeError", text="boom"):
        import js
        self.count += 1
        self.ctx.storage.put("failed", True)
        raise getattr(js, kind, ValueError)(text)

    async def stored(self):
        return await self.ctx.storage.get("failed")

    async def abort(self, *reason):
        await self.ctx.storage.put("before", 1)
        await self.ctx.storage.sync()
        await self.ctx.storage.put("after", 1)
        try:
            self.ctx.abort(*reason)
        except Exception:
            log.append("caught")
        log.append("went on")

    async def keys(self):
        return list(await self.ctx.storage.list())

    async def wait(self, seconds):
        await asyncio.sleep(seconds)
        return "waited"

    async def note(self, value):
        log.append(value)

    async def ask_self(self):
        stub = self.env.OBJECT.get(self.ctx.id)
        return await stub.add(10)

    async def call(self, function):
        return await function(2, 3)

    async def adder(self):
        def add(by):
            self.count += by
            return self.count
        return add

    async def _private(self):
        return 1

    async def alarm(self):
        pass

    async def fetch(self, request):
        return Response(f"{request.method} {request.url} {await request.text()}")
    """
)


@virtual
async def test_an_object_knows_its_name_and_id(tmp_path: Path) -> None:
    """A12, A14, A18, A19, A20."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub("name")
        assert stub.name == "name"
        assert stub.id == worker.env.OBJECT.idFromName("name")
        assert worker.log == []
        assert await stub.whoami() == [stub.id.toString(), "name"]
        assert await worker.stub("x" * 1024).whoami() == [
            worker.stub("x" * 1024).id.toString(),
            "x" * 1024,
        ]
        assert (await worker.stub("x" * 1025).whoami())[1] is None
        assert await stub.add() == 1
        assert await worker.stub("name").add() == 2
        assert worker.log == ["made"] * 3


@virtual
async def test_what_code_raises_arrives_and_the_object_goes_on(tmp_path: Path) -> None:
    """B1, B2, E: memory and writes are kept when a method raises."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        error = await raised(stub.fail())
        assert isinstance(error, JsRangeError)
        assert (error.name, error.message, error.remote) == ("RangeError", "boom", True)
        assert not error.durableObjectReset
        assert error.durableObjectId == stub.id.toString()
        error = await raised(stub.fail("KeyError", "x"))
        assert isinstance(error, ValueError)
        assert await stub.add() == 3
        assert await stub.stored() is True
        assert worker.log == ["made"]


@pytest.mark.parametrize("name", ["nope", "count", "function", "env", "ctx", "_private"])
def test_only_methods_can_be_called(name: str, tmp_path: Path) -> None:
    """B4, B5, B8, B27."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING) as worker:
            error = await raised(getattr(worker.stub(), name)())
            assert isinstance(error, JsTypeError)
            assert error.message == f'The RPC receiver does not implement the method "{name}".'
            assert error.remote

    test()


@pytest.mark.parametrize("name", ["alarm", "webSocketMessage", "dup"])
def test_reserved_methods_cannot_be_called(name: str, tmp_path: Path) -> None:
    """B7."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING) as worker:
            error = await raised(getattr(worker.stub(), name)())
            text = f"'{name}' is a reserved method and cannot be called over RPC."
            assert (type(error), error.message) == (JsTypeError, text)

    test()


@virtual
async def test_a_class_without_base_has_fetch_only(tmp_path: Path) -> None:
    """B9."""
    source = """
    class Thing:
        def __init__(self, state, env):
            self.state = state
        async def fetch(self):
            return Response("here")
        async def other(self):
            return 1
    """
    async with running(tmp_path, source) as worker:
        stub = worker.stub()
        assert await (await stub.fetch("http://h/")).text() == "here"
        error = await raised(stub.other())
        assert isinstance(error, TypeError)
        assert "does not support RPC" in error.message


@virtual
async def test_fetch_passes_requests_on(tmp_path: Path) -> None:
    """B10."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        response = await stub.fetch("http://h/abs?x=1", method="POST", body="hi")
        assert (response.status, await response.text()) == (200, "POST http://h/abs?x=1 hi")
        with pytest.raises(JsTypeError, match="immutable headers"):
            response.js_object.headers.set("x", "y")
        error = await raised(_later(lambda: stub.fetch("/rel")))
        assert (type(error), error.message) == (JsTypeError, "Invalid URL: /rel")


@virtual
async def test_values_cross_by_copy(tmp_path: Path) -> None:
    """I14, B14."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        moment = datetime(2026, 1, 2, 3, 4, 5, 6000)
        values = [{"a": [1]}, 42, True, None, 1.5, "t", b"b", {1, 2}, moment]
        got = await stub.echo(*values)
        assert got == values
        assert [type(value) for value in got[1:6]] == [int, bool, type(None), float, str]
        assert await stub.echo(1, b=2) == [1, {"b": 2}]
        assert isinstance(await raised(_later(lambda: stub.echo((1, 2)))), TypeError)
        assert isinstance(await raised(_later(lambda: stub.echo(object()))), DataCloneError)
        assert await stub.add() == 1


@virtual
async def test_functions_can_be_called_where_they_live(tmp_path: Path) -> None:
    """B13."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        assert await stub.call(lambda a, b: a * b) == 6
        add = await stub.adder()
        assert await add(5) == 5
        assert await stub.add() == 6
        assert await worker.stub("b").call(await stub.echo(add) and (lambda a, b: a)) == 2
        error = await raised(stub.call(_failing))
        assert (error.message, error.remote) == ("no", True)
        await raised(stub.abort())
        assert isinstance(await raised(add(1)), JsException)


def _failing(*_: object) -> None:
    raise RuntimeError("no")


@virtual
async def test_a_constructor_that_raises_is_run_again(tmp_path: Path) -> None:
    """B15, B16."""
    source = methods(
        """
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            log.append("made")
            if len(log) < 3:
                import js
                raise js.RangeError("not yet")

        async def hello(self):
            return "hello"

        async def fetch(self, request):
            return Response("hello")
        """
    )
    async with running(tmp_path, source) as worker:
        stub = worker.stub()
        error = await raised(stub.hello())
        assert (type(error), error.message) == (JsRangeError, "not yet")
        assert error.durableObjectReset
        again = await raised(stub.hello())
        assert (again.message, again.durableObjectReset, worker.log) == ("not yet", True, ["made"])
        error = await raised(worker.stub().fetch("http://h/"))
        assert (type(error), error.message) == (JsRangeError, "not yet")
        assert await worker.stub().hello() == "hello"
        assert worker.log == ["made"] * 3


@virtual
async def test_abort_resets_and_cannot_be_caught(tmp_path: Path) -> None:
    """B17, B19, B21, B23, I17: what was written since the last wait is discarded."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        assert await stub.add() == 1
        waiting = stub.wait(5)
        error = await raised(stub.abort("why"))
        assert (error.message, error.durableObjectReset) == ("why", True)
        assert str(error) == "Error: why"
        error = await raised(waiting)
        assert (error.message, error.durableObjectReset) == ("why", True)
        later = await raised(stub.add())
        assert (later.message, later.durableObjectReset) == ("why", True)
        assert await worker.stub().add() == 1
        assert await worker.stub().keys() == ["before"]
        error = await raised(worker.stub().abort())
        assert error.message == "Application called abort() to reset Durable Object."
        assert worker.log == ["made", "made"]


@virtual
async def test_calls_on_one_stub_arrive_in_order(tmp_path: Path) -> None:
    """B24, B25."""
    source = THING + (
        "\n    async def send(self):\n"
        "        other = self.env.OBJECT.getByName('other')\n"
        "        for n in range(50):\n"
        "            self.ctx.storage.put('n', n)\n"
        "            other.note(n)\n"
        "        return await other.note('last')\n"
    )
    async with running(tmp_path, source) as worker:
        stub = worker.stub()
        calls = [stub.note(n) for n in range(200)]
        for call in calls:
            await call
        assert worker.log == ["made", *range(200)]
        worker.log.clear()
        await worker.stub("sender").send()
        assert worker.log == ["made", "made", *range(50), "last"]


@virtual
async def test_an_object_may_call_itself(tmp_path: Path) -> None:
    """B26."""
    async with running(tmp_path, THING) as worker:
        assert await worker.stub().ask_self() == 10


@virtual
async def test_calls_take_effect_without_being_awaited(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        stub.add(5)
        await asyncio.sleep(1)
        assert await stub.add() == 6
        call = stub.add()
        assert [await call, await call] == [7, 7]
        assert await asyncio.gather(stub.add(), stub.sync()) == [8, "sync"]


@virtual
async def test_a_stub_keeps_attributes_to_itself(tmp_path: Path) -> None:
    """B28."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        stub.extra = 5
        assert stub.extra == 5
        assert worker.log == []


@virtual
async def test_an_idle_object_is_forgotten(tmp_path: Path) -> None:
    """I1, B30."""
    async with running(tmp_path, THING) as worker:
        assert [await worker.stub().add(), await worker.stub().add()] == [1, 2]
        await asyncio.sleep(11)
        assert not worker.runtime.host.activator.catalog.actors
        assert await worker.stub().add() == 1


@virtual
async def test_an_overloaded_object_says_so(tmp_path: Path) -> None:
    source = methods(
        "async def block(self):\n    await self.ctx.blockConcurrencyWhile(self.rest)\n"
        "async def rest(self):\n    await asyncio.sleep(9)"
    )
    async with running(tmp_path, source, mailbox=2) as worker:
        stub = worker.stub()
        calls = [stub.block()]
        await asyncio.sleep(1)
        calls += [stub.block() for _ in range(3)]
        error = await raised(calls[-1])
        assert error.message == "Durable Object is overloaded. Too many requests queued."
        assert (error.overloaded, error.durableObjectReset) == (True, False)
        for call in calls[:3]:
            await call


async def _later(make):  # type: ignore[no-untyped-def]
    return await make()


@virtual
async def test_no_call_overtakes_one_that_has_no_task_yet(tmp_path: Path) -> None:
    source = methods(
        "async def wait(self):\n    await workers.event.wait()",
        "async def note(self, value):\n    log.append(value)",
    )
    async with running(tmp_path, source) as worker:
        event = worker.module.workers.event = asyncio.Event()
        stub = worker.stub()
        await stub.note(0)

        async def later(value: int) -> None:
            await event.wait()
            await stub.note(value)

        posting = [asyncio.ensure_future(later(1))]
        await asyncio.sleep(0)
        waiting = stub.wait()  # takes the one task that is there, and gives it back in between
        await asyncio.sleep(0)
        posting.append(asyncio.ensure_future(later(2)))
        await asyncio.sleep(0)
        event.set()
        await asyncio.gather(waiting, *posting)
        assert worker.log == [0, 1, 2]


@virtual
async def test_no_call_overtakes_those_that_are_queued(tmp_path: Path) -> None:
    source = methods(
        "async def block(self):\n    await self.ctx.blockConcurrencyWhile(workers.event.wait)",
        "async def note(self, value):\n    log.append(value)",
    )
    async with running(tmp_path, source) as worker:
        event = worker.module.workers.event = asyncio.Event()
        stub, count = worker.stub(), STRAIGHT_RUN_MAX * 3
        blocking = stub.block()
        queued = [stub.note(value) for value in range(count)]

        async def later() -> None:
            await queued[0]  # the others are not all begun in this iteration of the loop
            await stub.note(count)

        posting = asyncio.ensure_future(later())
        await asyncio.sleep(1)
        event.set()
        await asyncio.gather(blocking, *queued, posting)
        assert worker.log == list(range(count + 1))


@virtual
async def test_a_signal_ends_the_wait_for_a_response(tmp_path: Path) -> None:
    source = methods(
        """
    async def fetch(self, request):
        log.append(request.js_object.signal.aborted)
        await asyncio.sleep(10)
        return Response("late")
    """
    )
    async with running(tmp_path, source) as worker:
        loop, controller = asyncio.get_running_loop(), AbortController()
        began = loop.time()
        loop.call_later(1, controller.abort)
        error = await raised(worker.stub().fetch("http://h", signal=controller.signal))
        assert (error.name, error.retryable, loop.time() - began) == ("AbortError", True, 1.0)
        request = JsRequest("http://h", signal=AbortSignal.abort(JsRangeError("no")))
        clone = JsRequest("http://k", request).clone()
        assert clone.signal is request.signal
        assert (await raised(worker.stub().fetch(request))).message == "no"
        assert worker.log == [False]
