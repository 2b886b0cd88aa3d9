"""How Python writes classes and methods, and what becomes of what they raise: rows I9 to I17."""

import asyncio
from pathlib import Path

import pytest
from tests.workers.running import methods, raised, running, virtual

from wakeful.workers.code.entrypoints import DurableObject, Exported
from wakeful.workers.proxies import JsException

CLASSES = """
import abc, contextlib, dataclasses, enum, functools, typing
log = []
T = typing.TypeVar("T")

def noted(method):
    @functools.wraps(method)
    async def wrapper(self, *args, **named):
        log.append(method.__name__)
        return await method(self, *args, **named)
    return wrapper

def with_request(method):
    @functools.wraps(method)
    async def wrapper(self, request):
        log.append(request.method)
        return await method(self)
    return wrapper

class Doubler:
    def __call__(self, value):
        return value * 2

class Mixin:
    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.mixed_in = True

@dataclasses.dataclass
class Base(Mixin, DurableObject, typing.Generic[T], metaclass=abc.ABCMeta):
    ctx: typing.Any
    env: typing.Any
    count: int = 0
    limit = 5
    double = Doubler()

    def _add(self, by, *, twice=False):
        self.count += by * (2 if twice else 1)
        return self.count

    add_one = functools.partialmethod(_add, 1)
    add_two = functools.partialmethod(_add, 1, twice=True)
    triple = lambda self, value=1: value * 3

    @functools.singledispatchmethod
    def kind(self, value):
        return "other"

    @kind.register
    def _(self, value: int):
        return "int"

    @abc.abstractmethod
    def must(self): ...

    def __bool__(self):
        return False

    def __call__(self):
        return "called"

    @functools.cached_property
    def cached(self):
        return 1

    @property
    def size(self):
        return 1

class Thing(Base[int]):
    def must(self):
        return "must"

    @noted
    async def given(self, a, b=2, *args, c=3, **named):
        return [a, b, list(args), c, named]

    @with_request
    async def fetch(self):
        return Response("no parameters")

    @staticmethod
    async def fixed(value):
        return value

    @classmethod
    def made(cls, value=1):
        return [cls.__name__, value]

    def work(self):
        return self.given(1)

    def task(self):
        return asyncio.ensure_future(self.given(1))

    async def numbers(self):
        yield 1

    @contextlib.contextmanager
    def manager(self):
        yield 1

    class Inner: ...
"""


@virtual
async def test_methods_of_every_kind(tmp_path: Path) -> None:
    """I15: whatever makes a function of a class, but nothing else of it."""
    async with running(tmp_path, CLASSES) as worker:
        stub = worker.stub()
        assert await stub.given(1) == [1, 2, [], 3, {}]
        assert await stub.given(1, 2, 3, 4) == [1, 2, [3, 4], 3, {}]
        assert await stub.given(1, b=5) == [1, {"b": 5}, [], 3, {}]
        assert worker.log == ["given"] * 3
        assert [await stub.add_one(), await stub.add_two(), await stub.add_one()] == [1, 3, 4]
        assert [await stub.kind(1), await stub.kind("x")] == ["int", "other"]
        assert [await stub.triple(), await stub.triple(2)] == [3, 6]
        assert [await stub.double(4), await stub.must(), await stub.fixed(7)] == [8, "must", 7]
        assert [await stub.made(), await stub.made(2)] == [["Thing", 1], ["Thing", 2]]
        assert await stub.work() == await stub.task() == [1, 2, [], 3, {}]
        assert await (await stub.fetch("http://h/")).text() == "no parameters"
        for name in ("cached", "size", "count", "limit", "mixed_in", "Inner", "_add", "_"):
            error = await raised(getattr(stub, name)())
            assert "does not implement the method" in error.message, name
        assert (await raised(stub.numbers())).message.startswith("Could not serialize object of")


@virtual
async def test_arguments_that_do_not_fit_are_a_type_error(tmp_path: Path) -> None:
    async with running(tmp_path, CLASSES) as worker:
        stub = worker.stub()
        for call in (stub.given(), stub.must(1), stub.fixed()):
            error = await raised(call)
            assert isinstance(error, TypeError)
            assert (error.remote, error.durableObjectReset) == (True, False)
        assert await stub.add_one() == 1


