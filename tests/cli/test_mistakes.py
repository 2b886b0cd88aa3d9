"""What `wakeful dev` says where nothing raises, and how it shows what does."""

import asyncio
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import cast

import pytest
from rich.console import Console

from wakeful import DurableObject, Runtime, readonly
from wakeful.cli.calls import Errors
from wakeful.cli.mistakes import Holding, tell_of_rest, tell_of_unawaited
from wakeful.cli.tracebacks import plain, readable
from wakeful.errors import SqlError, UnknownMethod
from wakeful.http.message import Request
from wakeful.ids import ActorId
from wakeful.store.memory import MemoryStore
from wakeful.workers.proxies import DataCloneError, JsException, JsTypeError

HERE = Path(__file__).parent


Caught = list[warnings.WarningMessage]


@pytest.fixture
def others() -> Iterator[Caught]:
    """Warnings that are shown as ever."""
    with warnings.catch_warnings(record=True) as caught:
        yield caught


@pytest.fixture
def told(others: Caught) -> Iterator[list[str]]:
    """What is said about coroutines."""
    lines: list[str] = []
    before = sys.get_coroutine_origin_tracking_depth()
    tell_of_unawaited([HERE], lines.append)
    yield lines
    sys.set_coroutine_origin_tracking_depth(before)


def test_unawaited_call_is_told_with_its_line(told: list[str]) -> None:
    async def put() -> None: ...

    put()
    [line] = told
    place, _, text = line.partition(" in ")
    assert place.endswith(f"test_mistakes.py:{sys._getframe().f_lineno - 3}")
    name = "test_unawaited_call_is_told_with_its_line"
    assert text == f"{name}: put(...) was not awaited, so it has not run: write `await` before it"


def test_unawaited_call_is_told_each_time(told: list[str]) -> None:
    async def put() -> None: ...

    for _ in range(3):
        put()
    assert len(told) == 3


def test_other_warnings_stay_as_they_are(told: list[str], others: Caught) -> None:
    warnings.simplefilter("always")
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert told == []
    assert [str(warning.message) for warning in others] == ["old"]


def hold(told: threading.Event) -> None:
    told.wait(10.0)


async def test_code_that_holds_the_loop_is_told_with_its_line() -> None:
    told = threading.Event()
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        told.set()

    with Holding(asyncio.get_running_loop(), [HERE], tell, seconds=0.01):
        hold(told)
    [line] = lines
    number = hold.__code__.co_firstlineno + 1
    assert f"test_mistakes.py:{number} in hold holds the loop: nothing else runs" in line


def test_code_being_imported_and_code_of_others_is_not_told() -> None:
    def frame() -> FrameType:
        return sys._getframe()

    where = Holding.place
    assert where(frame(), [HERE / "elsewhere"]) is None
    assert where(frame(), [HERE]) is not None
    code = compile("import sys; here = sys._getframe()", str(HERE / "x.py"), "exec")
    names: dict[str, FrameType] = {}
    exec(code, names)
    assert where(names["here"], [HERE]) is None


def shown(error: BaseException) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(readable(error, [HERE]))
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_circle_of_causes_is_shown_once() -> None:
    first, second = ValueError("one"), KeyError("two")
    first.__cause__, second.__cause__ = second, first
    assert shown(first).count("one") == 1
    assert shown(first).count("two") == 1


def refused_by_sqlite(sql: str) -> None:
    try:
        raise OSError("no such table: x")
    except OSError as error:
        error.__traceback__ = None
        raise SqlError(f"{error} at offset 3") from error


def test_error_of_sql_is_shown_once_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SqlError) as caught:
        refused_by_sqlite("SELECT * FROM x")
    Errors([HERE]).report(cast(Request, None), caught.value)
    said = capsys.readouterr().err
    assert f"test_mistakes.py:{refused_by_sqlite.__code__.co_firstlineno + 5}" in said
    assert "SqlError: no such table: x at offset 3" in said
    assert "OSError" not in said.replace("except OSError", "").replace("raise OSError", "")


def test_an_error_made_anew_for_a_caller_is_shown_once() -> None:
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        fails()
    anew = ValueError("no").with_traceback(caught.value.__traceback__)
    anew.__cause__ = caught.value
    assert shown(anew).count("ValueError: no") == 1
    assert shown(anew).count("in fails") == 1
    assert "which led to" not in shown(anew)


