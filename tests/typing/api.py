"""What mypy must know of the public API without any generated code; checked, never run."""

from typing import assert_type

from wakeful import (
    Actor,
    ActorBuilder,
    ActorContext,
    ActorId,
    ActorSpec,
    Caller,
    DurableObject,
    Message,
    Page,
    Runtime,
    interleave,
    readonly,
)
from wakeful.actor import ActorBehavior


class Counter(DurableObject):
    count: int = 0

    async def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count

    @readonly
    async def value(self) -> int:
        return self.count

    @interleave
    async def names(self, *, prefix: str) -> list[str]:
        await self.ctx.storage.put("k", prefix)
        assert_type(await self.ctx.storage.get("k"), object)
        assert_type(await self.ctx.storage.get("k", type=int), int | None)
        assert_type(await self.ctx.storage.get("k", 0, type=int), int)
        rows = self.ctx.storage.sql.exec("SELECT 1 AS n", into=int)
        assert_type(rows.all(), list[int])
        assert_type(self.ctx.storage.sql.exec("SELECT 1 AS n").one(into=int), int)
        assert_type(await self.ctx.storage.list(), dict[str, object])
        assert_type(self.ctx.id, ActorId)
        assert_type(self.ctx.now_ns(), int)
        other = self.ctx.get(Counter, "other")
        assert_type(self.ctx.get(Counter, "other", timeout=1), Counter)
        assert_type(self.ctx.caller, Caller | None)
        assert_type(other, Counter)
        return [str(await other.value())]

    async def transact(self) -> str:
        async def work() -> str:
            return "done"

        return await self.ctx.storage.transaction(work)


class Worker(Actor):
    def __init__(self, size: int) -> None:
        self.size = size

    async def work(self) -> bytes:
        return bytes(self.size)


class Echo(ActorBehavior):
    async def handle_message(self, ctx: ActorContext, msg: Message) -> None:
        assert_type(msg.payload, bytes)
        await ctx.reply(msg.payload)
        await ctx.reply("text")  # type: ignore[arg-type]


async def main() -> None:
    spec = ActorBuilder(Worker).with_virtual_actor().with_durability().build()
    assert_type(spec, ActorSpec)
    async with Runtime("data", actors=[Counter, spec, Echo]) as rt:
        counter = rt.get(Counter, "c")
        assert_type(counter, Counter)
        assert_type(await counter.increment(by=2), int)
        assert_type(await counter.value(), int)
        assert_type(await counter.names(prefix="x"), list[str])
        await counter.increment("2")  # type: ignore[arg-type]
        await counter.increment(to=2)  # type: ignore[call-arg]
        await counter.names("x")  # type: ignore[call-arg]
        await counter.decrement()  # type: ignore[attr-defined]
        rt.get(Counter, 5)  # type: ignore[arg-type]
        assert_type(rt.get(Counter, "c", timeout=2.5), Counter)
        rt.get(Counter, "c", timeout="2")  # type: ignore[arg-type]
        assert_type(rt.call_from_thread(counter.increment, by=2), int)
        rt.call_from_thread(counter.increment, "2")  # type: ignore[arg-type]
        rt.call_from_thread(counter)  # type: ignore[arg-type]
        worker = rt.spawn(Worker, 10, name="w")
        assert_type(worker, Worker)
        assert_type(await worker.work(), bytes)
        assert_type(await rt.spawn(Echo).ask(b"x"), bytes | None)
        assert_type(await rt.list(Counter, "prefix"), Page)
        await rt.list(int)  # type: ignore[arg-type]
        await rt.delete(Counter, "c")
        await rt.stop(worker)
