"""An owner that was paused, or that another has followed, does not answer from memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.runtime.test_sockets import Room, enter
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    Actor,
    ActorBuilder,
    DirectoryLost,
    DurabilityConfig,
    DurableObject,
    Fenced,
    PartialOutcome,
    Runtime,
    StorageError,
    interleave,
    readonly,
)
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.ownership import TERM_NS, Ownership
from wakeful.store.memory import MemoryDisk, MemoryStore

TERM_S: Final = TERM_NS / 1e9


class Counter(DurableObject):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def get(self) -> int:
        return self.count

    @readonly
    async def look(self) -> int:
        return self.count

    async def get_slowly(self, seconds: float = 0.01) -> int:
        await asyncio.sleep(seconds)
        return self.count

    @interleave
    async def peek(self) -> int:
        return self.count

    async def fail(self) -> None:
        raise ValueError(f"{self.count}")

    async def ask(self) -> int:
        return await self.ctx.get(Counter, "other").get()

    async def add_and_read_slowly(self) -> int:
        self.count += 1
        await self.ctx.storage.sync()
        await asyncio.sleep(1)
        return self.count


class Hall(Room):
    async def shout(self, text: str) -> None:
        """Write nothing."""
        for socket in self.ctx.sockets():
            socket.send(text)


class Asked(FlakyStore):
    """Counts the proofs of ownership it is asked for, and can take its time, or fail.

    Attributes:
        proofs: how many.
        answering: when set, proofs wait for it.
        proof_failures: errors for the proofs to come.
    """

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        super().__init__(disk)
        self.proofs = 0
        self.answering: asyncio.Event | None = None
        self.proof_failures: list[StorageError] = []

    def prove(self, lane: int) -> Awaitable[None] | None:  # type: ignore[override]
        self.proofs += 1
        if self.proof_failures:
            raise self.proof_failures.pop(0)
        return super().prove(lane) if self.answering is None else self._later(lane)

    async def _later(self, lane: int) -> None:
        assert self.answering is not None
        await self.answering.wait()
        super().prove(lane)


@asynccontextmanager
async def two(*actors: type[Actor], first: MemoryStore | None = None) -> AsyncIterator[Paused]:
    """A runtime, and how another one takes its store over."""
    disk = MemoryDisk()
    store = first or Asked(disk)
    store._disk = disk
    async with runtime(*actors, store=store) as rt:
        yield Paused(rt, disk, actors)


class Paused:
    """A runtime that does not notice that its store has been taken over.

    Attributes:
        old: the runtime.
    """

    def __init__(self, old: Runtime, disk: MemoryDisk, actors: tuple[type[Actor], ...]) -> None:
        self.old = old
        self._disk = disk
        self._actors = actors

    async def follow(self, change: Callable[[Runtime], Awaitable[object]]) -> None:
        """A new owner takes over, and changes something."""
        async with runtime(*self._actors, store=MemoryStore(self._disk)) as new:
            await change(new)

    async def followed(self) -> None:
        """A new owner has counted on."""
        await self.follow(lambda new: new.get(Counter, "c").add())


WAYS: Final[dict[str, Callable[[Runtime], Awaitable[object]]]] = {
    "straight": lambda rt: rt.get(Counter, "c").get(),
    "readonly": lambda rt: rt.get(Counter, "c").look(),
    "waiting": lambda rt: rt.get(Counter, "c").get_slowly(),
    "interleaved": lambda rt: rt.get(Counter, "c").peek(),
    "raising": lambda rt: rt.get(Counter, "c").fail(),
    "by another": lambda rt: rt.get(Counter, "c").ask(),
    "with a timeout": lambda rt: rt.get(Counter, "c", timeout=1.0).get(),
    "listed": lambda rt: rt.list(Counter),
    "woken": lambda rt: rt.get(Counter, "asleep").get(),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_answered_from_memory_after_the_term(way: str) -> None:
    @virtual
    async def test() -> None:
        async with two(Counter) as both:
            await both.old.get(Counter, "c").add()
            await both.old.get(Counter, "other").add()
            await both.followed()
            await asyncio.sleep(TERM_S)
            assert isinstance(await outcome(WAYS[way](both.old)), Fenced)
            await settle()
            assert both.old.host.disowned.done()

    test()


@virtual
async def test_what_was_read_in_the_term_is_answered() -> None:
    """That is the price of reading from memory."""
    async with two(Counter) as both:
        assert await both.old.get(Counter, "c").add() == 1
        await both.followed()
        await asyncio.sleep(TERM_S * 0.9)
        assert await both.old.get(Counter, "c").get() == 1
        assert not both.old.host.disowned.done()


@virtual
async def test_a_turn_that_waited_is_judged_by_its_end() -> None:
    async with two(Counter) as both:
        await both.old.get(Counter, "c").add()
        reading = asyncio.create_task(outcome(both.old.get(Counter, "c").get_slowly(TERM_S)))
        await asyncio.sleep(TERM_S * 0.5)
        await both.followed()
        assert isinstance(await reading, Fenced)


@virtual
async def test_a_call_that_waits_in_the_mailbox_is_not_answered_either() -> None:
    async with two(Counter) as both:
        counter = both.old.get(Counter, "c")
        await counter.add()
        first = asyncio.create_task(outcome(counter.get_slowly(1.0)))
        second = asyncio.create_task(outcome(counter.get()))
        await settle()
        await both.followed()
        assert isinstance(await first, Fenced)
        assert isinstance(await second, Fenced)


@virtual
async def test_frames_of_a_paused_owner_are_not_sent() -> None:
    async with two(Hall) as both:
        room = both.old.get(Hall, "r")
        _, wire = await enter(both.old, room)
        await both.follow(lambda new: new.get(Hall, "r").say("new"))
        await asyncio.sleep(TERM_S)
        assert isinstance(await outcome(room.shout("old")), Fenced)
        await settle()
        assert wire.got == ["dropped"]


@virtual
async def test_frames_keep_their_order_while_ownership_is_looked_up() -> None:
    store = Asked()
    async with two(Hall, first=store) as both:
        room = both.old.get(Hall, "r")
        _, wire = await enter(both.old, room)
        await asyncio.sleep(TERM_S)
        store.answering = asyncio.Event()
        saying = [asyncio.create_task(room.shout(f"{n}")) for n in range(3)]
        await asyncio.sleep(TERM_S * 3)
        early = list(wire.got)
        store.answering.set()
        await asyncio.gather(*saying)
        await settle()
        assert early == []
        assert wire.got == ["0", "1", "2"]


@virtual
async def test_what_a_turn_has_committed_before_it_was_refused_is_not_denied() -> None:
    async with two(Counter) as both:
        writing = asyncio.create_task(outcome(both.old.get(Counter, "c").add_and_read_slowly()))
        await asyncio.sleep(TERM_S)
        await both.followed()
        assert isinstance(await writing, PartialOutcome)


# --- what it costs -------------------------------------------------------------------------------


@virtual
async def test_one_question_serves_all_who_wait() -> None:
    store = Asked()
    async with two(Counter, first=store) as both:
        refs = [both.old.get(Counter, f"{number}") for number in range(50)]
        await asyncio.gather(*(ref.get() for ref in refs))
        await asyncio.sleep(TERM_S)
        store.proofs, store.answering = 0, asyncio.Event()
        reads = asyncio.gather(*(ref.get() for ref in refs), *(ref.get_slowly() for ref in refs))
        await asyncio.sleep(TERM_S / 2)
        assert not reads.done()
        store.answering.set()
        assert await reads == [0] * 100
        assert store.proofs == 1


@virtual
async def test_nothing_is_asked_while_nothing_is_answered() -> None:
    store = Asked()
    async with two(Counter, first=store) as both:
        await both.old.get(Counter, "c").get()
        before = store.proofs
        await asyncio.sleep(3600)
        assert store.proofs == before


@virtual
async def test_within_the_term_nothing_is_asked() -> None:
    store = Asked()
    async with two(Counter, first=store) as both:
        counter = both.old.get(Counter, "c")
        await counter.get()
        for _ in range(9):
            await asyncio.sleep(TERM_S / 10)
            await counter.get()
        assert store.proofs == 1


@virtual
async def test_a_batch_proves_ownership() -> None:
    store = Asked()
    async with two(Counter, first=store) as both:
        counter = both.old.get(Counter, "c")
        for _ in range(20):
            await asyncio.sleep(TERM_S * 0.9)
            await counter.add()
            await counter.get()
        assert store.proofs == 0


@virtual
async def test_the_term_of_a_batch_counts_from_before_it_was_sent() -> None:
    """The store's answer may have been on its way for long."""
    store = Asked()
    async with two(Counter, first=store) as both:
        counter = both.old.get(Counter, "c")
        store.held = asyncio.Event()
        adding = asyncio.create_task(counter.add())
        await asyncio.sleep(TERM_S)
        store.held.set()
        assert await adding == 1
        assert store.proofs == 0
        assert await counter.get() == 1
        assert store.proofs == 1


