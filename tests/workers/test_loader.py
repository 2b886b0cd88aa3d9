"""Loading a Worker: its modules, its classes, and that nothing of it stays behind."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.workers.environments import Recorded

from wakeful.errors import ConfigError
from wakeful.workers.code.loader import LoadedWorker, loaded
from wakeful.workers.code.renamed_modules import loaded_renamed
from wakeful.workers.config.wrangler import read_config
from wakeful.workers.shims.workers_module import shim_modules

ENTRY = """\
from workers import DurableObject, Response, WorkerEntrypoint, env
from pyodide.ffi import to_js
import asgi
import js
import workers.workflows

from objects import Counter
from vendored.deep import VALUE

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        from late import LATE
        return Response(LATE)
"""

FILES = {
    "src/entry.py": ENTRY,
    "src/objects.py": "from workers import DurableObject\n\nclass Counter(DurableObject): ...\n",
    "src/late.py": "LATE = 'late'\n",
    "python_modules/vendored/__init__.py": "",
    "python_modules/vendored/deep.py": "VALUE = 1\n",
}

CONFIG = """
name = "counter"
main = "src/entry.py"
[[durable_objects.bindings]]
name = "COUNTERS"
class_name = "Counter"
"""

Load = Callable[..., AbstractContextManager[LoadedWorker]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a Worker of these files, or of some others in their place."""

    def load(files: dict[str, str] | None = None, config: str = CONFIG) -> object:
        for name, text in {**FILES, **(files or {}), "wrangler.toml": config}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return loaded(read_config(tmp_path), shim_modules(Recorded().environment))

    return load  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def _leaves_nothing_behind() -> object:
    path, modules = list(sys.path), dict(sys.modules)
    yield
    assert sys.path == path
    new = {name.partition(".")[0] for name in sys.modules if name not in modules}
    assert new <= sys.stdlib_module_names  # which stay where they are
    assert all(sys.modules[name] is module for name, module in modules.items())


async def test_worker_is_imported_with_all_it_has(load: Load, tmp_path: Path) -> None:
    with load() as worker:
        assert worker.module.__name__ == "entry"
        assert worker.module.__file__ == str((tmp_path / "src/entry.py").resolve())
        assert worker.default is not None
        assert worker.classes["Counter"].cls is worker.module.Counter
        assert (worker.module.VALUE, worker.handlers) == (1, {})
        assert sys.modules["workers"].Response is worker.module.Response
        response = await worker.module.Default("ctx", "env").fetch(None)
        assert await response.text() == "late"
    assert "workers" not in sys.modules
    assert "entry" not in sys.modules


def test_a_second_load_sees_changed_files(load: Load) -> None:
    with load() as first:
        assert first.module.VALUE == 1
    with load({"python_modules/vendored/deep.py": "VALUE = 22\n"}) as second:
        assert second.module.VALUE == 22
        assert second.classes["Counter"].cls is not first.classes["Counter"].cls


def test_modules_of_others_are_kept_aside(load: Load) -> None:
    other = type(sys)("objects")
    below = type(sys)("objects.below")
    sys.modules.update({"objects": other, "objects.below": below})
    try:
        with load() as worker:
            assert sys.modules["objects"] is not other
            assert worker.classes["Counter"].cls.__module__ == "objects"
        assert sys.modules["objects"] is other
        assert sys.modules["objects.below"] is below
    finally:
        del sys.modules["objects"], sys.modules["objects.below"]


def test_a_virtual_environment_in_the_source_directory_is_not_the_workers(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "src" / ".venv" / "site-packages"
    site.mkdir(parents=True)
    (site / "late_library.py").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(site.resolve())])
        with load({"src/late.py": "import late_library\n"}), pytest.MonkeyPatch.context():
            __import__("late")
        assert "late_library" in sys.modules
    del sys.modules["late_library"]


def test_one_worker_at_a_time(load: Load) -> None:
    with load(), pytest.raises(ConfigError, match="another Worker is"), load():
        pass


def test_old_style_handlers(load: Load) -> None:
    entry = "from objects import Counter\nasync def on_fetch(request, env): ...\n"
    with load({"src/entry.py": entry}) as worker:
        assert worker.default is None
        assert list(worker.handlers) == ["fetch"]


def test_a_file_named_asgi_comes_before_the_module(load: Load) -> None:
    entry = "import asgi, wsgi, workers.asgi\nfrom objects import Counter\ndef on_fetch(): ...\n"
    own = {"src/entry.py": entry, "src/asgi.py": "MINE = 1", "src/workers.py": "MINE = 2"}
    own["python_modules/wsgi.py"] = "MINE = 3"
    with load(own) as worker:
        assert worker.module.asgi.MINE == 1
        assert not hasattr(worker.module.workers, "MINE")
        assert not hasattr(worker.module.wsgi, "MINE")


WASM = {
    "python_modules/pytest/__init__.py": "VENDORED = True",
    "python_modules/built/__init__.py": "from . import _built",
    "python_modules/pure/__init__.py": "VALUE = 1",
}


