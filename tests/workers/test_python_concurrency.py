"""asyncio inside objects, across events and critical sections: section 2, from Python."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.world import FlakyStore
from tests.workers.running import methods, raised, running, virtual

from wakeful.workers.proxies import JsException, JsTypeError

THING = methods(
    """
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.lock, self.event, self.queue = asyncio.Lock(), asyncio.Event(), asyncio.Queue()
        self.condition, self.two = asyncio.Condition(), asyncio.Semaphore(2)

    def other(self, name="other"):
        return self.env.OBJECT.getByName(name)

    async def note(self, value):
        log.append(value)
        return value

    async def keys(self):
        return list(await self.ctx.storage.list())

    async def block(self, seconds=1, code="", name="b"):
        async def work():
            log.append(f"{name}+")
            await asyncio.sleep(seconds)
            exec(code, globals(), {"self": self})
            log.append(f"{name}-")
            return name
        return await self.ctx.blockConcurrencyWhile(work)

    async def hold(self, name, seconds=1):
        async with self.lock:
            log.append(f"{name}+")
            await asyncio.sleep(seconds)
            log.append(f"{name}-")

    async def put_in(self, value):
        await self.queue.put(value)
        self.event.set()
        async with self.condition:
            self.condition.notify_all()

    async def wait_for_it(self, kind):
        if kind == "queue":
            return await self.queue.get()
        if kind == "event":
            return await self.event.wait()
        async with self.condition:
            return await self.condition.wait()

    async def two_at_a_time(self, name):
        async with self.two:
            log.append(name)
            await asyncio.sleep(1)

    async def outlive(self):
        async def child():
            for n in range(4):
                await asyncio.sleep(1)
                log.append(f"child {n}")
                await self.ctx.storage.put(f"k{n}", n)
        async def work():
            self.task = asyncio.create_task(child())
            await asyncio.sleep(1.5)
        await self.ctx.blockConcurrencyWhile(work)

    async def limited(self):
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(100)
        except TimeoutError:
            return asyncio.get_running_loop().time() - started

    async def slow(self):
        await self.ctx.storage.put("begun", 1)
        await asyncio.sleep(5)
        await self.ctx.storage.put("ended", 1)

    async def impatient(self):
        try:
            async with asyncio.timeout(1):
                await self.other().slow()
        except TimeoutError:
            return "gave up"

    async def siblings(self):
        async def ask(call):
            return await call
        try:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(ask(self.other().slow()))
                group.create_task(ask(self.other().nothing()))
        except* TypeError:
            pass
        return waiting.cancelled()

    async def together(self):
        calls = (self.other().note(1), self.other().nothing(), self.other().note(2))
        done = await asyncio.gather(*calls, return_exceptions=True)
        return [type(item).__name__ for item in done]

    async def first(self):
        tasks = [asyncio.create_task(asyncio.sleep(n, n)) for n in (9, 1)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return [task.result() for task in done]

    async def in_order(self):
        return [await item for item in asyncio.as_completed([asyncio.sleep(n, n) for n in (2, 1)])]

    async def shielded(self):
        async def work():
            await asyncio.sleep(2)
            await self.ctx.storage.put("shielded", 1)
        try:
            async with asyncio.timeout(1):
                await asyncio.shield(work())
        except TimeoutError:
            return await self.keys()

    async def chunks(self):
        async def numbers():
            try:
                for n in range(5):
                    yield n
                    await asyncio.sleep(1)
            finally:
                log.append("closed")
        async with contextlib.aclosing(numbers()) as items:
            async for n in items:
                if n == 2:
                    return n

    async def variable(self, value):
        async def child():
            return var.get()
        var.set(value)
        await asyncio.sleep(1)
        return [var.get(), await asyncio.create_task(child())]

    async def look(self):
        return var.get()

    async def send_all(self):
        other = self.other()
        calls = [other.note("a")]
        await self.ctx.storage.put("k1", 1)
        calls.append(other.note("b"))
        await self.ctx.storage.sync()
        calls.append(other.note("c"))
        await asyncio.sleep(1)
        calls.append(other.note("d"))
        await other.note("e")
        return [await call for call in reversed(calls)]

    async def limited_section(self):
        async def work():
            log.append("begins")
            await asyncio.sleep(5)
            log.append("ends")
        try:
            async with asyncio.timeout(1):
                await self.ctx.blockConcurrencyWhile(work)
        except TimeoutError:
            return list(log)

    async def beside(self):
        async def work(txn):
            log.append("t+")
            await asyncio.sleep(1)
            log.append("t-")
            return "t"
        return await asyncio.gather(
            self.block(1), self.block(2, name="c"), self.ctx.storage.transaction(work)
        )

    async def transact(self, seconds=1, fail=False):
        async def child(n):
            await asyncio.sleep(0.1)
            await self.ctx.storage.put(f"k{n}", n)
        async def late():
            await asyncio.sleep(5)
            await self.ctx.storage.put("late", 1)
        async def work(txn):
            await txn.put("first", 1)
            await asyncio.gather(child(1), child(2))
            self.task = asyncio.create_task(late())
            await asyncio.sleep(seconds)
            if fail:
                raise ValueError("no")
            return "yes"
        return await self.ctx.storage.transaction(work)

    async def transact_in_time(self):
        try:
            async with asyncio.timeout(0.5):
                await self.transact(3)
        except TimeoutError:
            return await self.keys()

    async def write_all(self):
        storage = self.ctx.storage
        storage.sql.exec("CREATE TABLE t (x)")
        storage.put("a", 1)
        storage.sql.exec("INSERT INTO t VALUES (1)")
        storage.setAlarm(4102444800000)
        seen = [await storage.get("a"), storage.sql.exec("SELECT x FROM t").one().x]
        await asyncio.sleep(1)
        return [*seen, await storage.getAlarm()]

    async def outward(self, kind, body=None):
        if kind == "reply":
            await self.other().rest(1)
        elif kind == "fetch":
            await (await self.other().fetch("http://h/")).text()
        elif kind == "chunks":
            async for chunk in (await self.other().fetch("http://h/")).body:
                pass
        elif kind == "future":
            self.future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(1, self.future.set_result, 1)
            await self.future
        elif kind == "function":
            await body()
        log.append(kind)

    async def rest(self, seconds):
        await asyncio.sleep(seconds)

    async def fetch(self, request):
        async def chunks():
            for _ in range(3):
                await asyncio.sleep(0.4)
                yield b"x"
        return Response(js.ReadableStream.from_(chunks()))

    async def alarm(self):
        log.append("alarm+")
        await asyncio.sleep(2)
        log.append("alarm-")

    async def wake_now(self):
        await self.ctx.storage.setAlarm(1)
    """
).replace(
    "log = []",
    "import contextlib, contextvars, js\nlog = []\nvar = contextvars.ContextVar('var')\nvar.set(0)",
)


@virtual
async def test_what_events_of_one_object_share(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        await asyncio.gather(stub.hold("a"), stub.hold("b"), stub.note("n"))
        assert worker.log == ["a+", "n", "a-", "b+", "b-"]
        waiting = [stub.wait_for_it(kind) for kind in ("queue", "event", "condition")]
        await asyncio.sleep(1)
        await stub.put_in({"x": 1})
        assert [await call for call in waiting] == [{"x": 1}, True, True]
        worker.log.clear()
        calls = [stub.two_at_a_time(n) for n in range(3)]
        await asyncio.sleep(0.5)
        assert worker.log == [0, 1]
        await asyncio.gather(*calls)


@virtual
async def test_what_was_begun_goes_on_after_a_section(tmp_path: Path) -> None:
    """2.2: who holds a lock, who has a time limit, a task that outlives the section it is of."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        holding = stub.hold("a", 3)
        await asyncio.sleep(1)
        await stub.block(5)
        await holding
        assert worker.log == ["a+", "b+", "b-", "a-"]
        limited = stub.limited()
        await asyncio.sleep(0.5)
        await stub.block(3)
        assert await limited == 3.5
        worker.log.clear()
        await stub.outlive()
        await stub.block(1)  # from 1.5 to 2.5: the child's second step is due at 2
        await asyncio.sleep(5)
        assert worker.log == ["child 0", "b+", "b-", "child 1", "child 2", "child 3"]
        assert await stub.keys() == ["k0", "k1", "k2", "k3"]


@virtual
async def test_who_gives_up_ends_nothing_of_others(tmp_path: Path) -> None:
    """2.7: a call that was delivered runs to its end, whoever waits for it."""
    async with running(tmp_path, THING) as worker:
        assert await worker.stub().impatient() == "gave up"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker.stub("b").slow(), 1)
        assert await worker.stub("c").siblings() is True
        await asyncio.sleep(6)
        for name in ("other", "b"):
            assert await worker.stub(name).keys() == ["begun", "ended"]