@virtual
async def test_the_term_counts_from_before_the_store_was_asked() -> None:
    store = Asked()
    async with two(Counter, first=store) as both:
        counter = both.old.get(Counter, "c")
        store.answering = asyncio.Event()
        reading = asyncio.create_task(counter.get())
        await asyncio.sleep(TERM_S)
        late = asyncio.create_task(counter.get_slowly(0))
        await settle()
        store.answering.set()
        assert await reading == 0
        assert await late == 0
        assert store.proofs == 2


@virtual
async def test_volatile_actors_and_unconfirmed_ones_ask_nothing() -> None:
    """They promise nothing that another owner could make wrong."""

    class Plain(Actor):
        async def get(self) -> int:
            return 1

    store = Asked()
    loose = ActorBuilder(Counter).with_durability(DurabilityConfig(confirm=False)).build()
    async with runtime(Plain, loose, store=store) as rt:
        assert await rt.spawn(Plain).get() == 1
        assert await rt.get(Counter, "c").get() == 0
        assert await rt.get(Counter, "c").get_slowly() == 0
        assert store.proofs == 0


# --- when the store cannot say -------------------------------------------------------------------


@virtual
async def test_a_proof_that_fails_is_told_and_asked_for_again() -> None:
    store = Asked()
    async with two(Counter, first=store) as both:
        counter = both.old.get(Counter, "c")
        store.proof_failures = [StorageError("no"), StorageError("no")]
        assert isinstance(await outcome(counter.get()), StorageError)
        assert isinstance(await outcome(counter.get_slowly()), StorageError)
        assert await counter.get() == 0
        assert not both.old.host.disowned.done()