@pytest.mark.parametrize("beside", [False, True])
def test_installed_packages_come_before_those_for_webassembly(
    tmp_path: Path, *, beside: bool
) -> None:
    entry = "from objects import Counter\nimport pytest, pure\ndef on_fetch(): ...\n"
    for name, text in {**FILES, **WASM, "wrangler.toml": CONFIG, "src/entry.py": entry}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def load() -> AbstractContextManager[LoadedWorker]:
        shims = shim_modules(Recorded().environment)
        config = read_config(tmp_path)
        return loaded_renamed(config, shims, {}) if beside else loaded(config, shims)

    if beside:  # where both are pure, the vendored one counts
        with load() as worker:
            assert worker.module.pytest.VENDORED
    (tmp_path / "python_modules" / "built" / "_built.so").write_bytes(b"\0asm\1\0\0\0")
    with load() as worker:
        assert (worker.module.pytest, worker.module.pure.VALUE) == (pytest, 1)
    (tmp_path / "src" / "entry.py").write_text(f"import built\n{entry}")
    told = r"entry\.py:1: ImportError: .*python_modules has built built for Cloudflare's Python"
    with pytest.raises(ConfigError, match=told), load():
        pass


def test_the_directory_of_the_main_module_is_no_package(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [path for path in sys.path if not (Path(path) / "src").is_dir()]
    monkeypatch.setattr(sys, "path", others)
    told = r"No module named 'src'\. The path begins in src: write `import x` for `import src\.x`"
    with pytest.raises(ConfigError, match=told), load({"src/entry.py": "import src.objects"}):
        pass


def test_the_first_name_of_workers_leads_to_it(load: Load) -> None:
    entry = "from cloudflare.workers import Response\nfrom objects import Counter\n"
    entry += "import workers\ndef on_fetch(): ...\n"
    with load({"src/entry.py": entry}) as worker:
        assert worker.module.Response is worker.module.workers.Response
    assert "cloudflare" not in sys.modules
    own = {"src/entry.py": entry, "python_modules/cloudflare/__init__.py": ""}
    with pytest.raises(ConfigError, match=r"named 'cloudflare\.workers'"), load(own):
        pass


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("x = 1", r"src/entry\.py has no `Default` to handle requests\. Write `class Default"),
        ("class Default: ...", r"`Default` does not derive from WorkerEntrypoint\. Write"),
        (
            "from workers import *\nclass Default(WorkerEntrypoint): ...\n"
            "class Other(DurableObject): ...",
            r"src/entry\.py has no class Counter, which .*wrangler\.toml binds as COUNTERS\. "
            r"Its Durable Object classes: Other\.",
        ),
        (
            "from workers import *\nclass Default(WorkerEntrypoint): ...\nCounter = 5",
            r"Counter is not a class",
        ),
        (
            "from workers import *\nclass Default(WorkerEntrypoint): ...\nCounter = Default",
            r"Counter is a WorkerEntrypoint, and .* as a Durable Object",
        ),
        ("\nimport nothing_there", r"src/entry\.py:2: ModuleNotFoundError: No module named"),
        ("def f(:", r"src/entry\.py:1: SyntaxError"),
        ("raise SystemExit(3)", r"src/entry\.py:1: SystemExit: 3"),
        (
            "from workers.htmlrewriter import HTMLRewriter",
            r"entry\.py:1: ImportError: workers\.htmlrewriter\.HTMLRewriter: wakeful does not",
        ),
        (
            "import no_such_package.deep",
            r"entry\.py:1: ModuleNotFoundError: No module named 'no_such_package'\. If it is a "
            r"package, install it where wakeful is",
        ),
        ("from .objects import Counter", r"in no package: write `import x` for `from \. import x`"),
        ("import objects.nothing", r"No module named 'objects\.nothing'[^.]*$"),
        ("import workers.gateway", r"No module named 'workers.gateway'"),
        ("from js import document", r"cannot import name 'document' from 'js'"),
    ],
)
def test_what_is_wrong_is_named(load: Load, entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message), load({"src/entry.py": entry}):
        pass


def test_a_class_in_exports_must_be_there_too(load: Load) -> None:
    config = CONFIG + '[exports.Two]\ntype = "durable-object"\n'
    with (
        pytest.raises(ConfigError, match=r"no class Two, which .* lists in exports"),
        load(config=config),
    ):
        pass


def test_plain_classes_may_be_bound(load: Load) -> None:
    entry = "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint): ...\n"
    with load({"src/entry.py": entry + "class Counter: ..."}) as worker:
        assert not worker.classes["Counter"].supports_rpc


def test_main_module_with_the_name_of_one_of_pythons(load: Load) -> None:
    config = CONFIG.replace("src/entry.py", "src/json.py")
    with pytest.raises(ConfigError, match="Rename the file"), load({"src/json.py": ""}, config):
        pass