def test_notes_of_an_error_are_shown() -> None:
    error = TypeError("takes no arguments")
    error.add_note("Derive it from DurableObject")
    assert "Derive it from DurableObject" in shown(error)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (JsTypeError("no such method"), "TypeError: no such method"),
        (DataCloneError("no"), "DataCloneError: no"),
        (JsException("missing", "KeyError"), "JsException: KeyError: missing"),
        (JsException("no"), "JsException: Error: no"),
        (ValueError("ValueErrors are bad"), "ValueError: ValueErrors are bad"),
        (ValueError(), "ValueError"),
    ],
)
def test_name_of_an_error_is_said_once(error: Exception, text: str) -> None:
    assert plain(error) == text


def test_refused_call_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    refused = UnknownMethod("Counter has no method 'x\x1b[1m'; its methods: increment")
    Errors([HERE]).report(cast(Request, None), refused)
    assert capsys.readouterr().err == (
        "  Counter has no method 'x\\x1b[1m'; its methods: increment\n"
    )


class Account(DurableObject):
    balance: int = 0

    async def debit(self, by: int) -> None:
        if by > self.balance:
            raise ValueError("not\n enough")

    @readonly
    async def show(self) -> int:
        return self.balance


class Transfer(DurableObject):
    count: int = 0

    async def changes_then_calls(self) -> None:
        self.count += 1
        await self.ctx.get(Account, "a").debit(5)

    async def calls_then_changes(self) -> None:
        await self.ctx.get(Account, "a").show()
        self.count += 1
        raise ValueError

    async def changes_then_syncs(self) -> None:
        self.count += 1
        await self.ctx.storage.sync()
        raise ValueError

    async def changes_and_calls(self) -> None:
        self.count += 1
        await self.ctx.get(Account, "a").show()

    async def catches(self) -> None:
        self.count += 1
        with suppress(ValueError):
            await self.ctx.get(Account, "a").debit(5)

    async def raises(self) -> None:
        self.count += 1
        raise ValueError

    async def changes_calls_and_waits(self) -> None:
        self.count += 1
        await asyncio.create_task(self.ctx.get(Account, "a").show())
        await asyncio.sleep(0)
        raise ValueError("late")


STANDS = (
    "Transfer.{} raised after it had changed the actor and then called Account.{}: what it changed "
    "before that call is committed and stands, what came after is undone ({}). Make calls that may "
    "fail before the changes, or take the changes back before you raise"
)


async def told_of(method: str) -> tuple[list[str], int]:
    """What is told when a method was called, and what has become of its count."""
    lines: list[str] = []
    async with Runtime(MemoryStore(), [Account, Transfer]) as rt:
        rt.host.delivery.on_partly_undone = partial(tell_of_rest, lines.append)
        transfer = rt.get(Transfer, "t")
        with suppress(ValueError):
            await getattr(transfer, method)()
        rt.host.delivery.on_partly_undone = None
        before = len(lines)
        with suppress(ValueError):
            await transfer.changes_then_calls()  # as served, and not developed
        assert len(lines) == before
        return lines, rt.host.activator.catalog.actors[ActorId("Transfer", "t")].instance.count  # type: ignore[attr-defined]


async def test_a_turn_that_raised_after_write_then_call_is_told_with_what_to_do() -> None:
    expected = STANDS.format("changes_then_calls", "debit", "ValueError: not enough")
    assert await told_of("changes_then_calls") == ([expected], 2)


async def test_the_call_may_be_a_read_in_a_task_and_the_error_another_one() -> None:
    expected = STANDS.format("changes_calls_and_waits", "show", "ValueError: late")
    assert await told_of("changes_calls_and_waits") == ([expected], 2)


@pytest.mark.parametrize(
    ("method", "stands"),
    [
        ("calls_then_changes", 0),
        ("changes_then_syncs", 1),
        ("changes_and_calls", 1),
        ("catches", 1),
        ("raises", 0),
    ],
)
async def test_a_turn_that_is_undone_whole_or_meant_what_stands_is_not_told(
    method: str, stands: int
) -> None:
    assert await told_of(method) == ([], stands + 1)
