"""Limits on the size and shape of the source, so that each file can be read in one sitting.

A rule takes a module and yields what breaks it: where, how much, and how much is allowed. Each rule
has a snippet that it must catch and, where the border is worth showing, one that it must let pass.
`RATCHET` lists what is over a limit today; an entry may only shrink, and goes when it is met.
"""

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from tests import module_map

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "src" / "wakeful"

RATCHET: Final[dict[tuple[str, str], int]] = {}  # (rule, where) -> amount


class Offence(NamedTuple):
    where: str
    amount: int = 1
    limit: int = 0


@dataclass(frozen=True)
class Module:
    path: str  # below src/wakeful, with slashes: "core/gates.py"
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def in_core(self) -> bool:
        return self.path.startswith("core/")


FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[Module], Iterator[Offence]]


# --- looking at a module ---------------------------------------------------------------------


def functions(module: Module) -> Iterator[tuple[str, FunctionNode]]:
    """Every function of a module with a name to report it by: `core/gates.py:Gate.offer`."""

    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, FunctionNode]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield f"{module.path}:{name}", child
                yield from below(child, f"{name}.")
            else:
                yield from below(child, prefix)

    return below(module.tree, "")


def positional(function: FunctionNode) -> list[ast.arg]:
    """The parameters a caller may give by position; `self` and `cls` are not given by callers."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    return arguments[1:] if arguments and arguments[0].arg in ("self", "cls") else arguments


def module_level(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements that run at import, also those below a module-level `if` or `try`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from module_level(child)


# --- the rules -------------------------------------------------------------------------------


def module_lines(module: Module) -> Iterator[Offence]:
    """A module has at most 500 lines, in the core 350."""
    limit = 350 if module.in_core else 500
    lines = len(module.source.splitlines())
    if lines > limit:
        yield Offence(module.path, lines, limit)


def function_lines(module: Module) -> Iterator[Offence]:
    """A function has at most 60 lines."""
    for where, function in functions(module):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > 60:
            yield Offence(where, lines, 60)


def positional_parameters(module: Module) -> Iterator[Offence]:
    """A function takes at most five positional parameters; the others are named by the caller."""
    for where, function in functions(module):
        if len(positional(function)) > 5:
            yield Offence(where, len(positional(function)), 5)


def public_methods(module: Module) -> Iterator[Offence]:
    """A class has at most 20 public methods."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            methods = {
                child.name
                for child in node.body
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                and not child.name.startswith("_")
            }
            if len(methods) > 20:
                yield Offence(f"{module.path}:{node.name}", len(methods), 20)


BLOCKS: Final = (
    *(ast.If, ast.For, ast.AsyncFor, ast.While),
    *(ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match),
)


def nesting(module: Module) -> Iterator[Offence]:
    """Blocks nest at most three deep in a function; an `elif` is as deep as its `if`."""

    def depth(node: ast.AST, level: int) -> int:
        deepest = level
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            elif_ = isinstance(node, ast.If) and node.orelse == [child]
            deeper = isinstance(child, BLOCKS) and not (elif_ and isinstance(child, ast.If))
            deepest = max(deepest, depth(child, level + deeper))
        return deepest

    for where, function in functions(module):
        if (deepest := depth(function, 0)) > 3:
            yield Offence(where, deepest, 3)


def any_in_core(module: Module) -> Iterator[Offence]:
    """The core never says `Any`."""
    if module.in_core:
        for node in ast.walk(module.tree):
            name = getattr(node, "id", None) or getattr(node, "attr", None)
            if isinstance(node, ast.Name | ast.Attribute) and name == "Any":
                yield Offence(f"{module.path}:{node.lineno}")


def required_packages() -> set[str]:
    """The import names of what `pip install wakeful` brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = (re.match(r"[A-Za-z0-9_-]+", line) for line in project["dependencies"])
    return {match[0].lower().replace("-", "_") for match in found if match}


def local_imports(module: Module) -> Iterator[Offence]:
    """Imports stand at the top, except in `cli` (start-up time) and for optional packages."""
    if module.path.startswith("cli/"):
        return
    present = {"", "wakeful", *sys.stdlib_module_names, *required_packages()}
    for where, function in functions(module):
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = ["" if node.level else node.module or ""]
            else:
                continue
            if present.intersection(name.partition(".")[0] for name in names):
                yield Offence(f"{where}:{node.lineno}")


def root_imports(module: Module) -> Iterator[Offence]:
    """Modules import each other, not the package's public face, which would tie one big cycle."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            bad = any(alias.name == "wakeful" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "wakeful" and not node.level:
            paths = [PACKAGE / alias.name for alias in node.names]
            bad = not all(path.is_dir() or path.with_suffix(".py").exists() for path in paths)
        else:
            continue
        if bad:
            yield Offence(f"{module.path}:{node.lineno}")


