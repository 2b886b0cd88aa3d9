"""MethodMetrics: written against the contract only, and counts what happens."""

import asyncio

import pytest
from tests.runtime.world import runtime, virtual

from wakeful import Actor, ActorBuilder, Call, Facet, MethodMetrics, Reply


class Worker(Actor):
    async def work(self, fails: bool = False) -> str:
        if fails:
            raise ValueError("no")
        return "done"

    async def rest(self) -> None:
        await asyncio.sleep(5)


@virtual
async def test_calls_failures_and_time_are_counted_by_method() -> None:
    times = iter(range(0, 1_000, 10))
    metrics = MethodMetrics(now_ns=lambda: next(times))
    async with runtime(ActorBuilder(Worker).with_facet(metrics).build()) as rt:
        ref = rt.spawn(Worker)
        await ref.work()
        await ref.rest()
        with pytest.raises(ValueError, match="no"):
            await ref.work(fails=True)
    assert (metrics.stats["work"].calls, metrics.stats["work"].failures) == (2, 1)
    assert metrics.stats["work"].busy_ns == 20
    assert metrics.stats["rest"].calls == 1


@virtual
async def test_calls_of_many_actors_at_once_are_told_apart() -> None:
    loop = asyncio.get_running_loop()
    metrics = MethodMetrics(now_ns=lambda: round(loop.time() * 1e9))
    async with runtime(ActorBuilder(Worker).with_facet(metrics).build()) as rt:
        await asyncio.gather(*(rt.spawn(Worker).rest() for _ in range(10)))
    assert metrics.stats["rest"].calls == 10
    assert metrics.stats["rest"].busy_ns == 50_000_000_000


@virtual
async def test_call_answered_by_a_facet_further_in_counts_too() -> None:
    class Cached(Facet):
        priority = 50

        def before(self, call: Call) -> Reply:
            return Reply("cached")

    metrics = MethodMetrics()
    spec = ActorBuilder(Worker).with_facet(Cached()).with_facet(metrics).build()
    async with runtime(spec) as rt:
        assert await rt.spawn(Worker).work() == "cached"
    assert metrics.stats["work"].calls == 1
