"""From a call to its answer: order, arguments, cancellation, deadlines, overload, call cycles."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    Actor,
    ActorRaised,
    CallCycle,
    DeadlineExceeded,
    DurableObject,
    InvalidArguments,
    InvalidResult,
    Overloaded,
    PartialOutcome,
    ShuttingDown,
    StateInvalid,
    interleave,
)
from wakeful.errors import RuntimeOverloaded

request_id: ContextVar[str] = ContextVar("request_id", default="none")


class Gatekeeper(DurableObject):
    """Waits when told to, and remembers what it did in which order."""

    done: list[str] = []
    _open: asyncio.Event | None = None

    async def wait(self, name: str) -> str:
        self._open = self._open or asyncio.Event()
        await self._open.wait()
        self.done.append(name)
        return name

    async def wait_forever(self) -> None:
        await asyncio.Event().wait()

    async def note(self, name: str) -> str:
        self.done.append(name)
        return name

    async def seen(self) -> list[str]:
        return self.done

    @interleave
    async def open(self) -> None:
        self._open = self._open or asyncio.Event()
        self._open.set()

    @interleave
    async def peek(self) -> list[str]:
        return self.done


@virtual
async def test_busy_actor_runs_one_call_at_a_time_in_order_of_arrival() -> None:
    async with runtime(Gatekeeper) as rt:
        ref = rt.get(Gatekeeper, "g")
        calls = [asyncio.create_task(ref.wait("a"))]
        calls += [asyncio.create_task(ref.note(name)) for name in "bcd"]
        await settle()
        assert await ref.peek() == []
        await ref.open()
        assert await asyncio.gather(*calls) == ["a", "b", "c", "d"]
        assert await ref.seen() == ["a", "b", "c", "d"]


@virtual
async def test_free_actor_needs_no_task_for_a_message() -> None:
    """Straight and inline turns run in their caller; only one runner is parked for the latter."""

    class Plain(Actor):
        async def tasks(self) -> int:
            return len(asyncio.all_tasks())

        async def maybe(self, wait: bool = False) -> int:
            if wait:
                await asyncio.sleep(0)
            return len(asyncio.all_tasks())

    async with runtime(Plain) as rt:
        ref = rt.spawn(Plain)
        await settle()
        before = len(asyncio.all_tasks())
        assert await ref.tasks() == before
        await ref.maybe()
        for _ in range(100):
            assert await ref.maybe() == before + 1


@virtual
async def test_idle_actors_have_no_tasks() -> None:
    async with runtime(Gatekeeper) as rt:
        await settle()
        before = len(asyncio.all_tasks())
        for number in range(100):
            await rt.get(Gatekeeper, str(number)).note("x")
        assert len(asyncio.all_tasks()) == before


@pytest.mark.slow
@virtual
async def test_first_messages_share_one_activation_and_each_is_delivered_once() -> None:
    class Slow(DurableObject):
        got: list[int] = []
        wakes: int = 0

        async def on_activate(self) -> None:
            await asyncio.sleep(1)
            self.wakes += 1

        async def add(self, number: int) -> int:
            self.got.append(number)
            return self.wakes

        async def all(self) -> list[int]:
            return self.got

    async with runtime(Slow, mailbox=10_000) as rt:
        ref = rt.get(Slow, "s")
        assert set(await asyncio.gather(*(ref.add(n) for n in range(10_000)))) == {1}
        assert await ref.all() == list(range(10_000))
        assert rt.host.delivery.waiting == 0


@virtual
async def test_cancelled_caller_that_waits_leaves_no_trace() -> None:
    async with runtime(Gatekeeper) as rt:
        ref = rt.get(Gatekeeper, "g")
        running = asyncio.create_task(ref.wait("a"))
        queued = asyncio.create_task(ref.note("b"))
        await settle()
        queued.cancel()
        await settle()
        await ref.open()
        await running
        assert await ref.seen() == ["a"]
        assert rt.host.delivery.waiting == 0


@virtual
async def test_turn_goes_on_when_its_caller_is_cancelled() -> None:
    async with runtime(Gatekeeper) as rt:
        ref = rt.get(Gatekeeper, "g")
        running = asyncio.create_task(ref.wait("a"))
        await settle()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await ref.open()
        assert await ref.seen() == ["a"]


@virtual
async def test_full_mailbox_refuses_then_recovers() -> None:
    async with runtime(Gatekeeper, mailbox=2) as rt:
        ref = rt.get(Gatekeeper, "g")
        calls = [asyncio.create_task(ref.wait("a"))]
        calls += [asyncio.create_task(ref.note(name)) for name in "bc"]
        await settle()
        with pytest.raises(Overloaded) as caught:
            await ref.note("d")
        assert caught.value.http == 429
        assert caught.value.retry_after_ns > 0
        await ref.open()
        await asyncio.gather(*calls)
        assert await ref.note("e") == "e"
        assert await ref.seen() == ["a", "b", "c", "e"]


@virtual
async def test_all_mailboxes_together_are_bounded() -> None:
    async with runtime(Gatekeeper, calls_waiting=2) as rt:
        one, two = rt.get(Gatekeeper, "1"), rt.get(Gatekeeper, "2")
        calls = [asyncio.create_task(ref.wait("a")) for ref in (one, two)]
        await settle()
        calls += [asyncio.create_task(ref.note("b")) for ref in (one, two)]
        await settle()
        with pytest.raises(RuntimeOverloaded):
            await one.note("c")
        await asyncio.gather(one.open(), two.open())
        await asyncio.gather(*calls)
        assert await one.note("c") == "c"


@virtual
async def test_deadline_cancels_and_undoes_the_turn_and_the_actor_goes_on() -> None:
    class Late(DurableObject):
        count: int = 0

        async def hang(self) -> None:
            self.count += 1
            await asyncio.sleep(3600)

        async def get(self) -> int:
            return self.count

    async with runtime(Late, turn_seconds=5) as rt:
        ref = rt.get(Late, "l")
        hanging = asyncio.create_task(outcome(ref.hang()))
        waiting = asyncio.create_task(ref.get())
        error = await hanging
        assert isinstance(error, DeadlineExceeded)
        assert "Late/l.hang took longer than 5" in str(error)
        assert await waiting == 0


@virtual
async def test_each_of_many_suspended_turns_has_its_own_deadline() -> None:
    class Late(Actor):
        async def hang(self) -> None:
            await asyncio.sleep(3600)

    async with runtime(Late, turn_seconds=5) as rt:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def hang(delay: float) -> float:
            await asyncio.sleep(delay)
            error = await outcome(rt.spawn(Late).hang())
            assert isinstance(error, DeadlineExceeded)
            return round(loop.time() - began, 3)

        assert await asyncio.gather(*map(hang, (0, 1, 4.5))) == [5, 6, 9.5]


@virtual
async def test_turn_that_swallows_its_cancellation_loses_its_actor() -> None:
    """The caller is told after twice the time; the next call has a new activation."""

    class Deaf(DurableObject):
        count: int = 0

        async def hang(self) -> None:
            self.count += 1
            for _ in range(4):
                try:
                    await asyncio.sleep(3)
                except asyncio.CancelledError:
                    self.count += 100

        async def get(self) -> int:
            return self.count

    async with runtime(Deaf, turn_seconds=2) as rt:
        ref = rt.get(Deaf, "d")
        hanging = asyncio.create_task(outcome(ref.hang()))
        waiting = asyncio.create_task(ref.get())
        assert isinstance(await hanging, DeadlineExceeded)
        assert asyncio.get_running_loop().time() == pytest.approx(4, abs=0.01)
        assert await waiting == 0
        assert await ref.get() == 0


@virtual
async def test_turn_that_swallows_its_cancellation_and_returns_is_undone_all_the_same() -> None:
    class Deaf(DurableObject):
        count: int = 0

        async def hang(self) -> str:
            self.count += 1
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                return "fine"
            return "slept"

        async def get(self) -> int:
            return self.count

    async with runtime(Deaf, turn_seconds=2) as rt:
        ref = rt.get(Deaf, "d")
        assert isinstance(await outcome(ref.hang()), DeadlineExceeded)
        assert await ref.get() == 0


class Ring(DurableObject):
    """Asks along a path of names: each asks the next."""

    asked: int = 0

    async def ask(self, path: list[str]) -> int:
        self.asked += 1
        if not path:
            return 0
        return 1 + await self.ctx.get(Ring, path[0]).ask(path[1:])

    async def ask_after(self, seconds: float, name: str) -> int:
        await asyncio.sleep(seconds)
        return await self.ctx.get(Ring, name).ask([])

    async def ask_open(self, name: str) -> int:
        return await self.ctx.get(Ring, name).ask_back(self.ctx.id.name)

    async def ask_back(self, name: str) -> int:
        return await self.ctx.get(Ring, name).quick()

    async def ask_slow(self, name: str, back: str | None) -> int:
        return await self.ctx.get(Ring, name).slow(back)

    @interleave
    async def quick(self) -> int:
        return self.asked

    @interleave
    async def slow(self, back: str | None) -> int:
        await asyncio.sleep(2)
        return 0 if back is None else await self.ctx.get(Ring, back).ask([])


@virtual
@pytest.mark.parametrize("path", [["a"], ["b", "a"], ["b", "c", "a"]])
async def test_call_cycle_is_an_error_that_names_its_methods(path: list[str]) -> None:
    async with runtime(Ring) as rt:
        with pytest.raises(PartialOutcome, match="CallCycle: this call would") as caught:
            await rt.get(Ring, "a").ask(path)  # each has written before it asked
        for name in {"a", *path}:
            assert f"Ring/{name}.ask" in str(caught.value)
        assert await rt.get(Ring, "a").ask([]) == 0


@virtual
async def test_actors_that_ask_each_other_at_once_do_not_hang() -> None:
    async with runtime(Ring) as rt:
        a, b = rt.get(Ring, "a"), rt.get(Ring, "b")
        outcomes = await asyncio.gather(outcome(a.ask_after(1, "b")), outcome(b.ask_after(2, "a")))
        assert isinstance(outcomes[1], CallCycle)
        assert "Ring/b.ask_after -> Ring/a.ask_after" in str(outcomes[1])
        assert outcomes[0] == 0


@virtual
async def test_who_waits_for_a_turn_that_interleaves_waits_for_no_other_turn_of_its_actor() -> None:
    """B waits for `slow` of A, which ends by itself; another turn of A may ask B meanwhile."""
    async with runtime(Ring) as rt:
        a, b = rt.get(Ring, "a"), rt.get(Ring, "b")
        outcomes = await asyncio.gather(
            outcome(a.ask_after(1, "b")), outcome(b.ask_slow("a", None))
        )
        assert outcomes == [0, 0]
        assert asyncio.get_running_loop().time() == pytest.approx(2, abs=0.01)


@virtual
async def test_who_waits_for_a_turn_that_interleaves_waits_for_what_that_asks() -> None:
    async with runtime(Ring) as rt:
        a, b = rt.get(Ring, "a"), rt.get(Ring, "b")
        outcomes = await asyncio.gather(outcome(a.ask_after(1, "c")), outcome(b.ask_slow("a", "b")))
        assert outcomes[0] == 0
        assert isinstance(outcomes[1], CallCycle)
        assert "Ring/a.slow -> Ring/b.ask_slow -> Ring/b.ask" in str(outcomes[1])


@virtual
async def test_interleaved_method_may_be_called_back() -> None:
    async with runtime(Ring) as rt:
        assert await rt.get(Ring, "a").ask_open("b") == 0


@virtual
async def test_actor_may_ask_itself_only_for_what_interleaves() -> None:
    class Self(Actor):
        async def ask_quick(self) -> str:
            return await self.ctx.get(Self, "s").quick()

        async def ask_self(self) -> str:
            task = asyncio.create_task(self.ctx.get(Self, "s").ask_quick())
            return await task

        @interleave
        async def quick(self) -> str:
            return "quick"

    async with runtime(Self) as rt:
        ref = rt.spawn(Self, name="s")
        assert await ref.ask_quick() == "quick"
        with pytest.raises(CallCycle, match=r"Self/s\.ask_self -> Self/s\.ask_quick"):
            await ref.ask_self()


@virtual
async def test_cycle_through_a_waking_actor_is_an_error() -> None:
    """A wakes and asks B, which asks A: A cannot answer before it has woken."""

    class Waking(DurableObject):
        async def on_activate(self) -> None:
            if self.ctx.id.name == "a":
                await self.ctx.get(Waking, "b").ask_a()

        async def ask_a(self) -> None:
            await self.ctx.get(Waking, "a").hello()

        async def hello(self) -> None:
            pass

    async with runtime(Waking) as rt:
        error = await outcome(rt.get(Waking, "a").hello())
        assert isinstance(error, CallCycle)
        assert "Waking/a.on_activate" in str(error)
        assert asyncio.get_running_loop().time() < 1


@pytest.mark.slow
@virtual
async def test_long_chain_of_calls_does_not_exhaust_the_stack() -> None:
    async with runtime(Ring) as rt:
        names = [f"r{n}" for n in range(2_000)]
        for name in names:
            await rt.get(Ring, name).ask([])
        assert await rt.get(Ring, names[0]).ask(names[1:]) == 1_999


@virtual
async def test_queued_call_sees_the_context_variables_of_its_caller() -> None:
    class Reader(Actor):
        async def read(self, seconds: float) -> str:
            await asyncio.sleep(seconds)
            return request_id.get()

    async with runtime(Reader) as rt:
        ref = rt.spawn(Reader)

        async def call(name: str) -> str:
            request_id.set(name)
            return await ref.read(1)

        names = ["a", "b", "c"]
        assert await asyncio.gather(*map(call, names)) == names


@virtual
async def test_context_variable_set_in_a_waiting_method_does_not_reach_the_caller() -> None:
    class Writer(Actor):
        async def write(self) -> str:
            token = request_id.set("actor")
            await asyncio.sleep(1)
            seen = request_id.get()
            request_id.reset(token)
            request_id.set("left behind")
            return seen

    async with runtime(Writer) as rt:
        request_id.set("caller")
        assert await rt.spawn(Writer).write() == "actor"
        assert request_id.get() == "caller"


class Signature(Actor):
    async def mixed(self, a: int, /, b: str = "b", *, c: bytes = b"c") -> str:
        return f"{a} {b} {c!r}"

    async def keyword_only(self, *, a: int) -> int:
        return a

    async def none(self) -> str:
        return "none"

    async def items(self, items: list[Any]) -> list[Any]:
        items.append("seen")
        self._kept = items
        return items

    async def kept(self) -> list[Any]:
        return self._kept

    async def wrong_result(self) -> int:
        return "text"  # type: ignore[return-value]


@virtual
@pytest.mark.parametrize(
    ("args", "kwargs", "answer"),
    [
        ((1,), {}, "1 b b'c'"),
        ((1, "x"), {"c": b"y"}, "1 x b'y'"),
        ((1,), {"b": "x"}, "1 x b'c'"),
    ],
)
async def test_arguments_are_given_by_position_and_by_name(
    args: tuple[Any, ...], kwargs: dict[str, Any], answer: str
) -> None:
    async with runtime(Signature) as rt:
        assert await rt.spawn(Signature).mixed(*args, **kwargs) == answer


@virtual
@pytest.mark.parametrize(
    ("method", "args", "kwargs", "field"),
    [
        ("mixed", (), {}, "a"),
        ("mixed", (), {"a": 1}, "a"),
        ("mixed", ("1",), {}, "a"),
        ("mixed", (1, 2), {}, "b"),
        ("mixed", (1, "b", b"c"), {}, None),
        ("mixed", (1, "b"), {"b": "b"}, "b"),
        ("mixed", (1,), {"d": 1}, "d"),
        ("keyword_only", (), {}, "a"),
        ("keyword_only", (1,), {}, None),
        ("none", (1,), {}, None),
        ("none", (), {"self": 1}, "self"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_before_anything_runs(
    method: str, args: tuple[Any, ...], kwargs: dict[str, Any], field: str | None
) -> None:
    async with runtime(Signature) as rt:
        ref = rt.spawn(Signature)
        with pytest.raises(InvalidArguments) as caught:
            await getattr(ref, method)(*args, **kwargs)
        assert caught.value.field == field
        assert method in str(caught.value) or (field is not None and field in str(caught.value))


@virtual
async def test_wrong_arguments_do_not_wake_an_actor() -> None:
    async with runtime(Gatekeeper) as rt:
        with pytest.raises(InvalidArguments):
            await rt.get(Gatekeeper, "g").note(5)  # type: ignore[arg-type]
        assert len(rt.host.activator.catalog) == 0


@virtual
async def test_arguments_and_results_are_passed_by_value() -> None:
    async with runtime(Signature) as rt:
        ref = rt.spawn(Signature)
        mine: list[Any] = [1]
        theirs = await ref.items(mine)
        assert mine == [1]
        assert theirs == [1, "seen"]
        theirs.append("changed")
        assert await ref.kept() == [1, "seen"]


class Bytes(Actor):
    def __init__(self) -> None:
        self.held = bytearray(b"a")

    async def swap(self, other: bytearray) -> bytearray:
        before, self.held = self.held, other
        return before

    async def same(self) -> bytearray:
        return self.held


@virtual
async def test_bytearrays_are_passed_by_value() -> None:
    async with runtime(Bytes) as rt:
        ref, mine = rt.spawn(Bytes), bytearray(b"b")
        await ref.swap(mine)
        mine.append(0)
        (await ref.same()).append(1)
        assert await ref.same() == b"b"


@virtual
async def test_result_that_does_not_fit_its_annotation_is_an_error_that_names_the_method() -> None:
    async with runtime(Signature) as rt:
        with pytest.raises(InvalidResult, match=r"Signature\.wrong_result returned .*int, got str"):
            await rt.spawn(Signature).wrong_result()


class Raises(DurableObject):
    count: int = 0
    items: list[int] = []

    async def fail(self, error: str) -> None:
        self.count += 1
        self.items.append(1)
        raise {"value": ValueError("no"), "exit": SystemExit(3), "stop": StopIteration(1)}[error]

    async def fail_later(self, error: str) -> None:
        self.items.append(1)
        await asyncio.sleep(0)
        await self.fail(error)

    async def cancel(self, wait: bool) -> None:
        self.count += 1
        if wait:
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def cancel_at_once(self) -> None:
        raise asyncio.CancelledError

    async def get(self) -> tuple[int, list[int]]:
        return self.count, self.items


@virtual
@pytest.mark.parametrize("method", ["fail", "fail_later"])
@pytest.mark.parametrize(
    ("name", "kind"), [("value", ValueError), ("exit", ActorRaised), ("stop", RuntimeError)]
)
async def test_exception_reaches_the_caller_and_undoes_the_turn(
    method: str, name: str, kind: type[BaseException]
) -> None:
    async with runtime(Raises) as rt:
        ref = rt.get(Raises, "r")
        with pytest.raises(kind):
            await getattr(ref, method)(name)
        assert await ref.get() == (0, [])


@virtual
async def test_method_that_is_cancelled_from_inside_does_not_cancel_its_caller() -> None:
    async with runtime(Raises) as rt:
        ref = rt.get(Raises, "r")
        for call in (ref.cancel(False), ref.cancel(True), ref.cancel_at_once()):
            with pytest.raises(ActorRaised, match="cancelled from inside"):
                await call
        assert await ref.get() == (0, [])
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


@virtual
async def test_one_runtime_calls_another() -> None:
    """A turn's writes go to its own store before its call leaves, wherever the call goes."""

    class Local(DurableObject):
        count: int = 0

        async def relay(self) -> int:
            self.count += 1
            return await there.add()

        async def add(self) -> int:
            self.count += 10
            return self.count

    first, second = FlakyStore(), FlakyStore()
    async with runtime(Local, store=first) as one, runtime(Local, store=second) as two:
        there = two.get(Local, "there")
        assert await one.get(Local, "here").relay() == 10
        assert [r.name for batch in first.batches for r in batch] == ["here"]
        assert [r.name for batch in second.batches for r in batch] == ["there"]


