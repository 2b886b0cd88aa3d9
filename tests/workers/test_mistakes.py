"""What newcomers get wrong in a Worker: the error says what it is, or what to write."""

from pathlib import Path

import pytest
from tests.workers.running import raised, running, virtual

MISTAKES = """
class Thing(DurableObject):
    async def forgets(self):
        return self.ctx.storage.get("n") + 1

    async def unbound(self):
        return await self.env.KV.get("n")

    async def asks(self):
        return self.env.get("KV")

    async def answers(self):
        return workers.Response({"a": 1})

    async def counts(self):
        other = self.env.OBJECT.get(self.env.OBJECT.idFromName("other"))
        return workers.Response.json({"counts": [1, other.forgets()]})

    async def late(self):
        late = self.forgets()
        try:
            return workers.Response.json({"n": late})
        finally:
            late.close()

    async def fetch(self, request):
        return {"a": 1}

class Plain(DurableObject):
    def __init__(self, ctx, env):
        pass

    def use(self):
        return self.ctx
"""

NOT_AWAITED = "a call in the data was not awaited: write await before it"


def notes(error: BaseException | None) -> list[str]:
    found: list[str] = []
    while error is not None:
        found.extend(getattr(error, "__notes__", ()))
        error = error.__cause__
    return found


@virtual
async def test_what_goes_wrong_is_said(tmp_path: Path) -> None:
    async with running(tmp_path, MISTAKES) as worker:
        stub = worker.stub()
        error = await raised(stub.forgets())
        assert error.message == "unsupported operand type(s) for +: 'Promise' and 'int'"
        error = await raised(stub.unbound())
        assert error.message == "env has no 'KV': the configuration of the Worker binds OBJECT"
        error = await raised(stub.asks())
        assert error.message.endswith('OBJECT. It is no dict: write getattr(env, "NAME", None)')
        error = await raised(stub.answers())
        assert notes(error) == ["Response.json(data) makes a response of data"]
        error = await raised(stub.counts())
        assert error.message == "Object of type Pending is not JSON serializable"
        assert NOT_AWAITED in notes(error)
        assert NOT_AWAITED in notes(await raised(stub.late()))
        error = await raised(stub.fetch("http://h/"))
        assert notes(error) == ["fetch has returned dict: return a Response"]
        assert repr(stub.forgets()) == "<the answer to a call: await it>"
        plain = worker.module.Plain(None, None)
        with pytest.raises(AttributeError, match=r"must call super\(\).__init__\(ctx, env\)"):
            plain.use()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("class Thing:\n    pass\n", True),
        ("class Thing(DurableObject):\n    def __init__(self):\n        pass\n", True),
        ("class Thing:\n    def __init__(self, ctx, env):\n        1 + ctx\n", False),
    ],
)
def test_a_constructor_that_cannot_be_called_is_explained(
    source: str, told: bool, tmp_path: Path
) -> None:
    @virtual
    async def test() -> None:
        async with running(tmp_path, source) as worker:
            error = await raised(worker.stub().fetch("http://h/"))
            assert any("derives from workers.DurableObject" in n for n in notes(error)) is told

    test()
