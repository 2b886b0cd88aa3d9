"""Finds mistakes that no error tells of, for `wakeful dev`.

They are: calls without await, a blocked loop, changes that stand although their turn failed.

Shapes:  each finding is one line: where (file, line and function, or type and method), what, and
         what to do.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import traceback
import warnings
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self

from wakeful.cli.tracebacks import is_user_file, plain, shown
from wakeful.runtime.activation import Turn

Tell = Callable[[str], None]

NEVER: Final = r"coroutine '(?P<name>.*)' was never awaited"
MADE_AT: Final = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+), in (?P<name>.+)$', re.M)
FRAMES: Final = 8  # between a call of the user's and the coroutine it makes
HELD_SECONDS: Final = 0.5
MODULE: Final = "<module>"


def tell_of_unawaited(roots: Sequence[Path], tell: Tell) -> None:
    """From now on, tell of coroutines that were never awaited, by the line that made them."""
    others = warnings.showwarning

    def show(message: Warning | str, *where: Any) -> None:
        said = _unawaited(str(message), roots)
        if said is None:
            others(message, *where)
        else:
            tell(said)

    sys.set_coroutine_origin_tracking_depth(FRAMES)
    warnings.filterwarnings("always", NEVER, RuntimeWarning)
    warnings.showwarning = show  # type: ignore[assignment]  # it hands on what it does not read


def _unawaited(message: str, roots: Sequence[Path]) -> str | None:
    """Describe the coroutine, if a line of the user's code has made it."""
    found = re.match(NEVER, message)
    made = [at for at in MADE_AT.finditer(message) if _is_users(at["file"], roots)]
    if found is None or not made:
        return None
    at, name = made[-1], found["name"].rpartition(".")[2]
    return (
        f"{shown(at['file'])}:{at['line']} in {at['name']}: {name}(...) was not awaited, so it has "
        "not run: write `await` before it"
    )


def tell_of_rest(tell: Tell, turn: Turn, error: BaseException) -> None:
    """Tell that changes of a turn that raised stand: it has made a call in between.

    Args:
        tell: told what was found.
        turn: it had changed its actor when it made a call.
        error: what it raised.
    """
    activation = turn.activation
    if turn.left_for is None or activation.gate.broken is not None:
        return
    called, method = turn.left_for[0].name, turn.left_for[1].name
    tell(
        f"{activation.type.name}.{turn.what} raised after it had changed the actor and then called "
        f"{called}.{method}: what it changed before that call is committed and stands, what came "
        f"after is undone ({plain(error)}). Make calls that may fail before the changes, or take "
        "the changes back before you raise"
    )


class Holding:
    """Tells of code that holds the loop, while it does; looks from a thread of its own.

    Args:
        loop: of the thread that makes this.
        roots: where the user's modules are.
        tell: is called with what was found, in that thread.
        seconds: how long is too long.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        roots: Sequence[Path],
        tell: Tell,
        seconds: float = HELD_SECONDS,
    ) -> None:
        self._loop = loop
        self._roots = roots
        self._tell = tell
        self._seconds = seconds
        self._stopped = threading.Event()
        self._turned = threading.Event()
        self._held = threading.get_ident()
        self._thread = threading.Thread(target=self._look, name="wakeful-holding", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._turned.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self._turned.clear()
            if self._stopped.is_set():
                return
            self._loop.call_soon_threadsafe(self._turned.set)
            if not self._turned.wait(self._seconds):
                self._report()
                self._turned.wait()
            self._stopped.wait(self._seconds)

    def _report(self) -> None:
        frame = sys._current_frames().get(self._held)
        where = None if frame is None else self.place(frame, self._roots)
        if where is not None:
            self._tell(
                f"{where} holds the loop: nothing else runs meanwhile. Wait with `await` "
                "(asyncio.sleep, an async client), or use asyncio.to_thread"
            )

    @staticmethod
    def place(frame: FrameType, roots: Sequence[Path]) -> str | None:
        """Return where the user's code is running; None outside of it and during an import."""
        stack = traceback.extract_stack(frame)
        own = [at for at in stack if _is_users(at.filename, roots)]
        if not own or any(at.name == MODULE for at in own):
            return None
        return f"{shown(own[-1].filename)}:{own[-1].lineno} in {own[-1].name}"


def _is_users(filename: str, roots: Sequence[Path]) -> bool:
    return os.path.isabs(filename) and any(is_user_file(filename, root) for root in roots)
