"""What the source of the runtime promises about an activation's fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import wakeful

SOURCE = Path(wakeful.__file__).parent


def assignments(tree: ast.AST, within: str = "") -> Iterator[tuple[str, str]]:
    """Where `free` is set: the functions around it, and what it is set to."""
    for node in ast.iter_child_nodes(tree):
        inside = f"{within}.{node.name}" if hasattr(node, "name") else within
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            targets = [node.target]
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Attribute) and part.attr == "free":
                    value = getattr(node, "value", None)
                    yield inside, ast.unparse(value) if value is not None else ""
        named = (
            [arg.value for arg in getattr(node, "args", []) if isinstance(arg, ast.Constant)]
            if isinstance(node, ast.Call)
            else []
        )
        if "free" in named and "setattr" in ast.unparse(node):
            yield inside, ast.unparse(node)
        yield from assignments(node, inside)


def others(source: str) -> list[tuple[str, str]]:
    """Assignments that may make it true, outside of `Activation.refresh`."""
    found = assignments(ast.parse(source))
    return [(at, to) for at, to in found if to != "False" and at != ".Activation.refresh"]


def test_only_refresh_makes_an_activation_free() -> None:
    refreshes = False
    for path in sorted(SOURCE.rglob("*.py")):
        source = path.read_text()
        assert others(source) == [], path
        refreshes |= any(at == ".Activation.refresh" for at, _ in assignments(ast.parse(source)))
    assert refreshes


@pytest.mark.parametrize(
    "line",
    [
        "activation.free = True",
        "activation.free = activation.input.free",
        "activation.free, other = True, 1",
        "activation.free |= True",
        "setattr(activation, 'free', True)",
    ],
)
def test_other_ways_to_make_it_free_would_be_found(line: str) -> None:
    assert others(f"def pump(activation):\n    {line}\n")
    assert not others("def pump(activation):\n    activation.free = False\n")
