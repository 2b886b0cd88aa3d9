"""Code of a Worker runs on one thread: what a framework would give to another one runs at once.

Starlette and FastAPI send functions that are not async to threads, by way of anyio. On Cloudflare
there are none; here such a function would reach into an object beside the object's own code.

Source:  the Workers SDK, which patches the same function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

_here: Final[ContextVar[bool]] = ContextVar("wakeful_one_thread", default=False)
_MARK: Final = "__wakeful_one_thread__"


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Keep the running context, and tasks that it starts, on the present thread."""
    _patch(sys.modules.get("anyio.to_thread"))
    token = _here.set(True)
    try:
        yield
    finally:
        _here.reset(token)


def _patch(module: Any) -> None:
    """Patch anyio to ask first; other code is not affected."""
    if module is None or hasattr(module.run_sync, _MARK):
        return
    threaded = module.run_sync

    async def run_sync(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if _here.get():
            return function(*args)
        return await threaded(function, *args, **options)

    setattr(run_sync, _MARK, True)
    module.run_sync = run_sync
