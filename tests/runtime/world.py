"""What the runtime's tests share: runs on virtual time that leave nothing, stores that fail."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from wakeful import Actor, ActorSpec, Config, Limits, Runtime, StorageError
from wakeful.ids import ActorId
from wakeful.ports import Cells, CommitRecord, Done
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.clock import VirtualClock
from wakeful.testing.loop import VirtualLoop

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """The collector looks at what is made from now on only: a whole suite's heap takes a second."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on virtual time; a hang, a task left behind or an error nobody saw fails it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        unseen: list[object] = []

        async def main() -> set[asyncio.Task[Any]]:
            await test(*args, **kwargs)
            await asyncio.sleep(0)
            return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[return-value]

        with only_new_garbage(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
            loop = runner.get_loop()
            loop.set_exception_handler(lambda _, context: unseen.append(context))
            left = runner.run(main())
            gc.collect()  # tasks and futures that nobody holds tell what nobody has retrieved
        assert unseen == []
        assert left == set()

    return run


def runtime(
    *actors: type[Actor] | ActorSpec, store: MemoryStore | None = None, **limits: Any
) -> Runtime:
    """A runtime in memory, on the clock of the running loop."""
    idle_seconds = limits.pop("idle_seconds", 10.0)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return Runtime(
        store or MemoryStore(),
        actors,
        config=Config(idle_seconds=idle_seconds, limits=Limits(**limits)),
        clock=VirtualClock(loop),
    )


class FlakyStore(MemoryStore):
    """A memory store that fails batches on demand, and can hold them back.

    Attributes:
        failures: errors for the batches to come, first come first served.
        batches: what was handed over, failed or not.
        held: when set, batches wait for it.
        loading: when set, loads wait for it.
    """

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        super().__init__(disk)
        self.failures: list[Exception] = []
        self.batches: list[Sequence[CommitRecord]] = []
        self.held: asyncio.Event | None = None
        self.loading: asyncio.Event | None = None
        self.loads = 0

    def load(self, actor: ActorId) -> Cells | Awaitable[Cells]:  # type: ignore[override]
        self.loads += 1
        if self.loading is None:
            return super().load(actor)
        return asyncio.ensure_future(self._load_later(self.loading, actor))

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        self.batches.append(records)
        if self.failures:
            error = self.failures.pop(0)
            if not isinstance(error, StorageError):
                raise error
            asyncio.get_running_loop().call_soon(done, error)
        elif self.held is not None:
            self._waiting = asyncio.ensure_future(
                self._commit_later(self.held, lane, records, done)
            )
        else:
            super().commit(lane, records, done)

    async def _load_later(self, event: asyncio.Event, actor: ActorId) -> Cells:
        await event.wait()
        return super().load(actor)

    async def _commit_later(
        self, event: asyncio.Event, lane: int, records: Sequence[CommitRecord], done: Done
    ) -> None:
        await event.wait()
        super().commit(lane, records, done)


async def outcome(work: Awaitable[T]) -> T | BaseException:
    """What an awaitable gives or raises."""
    try:
        return await work
    except Exception as error:
        return error


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)
