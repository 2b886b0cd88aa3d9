"""E: transactions."""

import asyncio

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


@inside
async def E15(self, given):
    storage, found = self.ctx.storage, []

    async def third(txn):
        await txn.put("three", 3)
        txn.rollback()

    async def inner(txn):
        await txn.put("two", 2)
        await storage.transaction(third)
        found.append(list(await txn.list()))
        await txn.delete("one")

    async def fails(txn):
        await txn.put("four", 4)
        raise js.TypeError.new("four")

    async def outer(txn):
        await txn.put("one", 1)
        await storage.transaction(inner)
        found.append(list(await txn.list()))
        found.append(await outcome(lambda: storage.transaction(fails)))
        found.append(await txn.get(["two", "four"]))

    async def keeps(txn):
        await txn.put("kept?", 1)

    async def undoes(txn):
        await storage.transaction(keeps)
        txn.rollback()

    await storage.transaction(outer)
    await storage.transaction(undoes)
    return [*found, await storage.list()]


@inside
async def E16(self, given):
    storage, found = self.ctx.storage, []

    async def tried(callback):
        found.append(await outcome(lambda: storage.transaction(callback)))
        found.append(list(await storage.list()))

    async def after(txn):
        txn.rollback()
        await storage.put("after rollback", 1)

    async def text(txn):
        raise js.Error.new("text")

    def at_once(txn):
        raise js.RangeError.new("at once")

    async def nothing(txn):
        await txn.put("a", 1)
        await txn.put("b")

    async def everything(txn):
        return [
            *(await txn.put({"a": 1, "b": 2}), await txn.delete(["a", "x"]), await txn.getAlarm()),
            *(await txn.setAlarm(4_000_000_000_000), await txn.getAlarm()),
            *(await txn.deleteAlarm(), await txn.getAlarm()),
        ]

    async def clears(txn):
        return await outcome(lambda: txn.deleteAll())

    async def kinds(txn):
        names = ("sql", "kv", "rollback", "sync")
        return ["function" if hasattr(txn, name) else "undefined" for name in names]

    for callback in (after, text, at_once, nothing, everything, clears, kinds):
        await tried(callback)
    return found


@inside
async def E19(self, given):
    storage = self.ctx.storage

    def put(key, then):
        storage.kv.put(key, 1)
        return then()

    def fail():
        raise js.Error.new("undone")

    async def sync(txn):
        return storage.transactionSync(lambda: put("sync", lambda: 5))

    async def sync_fails(txn):
        return await outcome(lambda: storage.transactionSync(lambda: put("undone", fail)))

    found = [
        await outcome(lambda work=work: storage.transaction(work)) for work in (sync, sync_fails)
    ]
    return [*found, list(await storage.list())]


@inside
async def E17(self, given):
    storage, found = self.ctx.storage, []
    sql, sync = storage.sql, storage.transactionSync
    sql.exec("CREATE TABLE t(id)")

    def add(id, then=None):
        sql.exec("INSERT INTO t VALUES (?)", id)
        return then() if then else None

    def fail(text="no"):
        raise js.Error.new(text)

    def first():
        add(1)
        try:
            sync(lambda: add(2, fail))
        except Exception:
            add(3)
        return sync(lambda: add(4, lambda: "four"))

    def second():
        add(5)
        sync(lambda: add(6))
        storage.kv.put("x", 1)
        raise js.RangeError.new("all")

    found += [sync(first), rows(storage)]
    found += [await outcome(lambda: sync(second)), rows(storage), storage.kv.get("x")]
    cursor = sql.exec("SELECT id FROM t ORDER BY id")
    found.append(cursor.next().value)
    await outcome(lambda: sync(lambda: add(7, fail)))
    found.append(rows(storage))
    found += [await outcome(lambda: sync(5)), sync(lambda: None), sync(lambda *args: len(args))]
    sync(lambda: sql.exec("CREATE TABLE made(a)"))

    def unmade():
        sql.exec("CREATE TABLE unmade(a)")
        fail()

    await outcome(lambda: sync(unmade))
    text = "SELECT name FROM sqlite_master WHERE name LIKE '%made'"
    return [*found, sql.exec(text).toArray()]


@inside
async def E18(self, given):
    storage, order = self.ctx.storage, []

    async def one(txn):
        order.append("one begins")
        await wait(30)
        await txn.put("n", (await txn.get("n") or 0) + 1)
        order.append("one ends")

    async def two(txn):
        order.append("two begins")
        await txn.put("n", (await txn.get("n") or 0) + 1)
        await wait(1)
        order.append("two ends")

    await asyncio.gather(storage.transaction(one), storage.transaction(two))
    return [order, await storage.get("n")]
