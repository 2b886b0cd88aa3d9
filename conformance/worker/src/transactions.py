"""E: transactions."""

import js
from facts import inside, outcome, wait


def rows(storage):
    return storage.sql.exec("SELECT id FROM t ORDER BY id").toArray()


@inside
async def E1(self, given):
    storage = self.ctx.storage

    async def closure(txn):
        await txn.put("a", 1)
        await wait(1)
        await storage.put("b", 2)
        return ["ret", await storage.get("a"), await txn.get("b")]

    return [await storage.transaction(closure), await storage.list()]


@inside
async def E2(self, given):
    storage = self.ctx.storage
    await storage.put("a", 1)
    self.count = 7

    async def closure(txn):
        await txn.put("a", 2)
        await storage.put("b", 2)
        raise js.RangeError.new("no")

    found = await outcome(lambda: storage.transaction(closure))
    return [found, await storage.list(), self.count]


@inside
async def E3(self, given):
    async def closure(txn):
        await txn.put("a", 1)
        txn.rollback()
        txn.rollback()
        return "result"

    return [await self.ctx.storage.transaction(closure), await self.ctx.storage.list()]


@inside
async def E4(self, given):
    async def closure(txn):
        txn.rollback()
        return [await outcome(lambda: txn.get("a")), await outcome(lambda: txn.put("a", 1))]

    return await self.ctx.storage.transaction(closure)


@inside
async def E5(self, given):
    leaked = []

    async def closure(txn):
        leaked.append(txn)

    await self.ctx.storage.transaction(closure)
    txn = leaked[0]
    calls = (lambda: txn.get("a"), lambda: txn.put("a", 1), txn.rollback)
    return [await outcome(call) for call in calls]


@inside
async def E6(self, given):
    storage = self.ctx.storage

    async def fails(txn):
        await txn.put("inner", 1)
        raise js.Error.new("inner")

    async def outer(txn):
        await storage.put("outer", 1)
        return await outcome(lambda: storage.transaction(fails))

    return [await storage.transaction(outer), await storage.list()]


@inside
async def E7(self, given):
    storage = self.ctx.storage
    storage.sql.exec("CREATE TABLE t(id)")

    async def fails(txn):
        storage.sql.exec("INSERT INTO t VALUES (1)")
        await wait(1)
        storage.sql.exec("INSERT INTO t VALUES (2)")
        raise Exception("no")

    async def holds(txn):
        storage.sql.exec("INSERT INTO t VALUES (3)")

    await outcome(lambda: storage.transaction(fails))
    undone = rows(storage)
    await storage.transaction(holds)
    return [undone, rows(storage)]


@inside
async def E9(self, given):
    storage = self.ctx.storage

    def inner():
        storage.kv.put("inner", 1)
        raise Exception("inner")

    def outer():
        storage.kv.put("outer", 1)
        try:
            storage.transactionSync(inner)
        except Exception as error:
            return getattr(error, "message", str(error))

    def fails():
        storage.kv.put("gone", 1)
        raise js.RangeError.new("no")

    found = storage.transactionSync(outer)
    failed = await outcome(lambda: storage.transactionSync(fails))
    return [found, failed, await storage.list()]


@inside
async def E10(self, given):
    async def later():
        return "later"

    return await self.ctx.storage.transactionSync(later)


@inside
async def E12(self, given):
    storage = self.ctx.storage

    async def outer(txn):
        return await storage.transaction(lambda inner: outcome(txn.rollback))

    return await storage.transaction(outer)


@inside
async def E14(self, given):
    storage = self.ctx.storage
    failed = await outcome(lambda: storage.transaction(5))
    return [failed, await storage.transaction(lambda txn: "sync")]
