"""An install without the extra `workers`: actors need nothing of it, and Workers say what to do."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx2
import pytest
from tests.cli.conftest import Launch

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "worker_counter"
HINT = 'pip install "wakeful[workers]"'


def modules_of_the_extra() -> list[str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=;\[ ]", line)[0] for line in extras["optional-dependencies"]["workers"]}
    return sorted(
        module for module, owners in packages_distributions().items() if names & set(owners)
    )


NOT_INSTALLED = f"""
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules_of_the_extra()}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


def test_the_extra_has_modules() -> None:
    assert "greenlet" in modules_of_the_extra()


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_actors_are_served(launch: Launch, app: Path, client: httpx2.Client, command: str) -> None:
    server = launch(command, app, "--port", "0", before=NOT_INSTALLED)
    increment = f"{server.url()}/actors/Counter/a/increment"

    assert [client.post(increment).json() for _ in range(2)] == [1, 2]
    assert server.interrupt() == 0


@pytest.mark.parametrize(
    "args",
    [
        ("dev", "worker"),
        ("d1", "execute", "worker", "shop", "--command", "SELECT 1"),
    ],
)
def test_a_worker_says_what_to_install(
    launch: Launch, tmp_path: Path, args: tuple[str, ...]
) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "worker")
    refused = launch(*args, before=NOT_INSTALLED)

    assert refused.wait() == 3
    assert re.fullmatch(rf"error: .*{re.escape(HINT)}.*", refused.err.rest())


def test_code_for_actors_imports_nothing_of_workers() -> None:
    code = f"""{NOT_INSTALLED}
import wakeful.node, wakeful.testing.harness, wakeful.cli.serve, wakeful.cli.dev, wakeful.cli.actors
assert [name for name in sys.modules if name.startswith("wakeful.workers")] == []
try:
    import wakeful.worker_node
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert HINT in done.stdout
