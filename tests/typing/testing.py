"""What mypy must know of tests that use the plugin's fixtures; checked, never run."""

from typing import assert_type

from wakeful import ActorContext, ActorId, DurableObject
from wakeful.testing.harness import RuntimeHarness, StartRuntime
from wakeful.testing.worker_harness import Response, StartWorker, WorkerHarness


class Counter(DurableObject):
    count: int = 0

    async def increment(self) -> int:
        self.count += 1
        return self.count


async def slow(counter: Counter, ctx: ActorContext) -> int:
    return await counter.increment()


def quick(counter: Counter, ctx: ActorContext) -> str:
    return str(ctx.id)


async def test_actors(runtime: StartRuntime) -> None:
    rt = await runtime(Counter)
    assert_type(rt, RuntimeHarness)
    counter = rt.get(Counter, "a")
    assert_type(counter, Counter)
    assert_type(await rt.run_in(counter, slow), int)
    assert_type(await rt.run_in(counter, quick), str)
    assert_type(await rt.run_in(counter, lambda counter, _: counter.count), int)
    assert_type(await rt.run_alarm(counter), bool)
    assert_type(await rt.evict(counter), bool)
    assert_type(await rt.ids(Counter), list[ActorId])
    await rt.advance("a day")  # type: ignore[arg-type]
    await runtime("Counter")  # type: ignore[arg-type]


async def test_worker(worker: StartWorker) -> None:
    app = await worker("path", environment="staging")
    assert_type(app, WorkerHarness)
    assert_type(await app.fetch("/", method="POST"), Response)
    assert_type(await app.run_in_durable_object(app.env.COUNTER.getByName("a"), slow), int)
    await worker(outgoing=lambda request: Response(request.url))
    await worker(outgoing=lambda request: request.url)  # type: ignore[arg-type, return-value]
