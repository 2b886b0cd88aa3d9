"""The tests that docs/testing.md shows pass, as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import wakeful.testing.harness
import wakeful.testing.virtual_run
import wakeful.testing.worker_harness  # noqa: F401  (imported once, not anew in the run)

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
FILE = re.compile(r"^```python\n# (test_\w+)\.py\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_shown_tests_pass(pytester: pytest.Pytester) -> None:
    shown = dict(FILE.findall((ROOT / "docs" / "testing.md").read_text()))
    shutil.copytree(
        ROOT / "examples" / "worker_counter", pytester.path / "examples" / "worker_counter"
    )
    pytester.makepyfile(**shown)
    result = pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:anyio", "-W", "error")

    assert sorted(shown) == ["test_counter", "test_lamp"]
    result.assert_outcomes(passed=5)
