"""How classes of a Worker may be written: conformance rows I14, I15, I19; old-style handlers."""

from pathlib import Path

from tests.workers.running import methods, raised, running, virtual

from wakeful.workers.bindings.schedule import ScheduledController

CLASSES = """
made = []

class Mixin:
    def mixed(self):
        return "mixed"

class Base(DurableObject):
    def __init__(self, state, environment):
        super().__init__(state, environment)
        made.append("base")

    def inherited(self):
        return [type(self.ctx).__name__, type(self.env).__name__]

class Thing(Mixin, Base):
    def __init__(self, state, environment):
        super().__init__(state, environment)
        made.append("thing")

    async def own(self, value):
        return type(value).__name__, value

    async def give(self):
        return (1, 2)

    async def fetch(self, request):
        first = await request.text()
        try:
            await request.text()
        except OSError as error:
            return Response(f"{first}: {error}")

"""
OLD = """
async def on_fetch(request, env, ctx):
    ctx.waitUntil(env.OBJECT.getByName("a").inherited())
    return Response(f"old {request.url}")
"""


@virtual
async def test_mixins_and_inheritance(tmp_path: Path) -> None:
    """I15."""
    async with running(tmp_path, CLASSES) as worker:
        stub = worker.stub()
        assert await stub.mixed() == "mixed"
        assert await stub.inherited() == ["DurableObjectState", "Env"]
        assert worker.module.made == ["base", "thing"]


@virtual
async def test_results_that_cannot_be_sent(tmp_path: Path) -> None:
    """I14: the caller hears of it, the object goes on."""
    async with running(tmp_path, CLASSES) as worker:
        stub = worker.stub()
        assert isinstance(await raised(stub.give()), TypeError)
        assert isinstance(await raised(stub.own(5)), TypeError)
        assert await stub.mixed() == "mixed"


@virtual
async def test_a_body_is_read_once(tmp_path: Path) -> None:
    """I19."""
    async with running(tmp_path, CLASSES) as worker:
        response = await worker.stub().fetch("http://h/", method="POST", body="text")
        assert await response.text() == "text: Body already used"


@virtual
async def test_old_style_handlers(tmp_path: Path) -> None:
    async with running(tmp_path, CLASSES, default=OLD) as worker:
        assert await worker.fetch("/path?x=1") == (200, "old http://h/path?x=1")


@virtual
async def test_a_handler_must_answer_with_a_response(tmp_path: Path) -> None:
    source = "class Thing(DurableObject):\n    async def fetch(self):\n        return 'text'\n"
    async with running(tmp_path, source) as worker:
        error = await raised(worker.stub().fetch("http://h/"))
        assert "did not resolve to 'Response'" in error.message


OLD_OBJECT = """
class Thing(DurableObject):
    def __init__(self, state, env):
        self.state = state

    async def on_fetch(self, request, env, ctx):
        import js
        same = ctx is self.state and env.OBJECT is not None
        return js.Response.new(f"{request.method} {request.js_name} {same}")
"""


@virtual
async def test_an_object_whose_handler_is_named_as_of_old(tmp_path: Path) -> None:
    async with running(tmp_path, OLD_OBJECT) as worker:
        response = await worker.stub().fetch("http://h/")
        assert await response.text() == "GET Request True"
        assert "does not implement" in str(await raised(worker.stub().on_fetch()))


OLD_DEFAULT = """
class Default(WorkerEntrypoint):
    async def on_fetch(self, request, env, ctx):
        same = env.OBJECT is self.env.OBJECT and ctx is self.ctx
        data = (await request.json()).to_py()
        return Response(f"{request.method} {data['a']} {request.js_name} {same}")

    async def on_scheduled(self, controller):
        log.append(controller.cron)
"""


@virtual
async def test_an_entrypoint_whose_handlers_are_named_as_of_old(tmp_path: Path) -> None:
    more = '[triggers]\ncrons = ["0 * * * *"]\n'
    async with running(tmp_path, methods("pass"), default=OLD_DEFAULT, more=more) as worker:
        assert await worker.fetch("/", method="POST", body='{"a": 1}') == (
            200,
            "POST 1 Request True",
        )
        await worker.runtime.worker.scheduled(ScheduledController("0 * * * *", 5))
        assert worker.log == ["0 * * * *"]


BOTH = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"new {request.js_object.js_name}")

    async def on_fetch(self, request):
        return Response("old")
"""


@virtual
async def test_an_entrypoint_with_both_handlers_uses_the_new_one(tmp_path: Path) -> None:
    async with running(tmp_path, methods("pass"), default=BOTH) as worker:
        assert await worker.fetch("/") == (200, "new Request")