@virtual
async def test_outgoing_call_leaves_only_when_what_it_may_reveal_is_durable() -> None:
    class Teller(DurableObject):
        count: int = 0

        async def tell(self) -> None:
            self.count += 1
            await log.note("told")

    store = FlakyStore()
    async with runtime(Teller, Gatekeeper, store=store) as rt:
        log = rt.get(Gatekeeper, "log")
        assert await log.seen() == []
        store.held = asyncio.Event()
        telling = asyncio.create_task(rt.get(Teller, "t").tell())
        await asyncio.sleep(5)
        assert await log.seen() == []
        store.held.set()
        await telling
        assert await log.seen() == ["told"]


@virtual
async def test_answer_waits_for_the_writes_it_may_reveal() -> None:
    store = FlakyStore()
    async with runtime(Gatekeeper, store=store) as rt:
        ref = rt.get(Gatekeeper, "g")
        store.held = asyncio.Event()
        writing = asyncio.create_task(ref.note("a"))
        await settle()
        reading = asyncio.create_task(ref.seen())
        await asyncio.sleep(5)
        assert not writing.done()
        assert not reading.done()
        store.held.set()
        assert await reading == ["a"]
        assert await writing == "a"


@virtual
async def test_call_after_close_is_refused() -> None:
    async with runtime(Gatekeeper) as rt:
        ref = rt.get(Gatekeeper, "g")
        await ref.note("a")
    with pytest.raises(ShuttingDown):
        await ref.note("b")


