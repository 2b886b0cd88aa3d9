"""G: alarms."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

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
