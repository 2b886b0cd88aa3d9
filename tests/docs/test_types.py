"""The examples of the documentation pass mypy --strict and pyright."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.test_examples import BLOCK, PAGES, ROOT

PYRIGHT_SETTINGS = '{"typeCheckingMode": "standard", "pythonVersion": "3.11"}'


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each page as a module: one async function, whose lines have the page's numbers."""
    directory = tmp_path_factory.mktemp("typed")
    for page in PAGES:
        if (source := as_function(page.read_text())) is not None:
            (directory / f"{page.stem.lower()}_md.py").write_text(source)
    (directory / "pyrightconfig.json").write_text(PYRIGHT_SETTINGS)
    return directory


def as_function(text: str) -> str | None:
    lines = [""] * (text.count("\n") + 2)
    lines[0] = "async def page() -> None:"
    for match in BLOCK.finditer(text):
        start = text[: match.start(1)].count("\n")
        for number, line in enumerate(match.group(1).splitlines(), start):
            lines[number] = f"    {line}" if line.strip() else ""
    return "\n".join(lines) + "\n" if any(lines[1:]) else None


def check(*command: str, directory: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", *command], cwd=directory, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_examples_pass_mypy_strict(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPYPATH", str(ROOT / "src"))
    cache = ROOT / ".mypy_cache" / "docs"
    check("mypy", "--strict", f"--cache-dir={cache}", ".", directory=modules)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_examples_pass_pyright(modules: Path) -> None:
    check("basedpyright", f"--pythonpath={sys.executable}", ".", directory=modules)


def test_a_wrong_call_would_be_found(modules: Path, tmp_path: Path) -> None:
    """The checkers see the types of the package: a method that is not there is an error."""
    page = tmp_path / "wrong.py"
    page.write_text(
        "from wakeful import DurableObject, Runtime\n"
        "class A(DurableObject):\n"
        "    async def m(self) -> int:\n"
        "        return 1\n"
        "async def go(rt: Runtime) -> None:\n"
        "    await rt.get(A, 'a').n()\n"
    )
    (tmp_path / "pyrightconfig.json").write_text(PYRIGHT_SETTINGS)
    with pytest.raises(AssertionError, match='attribute "n"'):
        check("basedpyright", f"--pythonpath={sys.executable}", ".", directory=tmp_path)
