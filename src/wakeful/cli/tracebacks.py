"""Exceptions of user code, as people like to read them: their own lines, and what went wrong.

Shapes: `roots` are the directories the user's modules are in; frames elsewhere are left out.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from wakeful.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

LIBRARIES: Final = frozenset({".venv", "venv", "site-packages", "dist-packages"})
WAKEFUL: Final = Path(__file__).resolve().parents[1]
CAUSES_MAX: Final = 8


def is_user_file(filename: str, root: Path) -> bool:
    """Whether a file is the user's own, not a library's that happens to be below the directory."""
    path = Path(filename).resolve()
    if path.suffix != ".py" or not path.is_relative_to(root) or path.is_relative_to(WAKEFUL):
        return False
    return not LIBRARIES.intersection(path.relative_to(root).parts)


def shown(filename: str) -> str:
    """Shorten a path, relative to the current directory where that is shorter."""
    relative = os.path.relpath(filename)
    return filename if relative.startswith("..") else relative


def plain(error: BaseException) -> str:
    """Describe an error in one line."""
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    text, name = " ".join(str(error).split()), type(error).__name__
    if text.startswith((f"{name}: ", f"{name.removeprefix('Js')}: ")):
        return text  # as errors of JavaScript say it
    return f"{name}: {text}" if text else name


def place_of(error: BaseException, root: Path) -> str | None:
    """`file:line` of the innermost line that is the user's own."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}:{error.lineno}"
    for frame in reversed(user_frames(error.__traceback__, root)):
        return f"{shown(frame.filename)}:{frame.lineno}"
    return None


def user_frames(trace: TracebackType | None, *roots: Path) -> list[traceback.FrameSummary]:
    """The user's own frames of a traceback, outermost first."""
    frames = traceback.extract_tb(trace)
    return [frame for frame in frames if any(is_user_file(frame.filename, r) for r in roots)]


def full(error: BaseException) -> str:
    """The whole traceback as Python prints it."""
    return "".join(traceback.format_exception(error))


def readable(error: BaseException, roots: Sequence[Path]) -> RenderableType:
    """The user's frames with the lines around them, and what went wrong; causes first.

    A cause is left out if what it led to says the same, and the cause has no lines of the user's
    or the same ones: an error made anew for a caller has the original one as its cause.
    """
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    chain = _chain(error)[::-1]
    lines = [user_frames(link.__traceback__, *roots) for link in chain]
    for index, (link, frames) in enumerate(zip(chain, lines, strict=True)):
        repeated = any(
            str(link) in str(later) and (not frames or frames == same)
            for later, same in zip(chain[index + 1 :], lines[index + 1 :], strict=True)
        )
        if repeated and not hasattr(link, "__notes__"):
            continue
        if parts:
            parts.append(Text("which led to", style="dim"))
        for frame in frames:
            where = f"{shown(frame.filename)}:{frame.lineno} in {frame.name}"
            parts.append(Text(f"  {where}", style="cyan"))
            parts.append(_excerpt(frame.filename, frame.lineno or 1))
        if isinstance(link, SyntaxError) and link.filename and link.lineno:
            parts.append(Text(f"  {shown(link.filename)}:{link.lineno}", style="cyan"))
            parts.append(_excerpt(link.filename, link.lineno))
        parts.append(Text(f"  {plain(link)}", style="bold red"))
        parts.extend(Text(f"  {note}", style="bold") for note in getattr(link, "__notes__", ()))
    return Group(*parts)


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while len(chain) < CAUSES_MAX:
        last = chain[-1]
        cause = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if cause is None or any(cause is link for link in chain):
            break
        chain.append(cause)
    return chain


def _excerpt(filename: str, line: int) -> RenderableType:
    from rich.padding import Padding
    from rich.syntax import Syntax

    try:
        source = Path(filename).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        source = ""
    code = Syntax(
        source,
        "python",
        line_numbers=True,
        line_range=(max(1, line - 2), line + 1),
        highlight_lines={line},
        theme="ansi_dark",
        background_color="default",
    )
    return Padding(code, (0, 0, 0, 2))
