"""Programs, from programs.json: steps that both sides take alike, and what each comes to."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import js
from facts import failure, in_object, inside, now, outcome, plain, wait

PROGRAMS = json.loads((Path(__file__).parent / "programs.json").read_text())
FAR = 3e12  # an alarm before it is near, and shown as such
UNREAD = re.compile(r"\s*(create|alter|drop|analyze|reindex)\b", re.I)  # counted differently
rung = {}  # by name: what each run of its alarm has come to

MADE = {
    "$date": lambda ms: datetime.fromtimestamp(0) + timedelta(milliseconds=ms),
    "$bytes": bytes,
    "$number": float,
    "$bigint": int,
    "$set": lambda items: {given(item) for item in items},
    "$map": lambda pairs: {given(key): given(value) for key, value in pairs},
    "$error": Exception,
    "$function": lambda _: lambda: 1,
    "$times": lambda pair: pair[0] * pair[1],
}


def given(value):
    if isinstance(value, list):
        return [given(item) for item in value]
    if not isinstance(value, dict):
        return value
    for name, make in MADE.items():
        if name in value:
            return make(value[name])
    return {key: given(item) for key, item in value.items()}


def brief(found):
    """Why a value has no copy is said differently."""
    return found["error"] if found.get("error") == "DataCloneError" else found


def at_once(call):
    try:
        return plain(call())
    except Exception as error:
        return brief(failure(error))


async def later(call):
    found = await outcome(call)
    return found["value"] if "value" in found else brief(found)


class Run:
    """One program under way: what it has to do with, and what it holds by name."""

    def __init__(self, storage, txn=None, held=None):
        self.storage = storage
        self.txn = txn
        self.held = {} if held is None else held

    async def take(self, steps):
        return [await self.step(one) for one in steps]

    async def step(self, one):
        kind, *args = one
        match kind:
            case "storage":
                return await later(lambda: self.named(self.storage, *args))
            case "txn":
                return await later(lambda: self.named(self.txn, *args))
            case "wait":
                return await wait(args[0])
            case "set in":
                return await later(lambda: self.storage.setAlarm(now() + args[0]))
            case "alarm":
                due = await self.storage.getAlarm()
                return due if due is None or due > FAR else "near"
            case "transaction":
                return await self.transaction(*args)
        return self.step_at_once(one)

    async def named(self, storage, method, *args):
        args = given(list(args))
        found = getattr(storage, method)(*args)
        found = await found if hasattr(found, "__await__") else found
        several = method == "list" or (method == "get" and isinstance(args[0], list))
        return [list(pair) for pair in found.items()] if several else found

    async def transaction(self, steps, end):
        inner = []

        async def work(txn):
            run = Run(self.storage, txn, self.held)
            for one in steps:
                inner.append(await run.step(one))
            if end == "throw":
                raise js.RangeError.new("no")
            if end == "roll back":
                txn.rollback()
            return end

        return [inner, await later(lambda: self.storage.transaction(work))]

    def step_at_once(self, one):
        kind, *args = one
        if kind != "at once":
            return at_once(lambda: getattr(self, kind)(*args))
        steps, end = args
        inner = []

        def work():
            for step in steps:
                inner.append(self.step_at_once(step))
            if end == "throw":
                raise js.RangeError.new("no")
            return end

        whole = at_once(lambda: self.storage.transactionSync(work))
        return [inner, whole]

    def sql(self, text, *bindings):
        cursor = self.storage.sql.exec(text, *given(list(bindings)))
        found = [cursor.columnNames, list(cursor.raw())]
        return found if UNREAD.match(text) else [*found, cursor.rowsWritten]

    def size(self):
        return self.storage.sql.databaseSize

    def cursor(self, name, text, *bindings):
        self.held[name] = self.storage.sql.exec(text, *given(list(bindings)))

    def raw(self, name, of):
        self.held[name] = self.held[of].raw()

    def next(self, name):
        found = self.held[name].next()
        return [found.done, found.value]

    def all(self, name):
        return list(self.held[name])

    def one(self, name):
        return self.held[name].one()

    def columns(self, name):
        return [self.held[name].columnNames, self.held[name].rowsWritten]

    def kv(self, method, *args):
        found = getattr(self.storage.kv, method)(*given(list(args)))
        return list(found) if method == "list" else found

    def listing(self, name, options=None):
        self.held[name] = self.storage.kv.list(options)


async def ring(self, info):
    """What the alarm does: the first steps at first, the second when it is called again, ..."""
    name, storage = self.ctx.id.name, self.ctx.storage
    runs, found = rung.setdefault(name, []), []
    runs.append({"retryCount": info.retryCount, "isRetry": info.isRetry, "found": found})
    rings = PROGRAMS["alarms"][name]["rings"]
    for one in rings[len(runs) - 1] if len(runs) <= len(rings) else []:
        if one[0] == "throw":
            raise Exception("not today")
        if one[0] == "abort":
            self.ctx.abort("enough")
        found.append(await Run(storage).step(one))


@inside
async def planned(self, given):
    storage = self.ctx.storage
    await storage.setAlarm(now() + 20)
    return await Run(storage).take(PROGRAMS["alarms"][self.ctx.id.name].get("first", []))


@inside
async def beside(self, given):
    program = PROGRAMS["alarms"][self.ctx.id.name]
    return await Run(self.ctx.storage).take(program.get("beside", []))


@inside
async def after(self, given):
    storage = self.ctx.storage
    runs = rung.get(self.ctx.id.name, [])
    return [runs, await Run(storage).step(["alarm"]), await storage.list()]


def _row(steps):
    async def row(self, given):
        return await Run(self.ctx.storage).take(steps)

    return row


in_object.update({row: _row(steps) for row, steps in PROGRAMS["rows"].items()})
