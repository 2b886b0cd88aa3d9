"""Every Python block in the documentation runs, in order, page by page."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: Path) -> list[str]:
    """The page's Python blocks, at the line numbers they have in it."""
    text = page.read_text()
    return [
        "\n" * text[: match.start(1)].count("\n") + match.group(1) for match in BLOCK.finditer(text)
    ]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A module for the page's names, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    page = types.ModuleType("docs_page")
    sys.modules["docs_page"] = page
    yield page
    del sys.modules["docs_page"]


async def run(page: Path, names: dict[str, object]) -> None:
    for source in blocks(page):
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, str(page), "exec", flags=flags, dont_inherit=True)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            await result


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page: Path, module: types.ModuleType) -> None:
    asyncio.run(run(page, vars(module)))
