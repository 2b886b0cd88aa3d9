"""The contract: order, short circuits, results, errors, and nothing for types without facets."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest
from tests.runtime.world import outcome, runtime, settle, virtual

from wakeful import Actor, ActorBuilder, ActorId, Call, ConfigError, DurableObject, Facet, Reply
from wakeful.facet import Chain, overridden


class Subject(Actor):
    async def work(self, value: str = "x") -> str:
        log.append(f"work {value}")
        if value == "fail":
            raise ValueError("no")
        return value

    async def wait(self) -> str:
        await asyncio.sleep(1)
        return "waited"


log: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


class Tracing(Facet):
    """Notes what it sees, and does what it is told."""

    def __init__(self, name: str, priority: int = 100, **hooks: Callable[..., Any]) -> None:
        self.name = name
        self.priority = priority  # type: ignore[misc]
        self.hooks = hooks

    def before(self, call: Call) -> Any:
        log.append(f"{self.name} before")
        return self.hooks.get("before", lambda call: None)(call)

    def after(self, call: Call, result: object) -> Any:
        log.append(f"{self.name} after {result}")
        return self.hooks.get("after", lambda call, result: result)(call, result)

    def failed(self, call: Call, error: Exception) -> Any:
        log.append(f"{self.name} failed {type(error).__name__}")
        return self.hooks.get("failed", lambda call, error: None)(call, error)

    def activated(self, actor: ActorId) -> None:
        log.append(f"{self.name} activated {actor}")

    def deactivated(self, actor: ActorId) -> None:
        log.append(f"{self.name} deactivated {actor}")


async def play(*facets: Facet, method: str = "work", **kwargs: Any) -> Any:
    """What a call gives or raises with these facets."""
    builder = ActorBuilder(Subject)
    builder._facets.extend(facets)
    async with runtime(builder.build()) as rt:
        ref = rt.spawn(Subject, name="s")
        log.clear()
        return await outcome(getattr(ref, method)(**kwargs))


@virtual
async def test_lower_priority_is_further_out() -> None:
    await play(Tracing("in", 20), Tracing("out", 10))
    assert log[:5] == ["out before", "in before", "work x", "in after x", "out after x"]


@virtual
async def test_equal_priority_keeps_the_order_given() -> None:
    await play(Tracing("first"), Tracing("second"))
    assert log[:2] == ["first before", "second before"]


@virtual
async def test_reply_from_before_goes_through_the_facets_further_out_only() -> None:
    inner = Tracing("in", 20, before=lambda call: Reply("short"))
    assert await play(Tracing("out", 10), inner) == "short"
    assert log[:3] == ["out before", "in before", "out after short"]


@virtual
async def test_reply_of_none_is_a_reply() -> None:
    class Nothing(Subject):
        async def work(self, value: str = "x") -> str | None:  # type: ignore[override]
            return value

    spec = ActorBuilder(Nothing).with_facet(Tracing("a", before=lambda call: Reply(None))).build()
    async with runtime(spec) as rt:
        assert await rt.spawn(Nothing).work() is None


@virtual
async def test_after_replaces_the_result() -> None:
    shout = Tracing("a", after=lambda call, result: result.upper())
    assert await play(shout, Tracing("b", 0)) == "X"
    assert log[3:5] == ["a after x", "b after X"]


@virtual
async def test_before_replaces_arguments() -> None:
    def change(call: Call) -> None:
        assert (call.actor, call.method) == (ActorId("Subject", "s"), "work")
        call.kwargs = {"value": call.kwargs["value"] + "!"}

    assert await play(Tracing("a", before=change), value="hi") == "hi!"


@virtual
async def test_failed_sees_the_error_and_may_answer_replace_or_leave_it() -> None:
    def other(call: Call, error: Exception) -> None:
        raise KeyError("other")

    outer = Tracing("out", 10)
    error = await play(outer, Tracing("in", 20), value="fail")
    assert isinstance(error, ValueError)
    assert log[3:5] == ["in failed ValueError", "out failed ValueError"]
    error = await play(outer, Tracing("in", 20, failed=other), value="fail")
    assert isinstance(error, KeyError)
    assert log[4] == "out failed KeyError"
    inner = Tracing("in", 20, failed=lambda call, error: Reply("instead"))
    assert await play(outer, inner, value="fail") == "instead"
    assert log[4] == "out after instead"


@virtual
async def test_error_from_before_or_after_is_seen_further_out_only() -> None:
    def boom(*args: object) -> None:
        raise ValueError("boom")

    for hooks in ({"before": boom}, {"after": boom}):
        inner = Tracing("in", 20, **hooks)  # type: ignore[arg-type]
        assert isinstance(await play(Tracing("out", 10), inner), ValueError)
        assert "out failed ValueError" in log
        assert "in failed ValueError" not in log


@virtual
async def test_hooks_may_be_async() -> None:
    class Slow(Facet):
        async def before(self, call: Call) -> None:  # type: ignore[override]
            await asyncio.sleep(1)

        async def after(self, call: Call, result: object) -> object:
            await asyncio.sleep(1)
            return f"slow {result}"

        async def failed(self, call: Call, error: Exception) -> Reply:  # type: ignore[override]
            await asyncio.sleep(1)
            return Reply("rescued")

    assert await play(Slow()) == "slow x"
    assert await play(Slow(), value="fail") == "rescued"
    assert asyncio.get_running_loop().time() == 4


@virtual
async def test_async_hook_does_not_let_the_next_message_in() -> None:
    class Slow(Facet):
        async def before(self, call: Call) -> None:  # type: ignore[override]
            log.append("begins")
            await asyncio.sleep(1)

    async with runtime(ActorBuilder(Subject).with_facet(Slow()).build()) as rt:
        ref = rt.spawn(Subject)
        await asyncio.gather(ref.work("a"), ref.work("b"))
    assert log == ["begins", "work a", "begins", "work b"]


@virtual
async def test_wrapped_async_hook_is_an_async_hook() -> None:
    class Wrapped(Facet):
        async def _before(self, call: Call) -> Reply:
            await asyncio.sleep(1)
            return Reply("wrapped")

        @functools.wraps(_before)
        def before(self, call: Call) -> Any:
            return self._before(call)

    assert await play(Wrapped()) == "wrapped"


@virtual
async def test_plain_hook_that_returns_an_awaitable_is_an_error_that_says_what_to_write() -> None:
    """It was compiled as one that does not wait: waiting would break one at a time."""

    async def late(call: Call) -> None:
        await asyncio.sleep(1)

    error = await play(Tracing("a", before=late))
    assert isinstance(error, TypeError)
    assert "make it `async def`" in str(error)


@virtual
async def test_hook_that_returns_something_else_is_an_error_that_names_it() -> None:
    error = await play(Tracing("a", before=lambda call: "text"))
    assert isinstance(error, TypeError)
    assert "Tracing.before must return a Reply or None, not str" in str(error)


@virtual
async def test_answer_in_place_of_an_error_does_not_keep_what_the_method_did() -> None:
    class Rescue(Facet):
        def failed(self, call: Call, error: Exception) -> Reply:
            return Reply(-1)

    class Durable(DurableObject):
        count: int = 0
        facets = (Rescue(),)

        async def add(self, wait: bool, fails: bool) -> int:
            self.count += 1
            if wait:
                await asyncio.sleep(0)
            if fails:
                raise ValueError
            return self.count

        async def add_straight(self, fails: bool) -> int:
            self.count += 1
            if fails:
                raise ValueError
            return self.count

    async with runtime(Durable) as rt:
        ref = rt.get(Durable, "d")
        assert await ref.add(wait=True, fails=True) == -1
        assert await ref.add(wait=False, fails=True) == -1
        assert await ref.add_straight(fails=True) == -1
        assert await ref.add_straight(fails=False) == 1
        assert await ref.add(wait=True, fails=False) == 2


@virtual
async def test_facet_is_told_of_waking_and_of_every_kind_of_end() -> None:
    class Ends(DurableObject):
        facets = (Tracing("f"),)

        async def hello(self) -> None: ...

        async def abort(self) -> None:
            self.ctx.abort()

    async with runtime(Ends) as rt:
        ref = rt.get(Ends, "e")
        await ref.hello()
        await asyncio.sleep(11)
        await outcome(ref.abort())
        await ref.hello()
        await rt.delete(Ends, "e")
    told = [line for line in log if "activated" in line]
    assert told == ["f activated Ends/e", "f deactivated Ends/e"] * 3


@virtual
@pytest.mark.parametrize("hook", ["activated", "deactivated"])
async def test_hook_of_the_life_cycle_that_fails_stops_nobody_else(hook: str) -> None:
    class Breaks(Facet):
        pass

    def fail(actor: ActorId) -> None:
        if actor.name == "bad":
            raise ValueError("facet")

    facet = Breaks()
    setattr(facet, hook, fail)

    class Sleeper(DurableObject):
        facets = (facet,)

        async def hello(self) -> str:
            return "hello"

    async with runtime(Sleeper) as rt:
        for name in ("a", "bad", "c"):
            await outcome(rt.get(Sleeper, name).hello())
        await asyncio.sleep(11)
        assert len(rt.host.activator.catalog) == 0
        assert await rt.get(Sleeper, "d").hello() == "hello"
        await asyncio.sleep(11)
        assert len(rt.host.activator.catalog) == 0


@virtual
async def test_cancelled_method_is_no_error_for_facets() -> None:
    async with runtime(ActorBuilder(Subject).with_facet(Tracing("f")).build()) as rt:
        ref = rt.spawn(Subject, name="s")
        call = asyncio.create_task(outcome(ref.wait()))
        await settle()
        await rt.delete(Subject, "s")
        await call
    assert [line for line in log if "failed" in line] == []


def test_type_without_hooks_has_no_chain() -> None:
    class Silent(Facet):
        pass

    chain = Chain([Silent()])
    assert chain.wrap(Subject.work, "work", "Subject") is Subject.work
    assert not overridden(Silent(), "before")


def test_facet_is_an_instance_of_facet() -> None:
    with pytest.raises(ConfigError, match="instance of a subclass of Facet"):
        Chain([Facet])  # type: ignore[list-item]
