"""No module imports another that imports it: a circle can only be understood as a whole.

Python runs a circle, if the imports come in a lucky order. A circle of annotations (`if
TYPE_CHECKING`) runs always; in the runtime there is none of these either.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = Path(__file__).parents[1] / "src"
Graph = dict[str, set[str]]


def sources() -> dict[str, str]:
    """The package's modules by name."""
    found = {}
    for path in sorted((SOURCE / "wakeful").rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path.read_text()
    return found


def statements(body: Iterable[ast.stmt], *, annotations: bool) -> Iterator[ast.stmt]:
    """What runs at import; or what a type checker reads as well."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            typing = "TYPE_CHECKING" in ast.unparse(node.test)
            if annotations or not typing:
                yield from statements(node.body, annotations=annotations)
            yield from statements(node.orelse, annotations=annotations)
        elif isinstance(node, ast.Try | ast.With):
            yield from statements(node.body, annotations=annotations)


def imports(source: str, modules: Iterable[str], *, annotations: bool) -> set[str]:
    """Which of the modules a module imports."""
    known, found = set(modules), set()
    for node in statements(ast.parse(source).body, annotations=annotations):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module or "")
    return found & known


def graph(modules: Mapping[str, str], *, annotations: bool) -> Graph:
    return {
        name: imports(source, modules, annotations=annotations) for name, source in modules.items()
    }


def circles(edges: Graph) -> list[list[str]]:
    """The modules that reach themselves, those of one circle together."""
    reached = {name: _reached(edges, name) for name in edges}
    rings = {
        frozenset({name, *(it for it in found if name in reached[it])})
        for name, found in reached.items()
        if name in found
    }
    return sorted(sorted(ring) for ring in rings)


def _reached(edges: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += edges[name]
    return found


def test_nothing_is_imported_in_a_circle() -> None:
    assert circles(graph(sources(), annotations=False)) == []


def test_annotations_of_the_runtime_are_not_circular_either() -> None:
    runtime = {name: text for name, text in sources().items() if name.startswith("wakeful.runtime")}
    assert circles(graph(runtime, annotations=True)) == []


A: Final = "from pack import b"
B: Final = "import pack.c"


@pytest.mark.parametrize(
    ("modules", "found"),
    [
        ({"pack.a": A, "pack.b": B, "pack.c": ""}, []),
        ({"pack.a": A, "pack.b": "from pack.a import X"}, [["pack.a", "pack.b"]]),
        ({"pack.a": "import pack.a"}, [["pack.a"]]),
        (
            {"pack.a": A, "pack.b": B, "pack.c": "try:\n from pack.a import X\nfinally: pass"},
            [["pack.a", "pack.b", "pack.c"]],
        ),
        ({"pack.a": A, "pack.b": "def f():\n import pack.a"}, []),
        ({"pack.a": A, "pack.b": "if TYPE_CHECKING:\n from pack.a import X"}, []),
    ],
)
def test_circle_is_found(modules: dict[str, str], found: list[list[str]]) -> None:
    assert circles(graph(modules, annotations=False)) == found


def test_circle_of_annotations_is_found() -> None:
    modules = {"pack.a": A, "pack.b": "if TYPE_CHECKING:\n from pack.a import X"}
    assert circles(graph(modules, annotations=True)) == [["pack.a", "pack.b"]]
