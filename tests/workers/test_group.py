"""Several Workers: bindings of Workers and of their classes, and that nothing of them mixes."""

import sys
from pathlib import Path

import pytest
from tests.runtime.test_sockets import FakeWire
from tests.runtime.world import settle
from tests.workers.running import HEAD, raised, virtual
from tests.workers.several import together, write

from wakeful.errors import ConfigError
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.workers.proxies import DataCloneError, JsException, JsRangeError, JsTypeError

BINDS = """
[vars]
WHO = "a"
[[services]]
binding = "B"
service = "b"
[[services]]
binding = "ADMIN"
service = "b"
entrypoint = "Admin"
props = { role = "root" }
[[services]]
binding = "SELF"
service = "a"
[[services]]
binding = "OLD"
service = "old"
[[durable_objects.bindings]]
name = "THINGS"
class_name = "Thing"
[[durable_objects.bindings]]
name = "THEIRS"
class_name = "Thing"
script_name = "b"
"""
A = """
from shared import VALUE

class Thing(DurableObject):
    async def whose(self):
        return "a"

    async def ask(self):
        await self.ctx.storage.put("asked", 1)
        return await self.env.B.add(1, 2)

    async def read(self):
        response = await self.env.B.fetch("http://b/stream")
        return await response.text()

    async def both(self):
        return await self.env.B.back(self.env.THINGS.get(self.ctx.id))

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"a {VALUE} {self.env.WHO}")

    async def name(self):
        from late import LATE
        return [VALUE, LATE, __name__]
"""
B = """
import functools
from js import ReadableStream
from shared import VALUE
import package.part
from package import other

log = []

class Thing(DurableObject):
    async def whose(self):
        return "b"

    async def put(self, value):
        await self.ctx.storage.put("value", value)

    async def get(self):
        return await self.ctx.storage.get("value")

class Admin(WorkerEntrypoint):
    async def role(self):
        return [self.ctx.props.role, self.env.WHO]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/stream"):
            return Response(ReadableStream(self.chunks()))
        if request.url.endswith("/fail"):
            raise ValueError("no")
        return Response(f"b {VALUE} {self.env.WHO} {request.method} {await request.text()}")

    async def chunks(self):
        for number in range(3):
            await asyncio.sleep(1)
            stub = self.env.THINGS.getByName("chunks")
            await stub.put(number)
            yield f"{await stub.get()},".encode()

    async def name(self):
        import js
        from late import LATE
        return [VALUE, LATE, __name__, js.fetch is not None, package.part.PART, other.OTHER]

    async def own(self):
        import js
        from workers import env
        return [js.__dict__["fetch"].__module__, env.WHO]

    async def add(self, *numbers):
        return sum(numbers)

    async def echo(self, *values):
        return list(values)

    async def call(self, function):
        return await function(20)

    async def back(self, stub):
        return await stub.whose()

    async def adder(self, by):
        return lambda number: number + by

    async def fail(self, kind):
        import js
        raise {"range": js.RangeError, "type": js.TypeError, "value": ValueError}[kind]("no")

    async def later(self):
        self.ctx.waitUntil(self.note())

    async def note(self):
        await asyncio.sleep(5)
        log.append("noted")

    def _hidden(self):
        return 1

    async def mine(self):
        return await self.env.THINGS.getByName("x").whose()
"""
B_TOML = """
[vars]
WHO = "b"
[[durable_objects.bindings]]
name = "THINGS"
class_name = "Thing"
"""
OLD = """
async def on_fetch(request, env):
    return Response(f"old {request.method}")
"""


@pytest.fixture
def here(tmp_path: Path) -> list[Path]:
    """Three Workers, each with `entry`, two with `shared` and `late`, one with a package."""
    b = write(tmp_path / "b", B_TOML, B, shared="VALUE = 'b-shared'\n", late="LATE = 'b-late'\n")
    (b / "src" / "package").mkdir()
    (b / "src" / "package" / "__init__.py").write_text("")
    (b / "src" / "package" / "part.py").write_text("from . import other\nPART = other.OTHER + 1\n")
    (b / "src" / "package" / "other.py").write_text(
        "from shared import VALUE\nOTHER = len(VALUE)\n"
    )
    return [
        write(tmp_path / "a", BINDS, A, shared="VALUE = 'a-shared'\n", late="LATE = 'a-late'\n"),
        b,
        write(tmp_path / "old", "", OLD),
    ]


