"""Where the classes of a Worker may come from: row I20, and what the rules say of modules."""

from pathlib import Path

import pytest
from tests.workers.running import running, virtual

SIBLING = """
from workers import DurableObject

class Thing(DurableObject):
    def hello(self):
        return type(self).__name__
"""
EXPORTS = {
    "from sibling import Thing": "Thing",
    "from sibling import Thing as Other\nThing = Other\n__all__ = ['Default']": "Thing",
    "from package.deep import Thing\nimport entry": "Thing",
    "Thing = type('Made', (DurableObject,), {'hello': lambda self: 'by type()'})": "by type()",
    "def make():\n    import sibling\n    class Local(sibling.Thing): ...\n    return Local\n"
    "Thing = make()": "Local",
    "class Meta(type):\n    def __call__(cls, *given):\n        return super().__call__(*given)\n"
    "class Thing(__import__('sibling').Thing, metaclass=Meta):\n"
    "    def __new__(cls, ctx, env):\n        return object.__new__(cls)": "Thing",
}


@pytest.mark.parametrize(("source", "answer"), EXPORTS.items(), ids=range(len(EXPORTS)))
def test_a_class_may_come_from_anywhere(source: str, answer: str, tmp_path: Path) -> None:
    """I20, 3.5: what counts is that the main module has it under the name that is bound."""

    @virtual
    async def test() -> None:
        package = tmp_path / "worker" / "src" / "package"
        package.mkdir(parents=True)
        (package.parent / "sibling.py").write_text(SIBLING)
        (package / "deep.py").write_text("from sibling import Thing")
        async with running(tmp_path, source) as worker:
            assert await worker.stub().hello() == answer

    test()
