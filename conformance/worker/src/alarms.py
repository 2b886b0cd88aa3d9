"""G: alarms."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import js
from facts import inside, now, outcome

FAR = 4_000_000_000_000


@inside
async def G1(self, given):
    return await self.ctx.storage.getAlarm()


@inside
async def G2(self, given):
    storage, found = self.ctx.storage, []
    moment = datetime.fromtimestamp(FAR / 1000, UTC) + timedelta(milliseconds=500)
    for when in (FAR, moment, FAR + 0.7):
        await storage.setAlarm(when)
        found.append(await storage.getAlarm())
    return found


@inside
async def G4(self, given):
    storage = self.ctx.storage
    times = (0, -5, float("nan"))
    return [await outcome(lambda when=when: storage.setAlarm(when)) for when in times]


@inside
async def G5(self, given):
    storage, began = self.ctx.storage, now()
    await storage.setAlarm(1)
    shown = await storage.getAlarm()
    await storage.deleteAlarm()
    return [abs(shown - began) < 2000, await storage.getAlarm()]


@inside
async def G6(self, given):
    return await outcome(lambda: self.ctx.storage.setAlarm(now() + 1000))


@inside
async def G18(self, given):
    return [await self.ctx.storage.deleteAlarm(), await self.ctx.storage.getAlarm()]


@inside
async def G25(self, given):
    storage = self.ctx.storage

    async def fails(txn):
        await txn.setAlarm(FAR)
        raise Exception("no")

    async def holds(txn):
        await txn.setAlarm(FAR)

    await outcome(lambda: storage.transaction(fails))
    undone = await storage.getAlarm()
    await storage.transaction(holds)
    return [undone, await storage.getAlarm()]


@inside
async def ring(self, given):
    storage = self.ctx.storage
    await storage.put("plan", given.get("plan", "quiet"))
    if "first" in given:
        await storage.setAlarm(now() + int(given["first"]))
    await storage.setAlarm(now() + int(given["after"]))


@inside
async def rings(self, given):
    rings = await self.ctx.storage.get("rings") or []
    times = [ring["at"] for ring in rings]
    facts = [{key: value for key, value in ring.items() if key != "at"} for ring in rings]
    gaps = [after - before for before, after in pairwise(times)]
    alarm = await self.ctx.storage.getAlarm()
    return {"rings": facts, "gaps": gaps, "set": alarm, "log": self.log}


@inside
async def G15(self, given):
    rings = await self.ctx.storage.get("rings") or []
    return {"count": len(rings), "at": rings[0]["at"] if rings else 2**53 - 1}


@inside
async def G17(self, given):
    return await self.ctx.storage.get("named")


@inside
async def say(self, given):
    self.log.append(given["value"])


@inside
async def G26(self, given):
    storage, found = self.ctx.storage, []
    for when in (
        *(4e12, 4e12 + 0.9, "4000000000000", "x", "", True, 0.5, 1e300, float("inf")),
        *(float("-inf"), {}, [], js.Date.new(-1), js.Date.new(4e12)),
        *(2**60, 8.64e15, 8.64e15 + 1, 9223372036854, 9223372036855),
    ):
        found.append(await outcome(lambda when=when: storage.setAlarm(when)))
        alarm = await storage.getAlarm()
        found.append(alarm if alarm is None or alarm > 3e12 else "now")
        await storage.deleteAlarm()
    return found


@inside
async def G27(self, given):
    storage = self.ctx.storage
    found = [
        await outcome(call)
        for call in (
            *(lambda: storage.setAlarm(4e12, 5), lambda: storage.getAlarm(5)),
            lambda: storage.deleteAlarm("x"),
            lambda: storage.setAlarm(4e12, allowUnconfirmed=True, allowConcurrency=True),
            lambda: storage.getAlarm(allowConcurrency=True),
            lambda: storage.deleteAlarm({"allowConcurrency": True}),
            *(lambda: storage.deleteAll(5), lambda: storage.deleteAlarm()),
            lambda: storage.getAlarm(),
        )
    ]

    async def fails(inner):
        await inner.deleteAlarm()
        raise js.Error.new("no")

    async def holds(inner):
        await inner.setAlarm(4e12 + 1)

    async def outer(txn):
        await txn.setAlarm(4e12)
        await outcome(lambda: storage.transaction(fails))
        found.append(await txn.getAlarm())
        await storage.transaction(holds)
        found.append(await storage.getAlarm())
        txn.rollback()

    def sync_fails():
        storage.deleteAlarm()
        raise js.Error.new("no")

    await storage.transaction(outer)
    found.append(await storage.getAlarm())
    storage.transactionSync(lambda: storage.setAlarm(4e12))
    found.append(await storage.getAlarm())
    await outcome(lambda: storage.transactionSync(sync_fails))
    return [*found, await storage.getAlarm()]