@virtual
async def test_requests_and_methods_reach_the_other_worker(here: list[Path]) -> None:
    async with together(*here) as a:
        assert await a.fetch("/") == (200, "a a-shared a")
        response = await a.env.B.fetch("http://b/x", method="POST", body="text")
        assert await response.text() == "b b-shared b POST text"
        assert await a.env.B.add(1, 2, 3) == 6
        assert await a.env.B.echo({"a": [1, None]}, b"x", True, deep=1) == [
            {"a": [1, None]},
            b"x",
            True,
            {"deep": 1},
        ]
        assert await a.env.ADMIN.role() == ["root", "b"]
        assert await (await a.env.SELF.fetch("http://a/")).text() == "a a-shared a"
        assert await (await a.env.OLD.fetch("http://old/")).text() == "old GET"


@virtual
async def test_functions_go_both_ways(here: list[Path]) -> None:
    async with together(*here) as a:
        assert await a.env.B.call(lambda number: number + 1) == 21
        add = await a.env.B.adder(2)
        assert await add(5) == 7


@virtual
async def test_errors_arrive_as_from_an_object(here: list[Path]) -> None:
    async with together(*here) as a:
        for kind, expected in (
            ("range", JsRangeError),
            ("type", JsTypeError),
            ("value", JsRangeError),
        ):
            error = await raised(a.env.B.fail(kind))
            assert (type(error), error.message, error.remote) == (expected, "no", True)
        error = await raised(a.env.B.fetch("http://b/fail"))
        assert isinstance(error, JsException)
        assert (error.message, error.remote) == ("no", True)
        error = await raised(a.env.B.nope())
        assert error.message == 'The RPC receiver does not implement the method "nope".'
        error = await raised(a.env.B._hidden())
        assert "does not implement" in error.message
        error = await raised(a.env.OLD.add(1))
        assert "does not support RPC, because it has no class `Default`" in error.message
        with pytest.raises(DataCloneError):
            a.env.B.echo(object())
        with pytest.raises(JsTypeError):
            a.env.B.fetch("/relative")


@virtual
async def test_each_has_its_own_modules_and_variables(here: list[Path]) -> None:
    """Also those that are imported while it runs."""
    before = list(sys.meta_path), list(sys.path)
    async with together(*here) as a:
        assert await a.env.SELF.name() == ["a-shared", "a-late", "entry"]
        name, late, module, *rest = await a.env.B.name()
        assert (name, late, rest) == ("b-shared", "b-late", [True, 9, 8])
        assert module.endswith("/entry")
        assert (await a.env.B.own())[1] == "b"
        b = a.runtime.workers.workers["b"]
        assert sys.modules["entry"] is a.module
        assert sys.modules[module] is b._worker.module
    assert (list(sys.meta_path), list(sys.path)) == before
    assert not [name for name in sys.modules if name == "entry" or "/" in name]


@virtual
async def test_a_class_of_another_worker(here: list[Path]) -> None:
    """I8: the same objects for both, apart from those of a class of the same name."""
    disk = MemoryDisk()
    async with together(*here, store=MemoryStore(disk)) as a:
        assert await a.env.THINGS.getByName("x").whose() == "a"
        assert await a.env.THEIRS.getByName("x").whose() == "b"
        assert await a.env.B.mine() == "b"
        theirs = a.runtime.workers.workers["b"].env.THINGS
        assert theirs.idFromName("x") == a.env.THEIRS.idFromName("x")
        assert theirs.idFromName("x") != a.env.THINGS.idFromName("x")
        await a.env.THEIRS.getByName("x").put(5)
        assert await theirs.getByName("x").get() == 5
    async with together(here[1], store=MemoryStore(disk)) as b:
        assert await b.env.THINGS.getByName("x").get() == 5


@virtual
async def test_a_call_from_an_object(here: list[Path]) -> None:
    """What is called is not part of the object: it may call it, and makes its own chunks."""
    async with together(*here) as a:
        thing = a.env.THINGS.getByName("x")
        assert await thing.ask() == 3
        assert await thing.both() == "a"
        assert await thing.read() == "0,1,2,"


@virtual
async def test_a_socket_comes_through(here: list[Path]) -> None:
    """From an object of the other Worker to whoever asked."""
    write(here[1], B_TOML + '\n[[durable_objects.bindings]]\nname="T"\nclass_name="Talk"\n', TALK)
    async with together(write(here[0], SELF_AND_B, ""), here[1]) as a:
        response = await a.env.B.fetch("http://b/", headers={"Upgrade": "websocket"})
        assert response.status == 101
        peer, wire = response.web_socket.returned(), FakeWire()
        peer.connect(wire)
        await settle()
        peer.received("hello")
        await settle()
        assert wire.got == ["heard hello"]