FETCHES = {
    "self": ("-", "-", "-"),
    "self, request": ("GET", "-", "-"),
    "self, request, env": ("GET", "Env", "-"),
    "self, request, env, ctx": ("GET", "Env", "ctx"),
    "self, request, env=None, ctx=None": ("GET", "NoneType", "NoneType"),
    "self, request, /, *rest": ("GET", "-", "-"),
    "self, *given": ("1", "-", "-"),
}
FETCH = """
    async def fetch({0}):
        seen = vars() if "given" not in vars() else dict(request=given)
        def name(what):
            return type(seen[what]).__name__ if what in seen else "-"
        request = seen.get("request")
        asked = getattr(request, "method", "-") if not isinstance(request, tuple) else len(request)
        ctx = "ctx" if "Context" in name("ctx") or "State" in name("ctx") else name("ctx")
        return Response(" ".join([str(asked), name("env"), ctx]))
"""


@pytest.mark.parametrize(("takes", "told"), FETCHES.items(), ids=FETCHES)
def test_fetch_takes_what_it_likes(takes: str, told: tuple[str, ...], tmp_path: Path) -> None:
    """I9: also `env` and `ctx`, which old code asks for."""

    @virtual
    async def test() -> None:
        fetch = FETCH.format(takes)
        default = f"class Default(WorkerEntrypoint):{fetch}"
        async with running(
            tmp_path, f"class Thing(DurableObject):{fetch}", default=default
        ) as worker:
            response = await worker.stub().fetch("http://h/")
            assert await response.text() == " ".join(told)
            assert await worker.fetch("/") == (200, " ".join(told))

    test()


ALARMS = {
    "self": [],
    "self, info": ["info"],
    "self, info=None": ["info"],
    "self, *rest": ["rest"],
    "self, info, more=5": ["info", "more"],
}


@pytest.mark.parametrize(("takes", "told"), ALARMS.items(), ids=ALARMS)
def test_alarm_takes_what_it_likes(takes: str, told: list[str], tmp_path: Path) -> None:
    """I10."""

    @virtual
    async def test() -> None:
        alarm = f"def alarm({takes}):\n    log.append(sorted(set(vars()) - {{'self'}}))"
        put = "async def put(self):\n    await self.ctx.storage.setAlarm(1)"
        async with running(tmp_path, methods(alarm, put)) as worker:
            await worker.stub().put()
            await asyncio.sleep(1)
            assert worker.log == [told]

    test()


class Handlers(DurableObject):
    """Handlers that are no plain functions."""

    @classmethod
    def fetch(cls, request: object) -> object:
        return request

    class _Alarm:
        def __call__(self, info: object) -> object:
            return info

    alarm = _Alarm()


@pytest.mark.parametrize("name", ["fetch", "alarm"])
def test_handlers_that_are_no_functions(name: str) -> None:
    handler = Exported(Handlers).handler(Handlers(None, None), name)
    assert handler is not None
    assert handler("given", "surplus") == "given"


CONSTRUCTORS = {
    "no base": (False, "def __init__(self, ctx, env):\n    self.state = ctx"),
    "any": (True, "def __init__(self, *args, **named):\n    super().__init__(*args, **named)"),
    "named": (
        True,
        "def __init__(self, state, environment):\n    self.n = 1\n"
        "    super().__init__(ctx=state, env=environment)",
    ),
    "none": (True, "limit = 1"),
    "more": (True, "def __init__(self, ctx, env, more=None):\n    super().__init__(ctx, env)"),
    "base": (True, "def __init__(self, ctx, env):\n    DurableObject.__init__(self, ctx, env)"),
    "slots": (True, "__slots__ = ('n',)"),
}