@virtual
async def test_asyncio_is_all_there(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        assert await stub.together() == ["int", "JsTypeError", "int"]
        assert [await stub.first(), await stub.in_order()] == [[1], [1, 2]]
        assert await stub.shielded() == []
        await asyncio.sleep(2)
        assert await stub.keys() == ["shielded"]
        assert await stub.chunks() == 2
        assert worker.log == [1, 2, "closed"]


@virtual
async def test_variables_of_an_event_are_its_own(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        calls = stub.variable(1), stub.variable(2)
        assert await asyncio.gather(*calls, stub.look()) == [[1, 1], [2, 2], 0]
        assert await stub.look() == 0


@virtual
async def test_calls_leave_in_order_whatever_is_awaited(tmp_path: Path) -> None:
    """B24, 2.7: also when each has to wait until what was written before is durable."""
    async with running(tmp_path, THING, store=FlakyStore()) as worker:
        assert await worker.stub().send_all() == ["d", "c", "b", "a"]
        assert worker.log == ["a", "b", "c", "d", "e"]


@virtual
async def test_sections_and_transactions_begun_together_run_one_by_one(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        assert await worker.stub().beside() == ["b", "c", "t"]
        entries = [worker.log[n : n + 2] for n in (0, 2, 4)]
        assert sorted(entries) == [["b+", "b-"], ["c+", "c-"], ["t+", "t-"]]


@virtual
async def test_who_gives_up_waiting_for_a_section_does_not_end_it(tmp_path: Path) -> None:
    """2.2: and goes on when it has ended."""
    async with running(tmp_path, THING) as worker:
        assert await worker.stub().limited_section() == ["begins", "ends"]
        assert await worker.stub().note(1) == 1


@pytest.mark.parametrize(
    ("code", "name", "text"),
    [
        ("raise asyncio.CancelledError('c')", "CancelledError", "c"),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("raise type('Own', (BaseException,), {})('q')", "Own", "q"),
        ("raise KeyError('k')", "KeyError", "'k'"),
        ("raise workers.entrypoints.DurableObjectAbort('a')", "DurableObjectAbort", "a"),
        ("self.ctx.abort('gone')", "Error", "gone"),
    ],
)
def test_a_section_that_ends_by_any_error_resets(
    code: str, name: str, text: str, tmp_path: Path
) -> None:
    """C9: everybody hears of it."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING) as worker:
            stub = worker.stub()
            for call in (stub.block(1, code), stub.note("waits")):
                error = await raised(call)
                assert (error.name, error.message) == (name, text)
                assert error.durableObjectReset
            assert worker.log == ["b+"]
            assert await worker.stub().note("new") == "new"

    test()


@virtual
async def test_an_alarm_keeps_to_sections_and_nobody_else_waits_for_it(tmp_path: Path) -> None:
    """G19: events interleave with a handler that waits."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        await stub.wake_now()
        await asyncio.sleep(0.5)
        await stub.note("between")
        await stub.block(3)
        await asyncio.sleep(1)
        assert worker.log == ["alarm+", "between", "b+", "b-", "alarm-"]


CONSTRUCTOR = """
log = []

class Thing(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        log.append("made")
        self.value = None
        getattr(self, ctx.id.name.partition(" ")[0])(ctx, env)

    def asks(self, ctx, env):
        @ctx.blockConcurrencyWhile
        async def work():
            self.value = await env.OBJECT.getByName("plain").note("asked")

    def fails(self, ctx, env):
        async def work():
            await asyncio.sleep(1)
            if len(log) == 1:
                raise KeyError("not yet")
        ctx.blockConcurrencyWhile(work)

    def each(self, ctx, env):
        async def work():
            peer = "each a" if ctx.id.name == "each b" else "each b"
            await env.OBJECT.getByName(peer).note(1)
        ctx.blockConcurrencyWhile(work)

    def nests(self, ctx, env):
        async def inner():
            await asyncio.sleep(1)
            return "inner"
        async def outer():
            self.value = await ctx.blockConcurrencyWhile(inner)
        ctx.blockConcurrencyWhile(outer)

    def nests_and_leaves(self, ctx, env):
        async def inner():
            await asyncio.sleep(2)
            self.value = "inner"
        async def outer():
            ctx.blockConcurrencyWhile(inner)
            await asyncio.sleep(1)
        ctx.blockConcurrencyWhile(outer)

    def begins(self, ctx, env):
        async def work(txn):
            await asyncio.sleep(1)
            self.value = "transaction"
        self.task = ctx.storage.transaction(work)

    def spawns(self, ctx, env):
        self.task = asyncio.ensure_future(self.later())

    def is_plain(self, ctx, env):
        ctx.blockConcurrencyWhile(lambda: None)

    plain = is_plain

    def aborts(self, ctx, env):
        if len(log) == 1:
            ctx.abort("in the constructor")

    async def later(self):
        await asyncio.sleep(1)
        self.value = "later"

    async def note(self, value):
        log.append(value)
        return value

    async def get(self):
        return self.value
"""


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("asks", "asked", 0),
        ("nests", "inner", 1),
        ("nests_and_leaves", "inner", 2),
        ("begins", "transaction", 1),
        ("spawns", None, 0),
        ("is_plain", None, 0),
    ],
)
def test_what_a_constructor_begins(
    name: str, value: str | None, seconds: float, tmp_path: Path
) -> None:
    """C3, C5: sections, also of transactions, come before the first event; tasks do not."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, CONSTRUCTOR) as worker:
            loop = asyncio.get_running_loop()
            started = loop.time()
            assert await worker.stub(name).get() == value
            assert loop.time() - started == pytest.approx(seconds)
            await asyncio.sleep(2)

    test()


@pytest.mark.parametrize(
    ("name", "error_name", "text"),
    [("fails", "KeyError", "'not yet'"), ("aborts", "Error", "in the constructor")],
)
def test_a_constructor_that_resets_is_run_again(
    name: str, error_name: str, text: str, tmp_path: Path
) -> None:
    """B15, C9."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, CONSTRUCTOR) as worker:
            error = await raised(worker.stub(name).get())
            assert (error.name, error.message, error.durableObjectReset) == (error_name, text, True)
            assert await worker.stub(name).get() is None
            assert worker.log == ["made", "made"]

    test()


@virtual
async def test_constructors_that_wait_for_each_other_are_told_after_thirty_seconds(
    tmp_path: Path,
) -> None:
    """C11, C13."""
    async with running(tmp_path, CONSTRUCTOR) as worker:
        error = await raised(worker.stub("each a").get())
        assert isinstance(error, JsException)
        assert (error.overloaded, error.durableObjectReset) == (True, True)
        assert "waited for too long" in error.message


@virtual
async def test_what_is_no_function_is_no_section(tmp_path: Path) -> None:
    async with running(
        tmp_path, methods("async def go(self):\n    self.ctx.blockConcurrencyWhile(5)")
    ) as worker:
        error: Any = await raised(worker.stub().go())
        assert isinstance(error, JsTypeError)
        assert error.message.endswith("parameter 1 is not of type 'function'.")
        assert not error.durableObjectReset


@pytest.mark.parametrize("kind", ["reply", "fetch", "chunks", "future", "function"])
def test_whatever_comes_in_waits_for_a_section(kind: str, tmp_path: Path) -> None:
    """2.1: each passes the input gate, replies and chunks of bodies among them."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING) as worker:
            stub = worker.stub()
            going = stub.outward(kind, lambda: asyncio.sleep(1))
            await asyncio.sleep(0.5)
            await stub.block(3)
            await going
            assert worker.log == ["b+", "b-", kind]

    test()


@virtual
async def test_what_a_step_writes_is_one_commit_of_everything(tmp_path: Path) -> None:
    """2.4: values, SQL and the alarm; reads in between see it."""
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        await worker.stub("awake").note(1)
        before = len(store.batches)
        writing = worker.stub().write_all()
        await asyncio.sleep(0.5)
        [[record]] = store.batches[before:]
        assert record.pages
        assert {"ka", "a"} <= record.puts.keys()
        assert await writing == [1, 1, 4102444800000]


@virtual
async def test_tasks_inside_a_transaction_are_part_of_it(tmp_path: Path) -> None:
    """2.4, E2: what they write later is not; a transaction that is given up is undone."""
    async with running(tmp_path, THING) as worker:
        kept = {
            "done": (lambda stub: stub.transact(), ["first", "k1", "k2"]),
            "fails": (lambda stub: stub.transact(1, True), []),
            "in time": (lambda stub: stub.transact_in_time(), []),
        }
        for name, (call, keys) in kept.items():
            stub = worker.stub(name)
            if name == "fails":
                assert (await raised(call(stub))).message == "no"
            else:
                assert await call(stub) in ("yes", [])
            assert await stub.keys() == keys
            await asyncio.sleep(6)
            assert await stub.keys() == sorted([*keys, "late"])