SELF_AND_B = '[[services]]\nbinding = "B"\nservice = "b"\n'
TALK = """
from js import WebSocketPair

class Thing(DurableObject):
    pass

class Talk(DurableObject):
    async def fetch(self, request):
        client, server = WebSocketPair.new().object_values()
        self.ctx.acceptWebSocket(server)
        return Response(None, status=101, web_socket=client)

    async def webSocketMessage(self, ws, message):
        ws.send(f"heard {message}")

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.T.getByName("a").fetch(request)
"""


@virtual
async def test_what_goes_on_after_an_answer(here: list[Path]) -> None:
    async with together(*here) as a:
        log = a.runtime.workers.workers["b"]._worker.module.log
        await a.env.B.later()
        assert log == []
    assert log == ["noted"]


@virtual
async def test_a_worker_that_has_objects_only(tmp_path: Path) -> None:
    """It needs no handler, as nobody asks it from outside."""
    thing = "class Thing(DurableObject):\n    async def whose(self):\n        return 'b'\n"
    binds = '[[durable_objects.bindings]]\nname = "T"\nclass_name = "Thing"\nscript_name = "b"\n'
    a, b = write(tmp_path / "a", SELF_AND_B + binds, ""), write(tmp_path / "b", "", "")
    (b / "src" / "entry.py").write_text(HEAD + thing)
    async with together(a, b) as first:
        assert await first.env.T.getByName("x").whose() == "b"
        error = await raised(first.env.B.fetch("http://b/"))
        assert error.message == "Handler does not export a fetch() function."


@virtual
async def test_a_kv_namespace_is_shared_by_its_id(tmp_path: Path) -> None:
    toml = '[[kv_namespaces]]\nbinding = "KV"\nid = "shared"\n'
    source = """
    class Default(WorkerEntrypoint):
        async def put(self, value):
            await self.env.KV.put("key", value)
    """
    a = write(tmp_path / "a", f'{toml}\n[[services]]\nbinding = "B"\nservice = "b"\n', source)
    async with together(a, write(tmp_path / "b", toml, source)) as first:
        await first.env.B.put("of b")
        assert await first.env.KV.get("key") == "of b"


@virtual
async def test_two_that_bind_each_other(tmp_path: Path) -> None:
    """A Worker may be bound by those it binds."""
    toml = '[[services]]\nbinding = "OTHER"\nservice = "{}"\n'
    source = """
    class Default(WorkerEntrypoint):
        async def down(self, number):
            return await self.env.OTHER.down(number - 1) + 1 if number else 0
    """
    a = write(tmp_path / "a", toml.format("b"), source)
    b = write(tmp_path / "b", toml.format("a"), source)
    async with together(a, b) as first:
        assert await first.env.OTHER.down(5) == 5


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            '[[services]]\nbinding = "X"\nservice = "c"\n',
            r"a/wrangler.toml: services binding 'X' is of the Worker c, which is not here; there "
            r"are: a, b. Add its directory to the command",
        ),
        (
            '[[services]]\nbinding = "X"\nservice = "b"\nentrypoint = "Nope"\n',
            r"services binding 'X': .*b/src/entry.py has no entrypoint Nope.*: Default, Admin",
        ),
        (
            '[[durable_objects.bindings]]\nname = "X"\nclass_name = "T"\nscript_name = "c"\n',
            r"a/wrangler.toml: durable_objects binding 'X': its class T is of the Worker c, which",
        ),
        (
            '[[durable_objects.bindings]]\nname = "X"\nclass_name = "T"\nscript_name = "b"\n',
            r"b/src/entry.py has no class T, which .*a/wrangler.toml: durable_objects binding 'X'",
        ),
        (
            'vars = { X = 1 }\n[[services]]\nbinding = "X"\nservice = "b"\n',
            r"services: 'X' is also in vars",
        ),
        ('[[services]]\nservice = "b"\n', r"services\[0\].binding: missing"),
    ],
)
@virtual
async def test_bindings_that_lead_nowhere(here: list[Path], toml: str, message: str) -> None:
    a = write(here[0], toml, A)
    with pytest.raises(ConfigError, match=message):
        async with together(a, here[1]):
            raise AssertionError
    assert "workers" not in sys.modules
    assert not [name for name in sys.modules if "/" in name]


@virtual
async def test_two_of_one_name(here: list[Path], tmp_path: Path) -> None:
    other = write(tmp_path / "deep" / "b", "", OLD)
    with pytest.raises(ConfigError, match=r"both name their Worker b. Rename one"):
        async with together(*here, other):
            raise AssertionError


@virtual
async def test_code_of_another_that_cannot_be_imported(here: list[Path]) -> None:
    write(here[1], B_TOML, "import nothing_like_it")
    with pytest.raises(
        ConfigError, match=r"b/src/entry.py:6: ModuleNotFoundError: No module named"
    ):
        async with together(*here):
            raise AssertionError