@pytest.mark.parametrize(("there", "constructor"), CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_constructors(there: bool, constructor: str, tmp_path: Path) -> None:
    """`ctx` and `env` are there if the base class was told; methods are, in any case."""

    @virtual
    async def test() -> None:
        has = "async def has(self):\n    return [hasattr(self, 'ctx'), hasattr(self, 'env')]"
        async with running(tmp_path, methods(constructor, has)) as worker:
            assert await worker.stub().has() == [there, there]

    test()


@pytest.mark.parametrize(
    ("constructor", "text"),
    [
        ("def __init__(self):\n    pass", "takes 1 positional argument but 3 were given"),
        ("def __init__(self, ctx, env):\n    super().__init__()", "missing 2 required"),
        ("def __init__(self, ctx, env):\n    return 5", "__init__() should return None"),
        ("def __init__(self, ctx, env):\n    raise SystemExit(3)", "3"),
        ("def __init__(self, ctx, env):\n    raise asyncio.CancelledError('c')", "c"),
        ("def __init__(self, ctx, env):\n    raise StopIteration('s')", "s"),
    ],
)
def test_constructors_that_fail(constructor: str, text: str, tmp_path: Path) -> None:
    """B15."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, methods(constructor, "def hello(self):\n    pass")) as worker:
            for _ in range(2):
                error = await raised(worker.stub().hello())
                assert text in error.message
                assert (error.durableObjectReset, error.remote) == (True, False)

    test()


RAISING = methods(
    """
    n = 0

    async def add(self):
        self.n += 1
        return self.n

    async def run(self, code):
        await self.add()
        exec(code, globals())

    async def later(self, code):
        await asyncio.sleep(1)
        await self.run(code)

    async def in_task(self, code):
        await asyncio.create_task(self.run(code))

    async def behind(self, code):
        self.ctx.waitUntil(self.later(code))

    async def in_function(self, code):
        return lambda: exec(code, globals())

    async def cancel(self, what):
        task = asyncio.current_task() if what == "itself" else asyncio.create_task(self.later(""))
        task.cancel()
        await (asyncio.sleep(1) if what == "itself" else task)

    async def fetch(self, request):
        exec(await request.text(), globals())
    """
)
ARRIVES = {
    "raise ValueError": ("RangeError", ""),
    "raise ValueError(None)": ("RangeError", "None"),
    "raise ValueError('a', 'b')": ("RangeError", "('a', 'b')"),
    "raise TypeError('t')": ("TypeError", "t"),
    "raise KeyError('k')": ("KeyError", "'k'"),
    "raise OSError(2, 'No such', 'f')": ("FileNotFoundError", "[Errno 2] No such: 'f'"),
    "raise UnicodeDecodeError('utf8', b'x', 0, 1, 'r')": (
        "RangeError",
        "'utf8' codec can't decode byte 0x78 in position 0: r",
    ),
    "raise StopIteration('s')": ("RuntimeError", "coroutine raised StopIteration"),
    "raise ExceptionGroup('g', [ValueError('a')])": ("ExceptionGroup", "g (1 sub-exception)"),
    "raise TimeoutError('t')": ("TimeoutError", "t"),
    "assert 1 == 2, 'no'": ("AssertionError", "no"),
    "1 / 0": ("ZeroDivisionError", "division by zero"),
    "raise ValueError('a') from KeyError('b')": ("RangeError", "a"),
    "raise type('Own', (Exception,), {'__str__': lambda self: 'own'})(1, 2)": ("Own", "own"),
    "raise type('Own', (LookupError,), {'message': 'm', 'name': 'n'})('x')": ("Own", "x"),
    "raise type('Own', (Exception,), {'__str__': lambda self: 1 / 0})()": ("Own", ""),
    "raise type('Own', (Exception,), {'__str__': lambda self: 5})()": ("Own", ""),
    "raise type('Own', (BaseException,), {})('q')": ("Own", "q"),
    "raise asyncio.CancelledError('c')": ("CancelledError", "c"),
    "import sys; sys.exit(3)": ("SystemExit", "3"),
    "raise workers.entrypoints.DurableObjectAbort('a')": ("DurableObjectAbort", "a"),
    "import nowhere": ("ModuleNotFoundError", "No module named 'nowhere'"),
}


@virtual
async def test_what_is_raised_arrives_by_name_and_text(tmp_path: Path) -> None:
    """B1, B2: and the object goes on, whatever it is."""
    async with running(tmp_path, RAISING) as worker:
        stub = worker.stub()
        for code, (name, text) in ARRIVES.items():
            for method in (stub.run, stub.later):
                error = await raised(method(code))
                assert (error.name, error.message) == (name, text), code
                assert isinstance(error, JsException)
                assert (error.remote, error.durableObjectReset) == (True, False)
        fetching = stub.fetch("http://h/", method="POST", body="raise SystemExit(3)")
        assert (await raised(fetching)).name == "SystemExit"
        assert await stub.add() == 2 * len(ARRIVES) + 1


@virtual
async def test_no_exit_of_user_code_ends_the_process(tmp_path: Path) -> None:
    async with running(tmp_path, RAISING) as worker:
        stub, code = worker.stub(), "raise SystemExit(3)"
        error = await raised(stub.in_task(code))
        assert error.message == "SystemExit(3) was raised in a task"
        assert (await raised((await stub.in_function(code))())).name == "SystemExit"
        await stub.behind(code)
        await asyncio.sleep(2)
        assert await stub.add() == 3


@pytest.mark.parametrize("what", ["itself", "task"])
def test_a_cancellation_is_an_error_of_the_method(what: str, tmp_path: Path) -> None:
    @virtual
    async def test() -> None:
        async with running(tmp_path, RAISING) as worker:
            stub = worker.stub()
            await stub.add()
            error = await raised(stub.cancel(what))
            assert (error.name, error.remote) == ("CancelledError", True)
            assert not error.durableObjectReset
            assert await stub.add() == 2

    test()