def boolean_positionals(module: Module) -> Iterator[Offence]:
    """A boolean is named by the caller: `f(x, unconfirmed=True)`, never `f(x, True)`."""
    for where, function in functions(module):
        defaults = function.args.defaults
        if any(isinstance(d, ast.Constant) and isinstance(d.value, bool) for d in defaults):
            yield Offence(where)


MUTABLE: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_CALLS: Final = frozenset(
    {"list", "dict", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter"}
)


def is_mutable(value: ast.expr | None) -> bool:
    """Is this expression a fresh container?"""
    called = value.func if isinstance(value, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
    return isinstance(value, MUTABLE) or name in MUTABLE_CALLS


def module_state(module: Module) -> Iterator[Offence]:
    """Two runtimes live in one process: a module keeps no state, its constants are `Final`."""
    for node in module_level(module.tree):
        if isinstance(node, ast.AnnAssign):
            free = re.search(r"\bFinal\b", ast.unparse(node.annotation)) is not None
        elif isinstance(node, ast.Assign):
            free = [ast.unparse(target) for target in node.targets] == ["__all__"]
        else:
            continue
        if is_mutable(node.value) and not free:
            yield Offence(f"{module.path}:{node.lineno}")
    for where, function in functions(module):
        if any(isinstance(node, ast.Global) for node in ast.walk(function)):
            yield Offence(where)


BANNED_NAME: Final = re.compile(r"(^|[/_])(utils?|helpers?|managers?|common)(?=[/_.])")


def banned_words(module: Module) -> Iterator[Offence]:
    """Nothing is left to be fixed, and a file is named after what it is about."""
    if BANNED_NAME.search(module.path):
        yield Offence(module.path)
    for number, line in enumerate(module.source.splitlines(), 1):
        if "FIXME" in line:
            yield Offence(f"{module.path}:{number}")


# What runs later runs in somebody's context: whose, only these two say.
SCHEDULERS: Final = {
    "runtime/host_loop.py": "the host's, for all of `runtime`, and for `workers` as its host",
    "workers/own_tasks.py": "that of a Worker's own code, for what is made in its place",
}
SCHEDULES: Final = frozenset(
    {"call_soon", "call_soon_threadsafe", "call_later", "call_at", "create_task"}
    | {"ensure_future", "add_done_callback", "run_coroutine_threadsafe", "TaskGroup"}
    | {"gather", "wait_for", "shield", "as_completed"}  # make tasks of coroutines
)


def raw_scheduling(module: Module) -> Iterator[Offence]:
    """`runtime` and `workers` schedule by HostLoop: what runs later is not in a caller's name."""
    if not module.path.startswith(("runtime/", "workers/")) or module.path in SCHEDULERS:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            found = {alias.name for alias in node.names} & SCHEDULES
        elif isinstance(node, ast.Attribute):
            found = {node.attr} & SCHEDULES
        else:
            continue
        if found:
            yield Offence(f"{module.path}:{node.lineno}")


RULES: Final[tuple[Rule, ...]] = (
    module_lines,
    function_lines,
    positional_parameters,
    public_methods,
    nesting,
    any_in_core,
    local_imports,
    root_imports,
    boolean_positionals,
    module_state,
    banned_words,
    raw_scheduling,
)


# --- the source obeys ------------------------------------------------------------------------


@cache
def modules() -> list[Module]:
    """The source as it stands."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return [Module(path.relative_to(PACKAGE).as_posix(), path.read_text()) for path in paths]


def over(rule: Rule, source: list[Module], ratchet: dict[tuple[str, str], int]) -> list[str]:
    """What breaks a rule beyond its ratchet, and ratchet entries that no longer say the truth."""
    offences = {o.where: o for module in source for o in rule(module)}
    listed = {where: amount for (name, where), amount in ratchet.items() if name == rule.__name__}
    grown = [
        f"{where}: {o.amount}, at most {listed.get(where, o.limit)}"
        for where, o in offences.items()
        if o.amount > listed.get(where, o.limit)
    ]
    met = [
        f"{where}: the ratchet says {amount}, it is {offences[where].amount}: lower the entry"
        if where in offences
        else f"{where}: within the limit now: remove the ratchet entry"
        for where, amount in listed.items()
        if where not in offences or offences[where].amount < amount
    ]
    return grown + met


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_source_obeys(rule: Rule) -> None:
    assert over(rule, modules(), RATCHET) == [], rule.__doc__


def test_ratchet_names_rules_only() -> None:
    assert {rule for rule, _ in RATCHET} <= {rule.__name__ for rule in RULES}


def test_architecture_has_a_row_for_every_module() -> None:
    """A reader of MODULES.md has heard of every module, in its own words: `make map`."""
    text = module_map.DOCUMENT.read_text()
    assert text == module_map.written(text, module_map.summaries(PACKAGE)), "run `make map`"


def public_order(name: str) -> tuple[int, str]:
    """Constants, classes, the rest; each by name: the order `ruff check --fix` gives `__all__`."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


def test_public_names_are_sorted_and_exist() -> None:
    """`wakeful.__all__` is the public API: in order, without repeats, and all of it is there."""
    wakeful = importlib.import_module("wakeful")
    names: list[str] = getattr(wakeful, "__all__", [])
    assert names == sorted(set(names), key=public_order)
    assert [name for name in names if not hasattr(wakeful, name)] == []


# --- the rules can fail ----------------------------------------------------------------------

NESTED: Final = "def f():\n if a:\n  for b in c:\n   with d:\n    "
CHAIN: Final = "def f():\n if a: pass\n elif b: pass\n elif c: pass\n elif d: pass"
METHODS: Final = "class C:\n" + "".join(f" def m{n}(self): ...\n" for n in range(20))

CAUGHT: Final = [
    (module_lines, "x.py", "\n" * 501),
    (module_lines, "core/x.py", "\n" * 351),
    (function_lines, "x.py", "async def f():\n" + " pass\n" * 60),
    (positional_parameters, "x.py", "class C:\n def f(self, a, b, /, c, d, e, f=1): ..."),
    (public_methods, "x.py", METHODS + " async def one_more(self): ..."),
    (nesting, "x.py", NESTED + "try: pass\n    finally: pass"),
    (nesting, "x.py", NESTED.replace("if a", "if z: pass\n elif a") + "while e: pass"),
    (any_in_core, "core/x.py", "def f(a: dict[str, Any]): ..."),
    (any_in_core, "core/x.py", "import typing\na: typing.Any = 1"),
    (local_imports, "runtime/x.py", "def f():\n import json"),
    (local_imports, "x.py", "class C:\n def f(self):\n  from wakeful.ids import ActorId"),
    (local_imports, "x.py", "def f():\n from . import ids"),
    (local_imports, "x.py", "def f():\n import apsw.bestpractice"),
    (root_imports, "x.py", "import wakeful"),
    (root_imports, "x.py", "from wakeful import NoSuchName"),
    (boolean_positionals, "x.py", "def f(a, b=True): ..."),
    (boolean_positionals, "x.py", "class C:\n async def f(self, a=False, /): ..."),
    (module_state, "x.py", "seen = []"),
    (module_state, "x.py", "seen: dict[str, int] = {}"),
    (module_state, "x.py", "try:\n seen = collections.defaultdict(int)\nfinally: pass"),
    (module_state, "x.py", "def f():\n global count"),
    (banned_words, "x.py", "a = 1  # FIXME: why"),
    (banned_words, "http/helpers.py", ""),
    (banned_words, "actor_manager.py", ""),
    (banned_words, "common/x.py", ""),
    (raw_scheduling, "runtime/x.py", "def f(loop):\n loop.call_later(1, g)"),
    (raw_scheduling, "runtime/x.py", "def f(loop, t):\n t.add_done_callback(g, context=c)"),
    (raw_scheduling, "workers/web/x.py", "import asyncio\nasyncio.ensure_future(work)"),
    (raw_scheduling, "workers/x.py", "from asyncio import create_task"),
    (raw_scheduling, "runtime/x.py", "import asyncio\nasyncio.gather(f(), g())"),
]

LET_PASS: Final = [
    (module_lines, "x.py", "\n" * 500),
    (module_lines, "core/x.py", "\n" * 350),
    (function_lines, "x.py", "def f():\n" + " pass\n" * 59),
    (positional_parameters, "x.py", "class C:\n def f(self, a, b, c, d, e, *, f, g): ..."),
    (public_methods, "x.py", METHODS + " def _private(self): ..."),
    (nesting, "x.py", NESTED + "pass"),
    (nesting, "x.py", CHAIN),
    (any_in_core, "x.py", "a: Any = 1"),
    (any_in_core, "core/x.py", "a: object = any([])"),
    (local_imports, "cli/x.py", "def f():\n import json"),
    (local_imports, "store/x.py", "def f():\n import asyncpg"),
    (root_imports, "x.py", "from wakeful.core import gates"),
    (boolean_positionals, "x.py", "def f(a=None, *, b=True): ..."),
    (module_state, "x.py", "__all__ = ['a']\nA: Final = []\nB: Final[list[int]] = []\nC = (1, 2)"),
    (module_state, "x.py", "def f():\n seen = []"),
    (banned_words, "core/commit.py", "# uncommon, and not a helper"),
    (raw_scheduling, "runtime/host_loop.py", "def f(loop):\n loop.call_soon(g)"),
    (raw_scheduling, "http/x.py", "def f(loop):\n loop.call_soon(g)"),
    (raw_scheduling, "runtime/x.py", "def f(loop):\n loop.later(1, g)"),
]


def rule_and_path(value: object) -> str:
    """A short test id: the snippet is in the failure, not in the name."""
    return getattr(value, "__name__", None) or (str(value) if str(value).endswith(".py") else "-")


@pytest.mark.parametrize(("rule", "path", "source"), CAUGHT, ids=rule_and_path)
def test_rule_catches(rule: Rule, path: str, source: str) -> None:
    assert len(list(rule(Module(path, source)))) == 1


@pytest.mark.parametrize(("rule", "path", "source"), LET_PASS, ids=rule_and_path)
def test_rule_lets_pass(rule: Rule, path: str, source: str) -> None:
    assert list(rule(Module(path, source))) == []


def test_modules_that_may_schedule_are_there_and_do() -> None:
    source = {module.path: module.source for module in modules()}
    for path in SCHEDULERS:
        renamed = Module(path.replace(".py", "_too.py"), source[path])
        assert list(raw_scheduling(renamed)) != []


def test_every_rule_has_a_snippet_it_catches() -> None:
    assert {rule for rule, _, _ in CAUGHT} == set(RULES)


@pytest.mark.parametrize(
    ("allowed", "outcome"),
    [
        (501, ["x.py: 502, at most 501"]),
        (502, []),
        (503, ["x.py: the ratchet says 503, it is 502: lower the entry"]),
    ],
)
def test_ratchet_only_shrinks(allowed: int, outcome: list[str]) -> None:
    source = [Module("x.py", "\n" * 502)]
    assert over(module_lines, source, {("module_lines", "x.py"): allowed}) == outcome


def test_ratchet_entry_that_is_met_must_go() -> None:
    found = over(module_lines, [Module("x.py", "")], {("module_lines", "x.py"): 600})
    assert found == ["x.py: within the limit now: remove the ratchet entry"]


MAP: Final = """\
## wakeful.core: machines

| module | |
|---|---|
| `gone` | It was here once |
| `gates` | What it said before |

## wakeful.core: more

| module | |
|---|---|
| `lease` | Epochs |

## Something else

| `gates` | no row of the map |
"""


def test_map_of_modules_follows_their_docstrings() -> None:
    modules = {"gates": "Two gates", "commit": "Batches", "lease": "Epochs", "waits": "Cycles"}
    text = module_map.written(MAP, {f"wakeful.core.{name}": it for name, it in modules.items()})
    expected = MAP.replace("| `gone` | It was here once |\n", "")
    expected = expected.replace("What it said before", "Two gates")
    more = "| `commit` | Batches |\n| `waits` | Cycles |"
    assert text == expected.replace("| `lease` | Epochs |", f"| `lease` | Epochs |\n{more}")


def test_map_of_modules_needs_a_table_for_each_package() -> None:
    with pytest.raises(ValueError, match=r"no table below a heading ## wakeful\.store"):
        module_map.written(MAP, {"wakeful.store.lock": "One owner"})


def test_public_order_is_constants_then_classes_then_the_rest() -> None:
    names = ["tell", "Actor", "LIMIT", "__version__", "Zebra"]
    assert sorted(names, key=public_order) == ["LIMIT", "Actor", "Zebra", "__version__", "tell"]