@virtual
async def test_a_store_that_never_answers_does_not_hold_up_the_end() -> None:
    store = Asked()
    rt = runtime(Counter, store=store, shutdown_seconds=1.0)
    async with rt:
        store.answering = asyncio.Event()
        reading = asyncio.create_task(outcome(rt.get(Counter, "c").get()))
        await settle()
    assert isinstance(await reading, StorageError)


@virtual
async def test_a_bug_of_the_store_does_not_leave_callers_waiting() -> None:
    class Broken(MemoryStore):
        def prove(self, lane: int) -> Awaitable[None]:  # type: ignore[override]
            return self._fail()

        async def _fail(self) -> None:
            raise KeyError("bug")

    async with runtime(Counter, store=Broken()) as rt:
        with pytest.raises(StorageError, match="KeyError"):
            await rt.get(Counter, "c").get()


# --- a data directory ----------------------------------------------------------------------------


class SetClock:
    """Clocks that a test sets."""

    trust_seconds = 3600.0

    def __init__(self) -> None:
        self.at_ns = 1_000_000_000

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


async def test_a_server_that_only_reads_notices_that_its_directory_is_gone(tmp_path: Path) -> None:
    clock = SetClock()
    async with Runtime(tmp_path / "data", [Counter], clock=clock) as rt:
        counter = rt.get(Counter, "c")
        assert await counter.add() == 1
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        clock.at_ns += TERM_NS
        for _ in range(2):
            with pytest.raises(DirectoryLost, match=str(tmp_path)):
                await counter.get()
        assert isinstance(await rt.host.disowned, DirectoryLost)
        assert len(rt.host.activator.catalog) == 0
        with pytest.raises(DirectoryLost):
            await counter.add()
        with pytest.raises(DirectoryLost):
            await rt.list(Counter)


async def test_a_second_runtime_on_the_path_is_the_only_one_that_answers(tmp_path: Path) -> None:
    clock, data = SetClock(), tmp_path / "data"
    async with Runtime(data, [Counter], clock=clock) as first:
        assert await first.get(Counter, "c").add() == 1
        data.rename(tmp_path / "elsewhere")
        async with Runtime(data, [Counter], clock=SetClock()) as second:
            assert await second.get(Counter, "c").add() == 1
            clock.at_ns += TERM_NS
            assert isinstance(await outcome(first.get(Counter, "c").get()), DirectoryLost)
            assert isinstance(await outcome(first.get(Counter, "c").add()), DirectoryLost)
            assert await second.get(Counter, "c").add() == 2


async def test_waiters_of_an_abandoned_question_are_told() -> None:
    """Directly: the runtime closes only what nobody waits for."""
    store = Asked()
    info = await store.open()
    store.answering = asyncio.Event()
    loop = HostLoop(asyncio.get_running_loop())
    idle: list[None] = []
    own = Ownership(
        loop,
        store,
        info.lanes[0],
        now_ns=lambda: 5,
        on_failed=lambda error: None,
        on_idle=lambda: idle.append(None),
    )
    told: list[StorageError | None] = []
    own.when_proven(5, told.append)
    await settle()
    own.abandon()
    await settle()
    assert [type(error).__name__ for error in told] == ["StorageClosed"]
    assert (own.busy, idle) == (False, [None])
