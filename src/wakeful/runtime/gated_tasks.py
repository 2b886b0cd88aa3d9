"""The task factory of a loop while gated actors are served: tasks of their code keep to the gates.

It touches only tasks that are made in the context of a gated turn.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

from wakeful.runtime.gated import inside


@contextmanager
def gated_tasks(loop: AbstractEventLoop) -> Iterator[None]:
    """Make tasks that code of gated actors makes keep to their gates."""
    before: Any = loop.get_task_factory()

    def make(loop: AbstractEventLoop, work: Any, **options: Any) -> Any:
        context: Context | None = options.get("context")
        gated = inside.get() if context is None else context.get(inside)
        if gated is None or not asyncio.iscoroutine(work):
            return _task(loop, work, options)
        task = _task(loop, gated.adopt(work), options)
        gated.own(task, work)
        return task

    def _task(loop: AbstractEventLoop, work: Any, options: dict[str, Any]) -> Any:
        if before is not None:
            return before(loop, work, **options)
        return Task(work, loop=loop, **options)

    loop.set_task_factory(make)
    try:
        yield
    finally:
        loop.set_task_factory(before)
