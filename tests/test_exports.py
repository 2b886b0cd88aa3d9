"""`import wakeful` gives the public API: documented, importable, and not a name more."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import wakeful
from wakeful.http.problems import explanations


@pytest.mark.parametrize("name", wakeful.__all__)
def test_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(wakeful, name))


@pytest.mark.parametrize("name", wakeful.__all__)
def test_public_methods_are_documented(name: str) -> None:
    value = getattr(wakeful, name)
    if not inspect.isclass(value):
        return
    for member, method in vars(value).items():
        if inspect.isfunction(method) and not member.startswith("_"):
            assert inspect.getdoc(method), f"{name}.{member}"


def test_nothing_else_is_public() -> None:
    ours = {
        name
        for name, value in vars(wakeful).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("wakeful")
    }
    assert ours <= set(wakeful.__all__)


def test_every_error_with_a_code_can_be_imported() -> None:
    codes = explanations(wakeful.WakefulError)
    ours = {
        code: cls for code, cls in codes.items() if cls.__module__.partition(".")[0] == "wakeful"
    }
    assert {code: getattr(wakeful, cls.__name__, None) for code, cls in ours.items()} == ours


def test_import_is_quiet_and_starts_nothing() -> None:
    code = (
        "import wakeful, threading, asyncio, sys;"
        "assert threading.active_count() == 1;"
        "assert 'unittest' not in sys.modules and 'pytest' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_import_without_use_loads_nothing_of_ours() -> None:
    """pytest imports the plugin of every package that has one: each run of it would pay."""
    code = (
        "import pytest, sys;"
        "import wakeful.testing.pytest_plugin;"
        "print(sorted(n for n in sys.modules if n.partition('.')[0] in ('wakeful', 'msgspec')))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert loaded == "['wakeful', 'wakeful.testing', 'wakeful.testing.pytest_plugin']\n"


def test_public_names_are_what_type_checkers_are_told() -> None:
    tree = ast.parse(Path(wakeful.__file__).read_text())
    told = {
        alias.name: getattr(import_module(node.module or ""), alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == {name: getattr(wakeful, name) for name in wakeful.__all__}
    assert set(dir(wakeful)) >= set(told)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        wakeful.Nothing  # noqa: B018


def test_every_error_users_may_meet_has_a_common_base() -> None:
    errors = [getattr(wakeful, n) for n in wakeful.__all__ if n.endswith(("Error", "Failed"))]
    assert errors
    assert all(issubclass(error, wakeful.WakefulError) for error in errors)
