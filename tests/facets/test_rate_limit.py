"""RateLimit: written against the contract only, and refuses what comes too fast."""

import asyncio

import pytest
from tests.runtime.world import runtime, virtual

from wakeful import (
    Actor,
    ActorBuilder,
    ActorId,
    ActorSpec,
    Call,
    ConfigError,
    Overloaded,
    RateLimit,
    RateLimited,
    Retry,
    VirtualActorConfig,
)


class Worker(Actor):
    done: int = 0

    async def work(self) -> int:
        self.done += 1
        return self.done


def limited(rate: float, burst: int, idle_seconds: float = 3600) -> ActorSpec:
    loop = asyncio.get_running_loop()
    limit = RateLimit(rate, burst, now_ns=lambda: round(loop.time() * 1e9))
    builder = ActorBuilder(Worker).with_facet(limit)
    return builder.with_virtual_actor(VirtualActorConfig(idle_timeout=idle_seconds)).build()


@virtual
async def test_calls_over_the_rate_are_refused_before_they_run() -> None:
    async with runtime(limited(2, burst=3)) as rt:
        ref, other = rt.get(Worker, "w"), rt.get(Worker, "other")
        assert [await ref.work() for _ in range(3)] == [1, 2, 3]
        with pytest.raises(RateLimited) as caught:
            await ref.work()
        assert isinstance(caught.value, Overloaded)
        assert caught.value.code == "rate_limited"
        assert (caught.value.http, caught.value.retry) == (429, Retry.SAFE)
        assert caught.value.retry_after_ns == 500_000_000
        assert await other.work() == 1
        await asyncio.sleep(0.5)
        assert await ref.work() == 4


@virtual
async def test_sleeping_does_not_give_new_tokens() -> None:
    async with runtime(limited(0.001, burst=1, idle_seconds=1)) as rt:
        ref = rt.get(Worker, "w")
        assert await ref.work() == 1
        await asyncio.sleep(10)
        assert len(rt.host.activator.catalog) == 0
        with pytest.raises(Overloaded):
            await ref.work()


def test_sleeping_actors_with_all_their_tokens_cost_nothing() -> None:
    now = 0
    limit = RateLimit(1, 1, now_ns=lambda: now)
    for number in range(10_000):
        actor = ActorId("Worker", str(number))
        limit.before(Call(actor, "work", (), {}))
        now += 100_000_000
        limit.deactivated(actor)
    assert len(limit._buckets) < 200


@pytest.mark.parametrize("rate", [0.3, 1, 3, 7, 11])
def test_who_waits_as_told_is_let_in(rate: float) -> None:
    now = 0
    limit = RateLimit(rate, 1, now_ns=lambda: now)
    call = Call(ActorId("Worker", "w"), "work", (), {})
    limit.before(call)
    for _ in range(100):
        with pytest.raises(Overloaded) as caught:
            limit.before(call)
        now += caught.value.retry_after_ns
        limit.before(call)


@pytest.mark.parametrize(
    ("rate", "burst"),
    [(0, None), (-1, None), (float("nan"), None), (float("inf"), None), (1e-320, None), (1, 0)],
)
def test_rate_that_cannot_be_is_refused(rate: float, burst: int | None) -> None:
    with pytest.raises(ConfigError, match=r"RateLimit\."):
        RateLimit(rate, burst)