@virtual
async def test_interleaved_turn_joins_at_a_commit_point() -> None:
    """What the other turn has done so far is committed: undoing one does not undo that."""

    class Joined(DurableObject):
        log: list[str] = []

        async def slow(self) -> None:
            self.log.append("slow began")
            await asyncio.sleep(10)
            self.log.append("slow ended")

        @interleave
        async def fail(self) -> None:
            self.log.append("failed")
            raise ValueError("no")

        @interleave
        async def seen(self) -> list[str]:
            return self.log

    async with runtime(Joined) as rt:
        ref = rt.get(Joined, "j")
        slow = asyncio.create_task(ref.slow())
        await asyncio.sleep(1)
        with pytest.raises(ValueError, match="no"):
            await ref.fail()
        assert await ref.seen() == ["slow began"]
        await slow
        assert await ref.seen() == ["slow began", "slow ended"]


@virtual
async def test_turn_that_fails_takes_no_answered_change_of_another_with_it() -> None:
    """Each step is of one turn, and undone with that only."""

    class Joined(DurableObject):
        log: list[str] = []

        @interleave
        async def note(self, text: str, seconds: float, *, fail: bool = False) -> None:
            self.log.append(text)
            await asyncio.sleep(seconds)
            if fail:
                raise ValueError(text)

        async def seen(self) -> list[str]:
            return self.log

    async with runtime(Joined) as rt:
        ref = rt.get(Joined, "j")
        first = asyncio.create_task(ref.note("fails", 2, fail=True))
        await asyncio.sleep(1)
        second = asyncio.create_task(ref.note("beside", 5))
        assert isinstance(await outcome(first), ValueError)
        assert await outcome(second) is None
        assert await ref.seen() == ["fails", "beside"]  # the first was saved when the second joined


@virtual
async def test_interleaved_call_is_refused_while_the_state_cannot_be_committed() -> None:
    class Half(DurableObject):
        count: int = 0

        async def halfway(self) -> None:
            self.count = "half"  # type: ignore[assignment]
            await asyncio.sleep(10)
            self.count = 1

        @interleave
        async def get(self) -> int:
            return self.count

    async with runtime(Half) as rt:
        ref = rt.get(Half, "h")
        slow = asyncio.create_task(ref.halfway())
        await asyncio.sleep(1)
        with pytest.raises(StateInvalid):
            await ref.get()
        await slow
        assert await ref.get() == 1
