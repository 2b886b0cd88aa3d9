"""Which actors a target has, and the one line that says why it has none."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from wakeful.cli.exit_codes import Failure
from wakeful.cli.target import Target
from wakeful.facets.builder import ActorSpec

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(name: str, source: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source))
        return file

    return write


def names(target: str) -> list[str]:
    found = Target.parse(target).load()
    return [actor.name if isinstance(actor, ActorSpec) else actor.__name__ for actor in found]


def failure(target: str) -> Failure:
    with pytest.raises(Failure) as caught:
        Target.parse(target).load()
    assert "\n" not in caught.value.message
    return caught.value


TWO = """\
    from wakeful import Actor, ActorBuilder, DurableObject

    class One(DurableObject):
        async def f(self) -> None: ...

    class Two(Actor):
        async def f(self) -> None: ...

    class _Base(DurableObject):
        pass
    """


def test_file_gives_the_public_actors_it_defines(write: Write) -> None:
    write("shop.py", TWO)
    assert names("shop.py") == ["One", "Two"]


def test_module_is_found_from_the_current_directory(write: Write) -> None:
    write("pkg/shop.py", TWO)
    assert names("pkg.shop") == ["One", "Two"]


def test_names_after_the_colon_choose(write: Write) -> None:
    write("shop.py", TWO)
    assert names("shop.py:Two") == ["Two"]
    write("pkg/shop2.py", TWO)
    assert names("pkg.shop2:Two,_Base") == ["Two", "_Base"]


def test_file_finds_its_neighbours(write: Write) -> None:
    write("deep/prices.py", "PRICE = 3")
    write("deep/shop.py", "from prices import PRICE\n" + dedent(TWO))
    assert names("deep/shop.py") == ["One", "Two"]


def test_imported_actor_counts_only_if_listed(write: Write) -> None:
    write("parts.py", TWO)
    write("plain.py", "from parts import One")
    write("listed.py", "from parts import One, Two\nactors = [Two]")
    write("exported.py", "from parts import One, Two\n__all__ = ['One']")
    found = failure("plain.py")
    assert "plain.py has no actors of its own: One is from parts" in found.message
    assert "actors = [One]" in found.message
    assert names("listed.py") == ["Two"]
    assert names("exported.py") == ["One"]


def test_list_of_actors_is_all_there_is(write: Write) -> None:
    write("shop.py", dedent(TWO) + "actors = (One,)")
    assert names("shop.py") == ["One"]


def test_class_with_a_spec_is_served_by_its_spec_only(write: Write) -> None:
    write("shop.py", dedent(TWO) + "spec = ActorBuilder(Two, 'Renamed').build()\nalias = spec")
    assert names("shop.py") == ["One", "Renamed"]


def test_no_actors_shows_what_one_looks_like(write: Write) -> None:
    write("empty.py", "from wakeful import DurableObject")
    found = failure("empty.py")
    assert found.message == "empty.py has no actors"
    assert "class Counter(DurableObject):" in found.more
    assert found.exit_code == 3


@pytest.mark.parametrize(
    ("target", "message", "code"),
    [
        ("nowhere.py", "there is no file nowhere.py", 2),
        ("", "the target is empty: name a file with actors in it, such as app.py", 2),
        (":Counter", "the target is empty", 2),
        ("x" * 5000, "there is no module 'xxx", 3),
        ("x" * 5000 + ".py", "there is no file xxx", 2),
        ("a\0b", "'a\\x00b' names neither a file nor a module", 2),
        ("a\0b.py", "there is no file a", 2),
        ("pipe.py", "pipe.py is not a Python file", 2),
        ("/dev/null", "/dev/null is not a Python file", 2),
        ("round.py", "there is no file round.py", 2),
        ("src/nowhere", "there is no file src/nowhere", 2),
        ("no-such thing", "'no-such thing' names neither a file nor a module", 2),
        ("shop.py:", "no name follows the colon", 2),
        ("folder", "is a directory: name a file with actors in it, such as folder/app.py", 2),
        ("notes.txt", "notes.txt is not a Python file", 2),
        ("no.such", "there is no module 'no.such' here", 3),
        ("shop.py:Three", "shop.py: Three is not there; its actors: One, Two", 3),
        ("shop.py:Actor", "shop.py: Actor is no actor; its actors: One, Two", 3),
        ("queue.py", "Python has a module named queue already: rename the file", 3),
        ("listed.py", "listed.py: actors[1] is neither an actor class nor a spec: 7", 3),
        ("raises.py", "inner.py:2: ZeroDivisionError: division by zero", 3),
        ("exits.py", "exits.py:1: SystemExit: 5", 3),
        ("syntax.py", "syntax.py:2: SyntaxError: '(' was never closed", 3),
        ("missing.py", "missing.py:1: ModuleNotFoundError: No module named 'nowhere_at_all'", 3),
        ("folder/app.py", "(in a package, name the module: folder.app)", 3),
        ("sync.py", "sync.py:3: Bad.get must be `async def`", 3),
        ("handles.py", "handles.py:2: Bad handles no messages", 3),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    write: Write, target: str, message: str, code: int
) -> None:
    write("shop.py", TWO)
    folder = write("folder/app.py", "from . import x").parent.parent
    os.mkfifo(folder / "pipe.py")
    (folder / "round.py").symlink_to("round.py")
    write("notes.txt", "")
    write("queue.py", TWO)
    write("listed.py", dedent(TWO) + "actors = [One, 7]")
    write("inner.py", "\n1 / 0")
    write("raises.py", "import inner")
    write("exits.py", "raise SystemExit(5)")
    write("syntax.py", "\nprint(")
    write("missing.py", "import nowhere_at_all")
    write("sync.py", "from wakeful import Actor\n\nclass Bad(Actor):\n    def get(self): ...")
    write("handles.py", "from wakeful import ActorBehavior\nclass Bad(ActorBehavior): ...")
    found = failure(target)
    assert message in found.message
    assert found.exit_code == code


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_directory_that_cannot_be_read_is_said(write: Write) -> None:
    folder = write("folder/app.py", TWO).parent
    folder.chmod(0)
    try:
        assert failure("folder").message == "folder cannot be read: Permission denied"
    finally:
        folder.chmod(0o700)


def test_traceback_is_shown_on_request(write: Write) -> None:
    write("inner.py", "\n1 / 0")
    write("raises.py", "import inner")
    with pytest.raises(Failure) as caught:
        Target.parse("raises.py").load(traceback=True)
    assert caught.value.more.startswith("Traceback (most recent call last):")
    assert "import inner" in caught.value.more
