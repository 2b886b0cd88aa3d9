"""D: key-value storage."""

from datetime import datetime, timedelta

import js
from facts import inside, now, outcome, plain


class Thing:
    def __init__(self):
        self.a = 1


def many(count):
    return {f"k{n}": n for n in range(count)}


NAMED = ["", "A", "a", "aa", "ab", "a\0", "a😀", "b", "é", "\uffff", "😀"]


@inside
async def D1(self, given):
    return [await self.ctx.storage.get("none"), list(await self.ctx.storage.list())]


@inside
async def D2(self, given):
    return await outcome(lambda: self.ctx.storage.put("x"))


@inside
async def D3(self, given):
    storage = self.ctx.storage
    await storage.put("x", None)
    keys = list(await storage.get(["x", "y"]))
    return [await storage.get("x"), list(await storage.list()), keys]


@inside
async def D6(self, given):
    await self.ctx.storage.put({"a": 1, "b": 2})
    found = await self.ctx.storage.get(["b", "none", "a"])
    return [list(found), found]


@inside
async def D7(self, given):
    storage = self.ctx.storage
    await storage.put({"a": 1, "b": 2, "c": 3})
    one, two = await storage.delete("none"), await storage.delete("c")
    return [one, two, await storage.delete(["a", "none", "b"]), list(await storage.list())]


@inside
async def D8(self, given):
    await self.ctx.storage.put({"😀": 1, "\ufffd": 2, "é": 3, "a": 4, "B": 5})
    return list(await self.ctx.storage.list())


@inside
async def D9(self, given):
    storage = self.ctx.storage
    await storage.put({"a": 1, "aa": 2, "b": 3, "bb": 4})
    return [
        list(await storage.list({"start": "a", "end": "b"})),
        list(await storage.list({"startAfter": "a", "end": "b"})),
        list(await storage.list({"prefix": "a"})),
        list(await storage.list(prefix="b", start="ba")),
    ]


@inside
async def D10(self, given):
    storage = self.ctx.storage
    await storage.put({"a": 1, "aa": 2, "b": 3, "bb": 4})
    return [
        list(await storage.list(reverse=True, limit=2)),
        list(await storage.list({"start": "a", "end": "b", "reverse": True})),
        list(await storage.list({"prefix": "a", "reverse": True, "limit": 1})),
    ]


@inside
async def D12(self, given):
    storage = self.ctx.storage
    await storage.put({"a": 1, "b": 2})
    return [
        list(await storage.list({"start": "b", "end": "a"})),
        list(await storage.list({"start": "a", "end": "a"})),
    ]


@inside
async def D13(self, given):
    storage = self.ctx.storage
    return [
        await outcome(lambda: storage.list({"limit": 0})),
        await outcome(lambda: storage.list({"limit": -1})),
    ]


@inside
async def D14(self, given):
    return await outcome(lambda: self.ctx.storage.list({"start": "a", "startAfter": "a"}))


@inside
async def D15(self, given):
    storage = self.ctx.storage
    await storage.put("", 5)
    return [await storage.get(""), list(await storage.list()), await storage.delete("")]


@inside
async def D16(self, given):
    storage, found = self.ctx.storage, []
    for count in (129, 1000):
        await storage.put(many(count))
        found.append(len(await storage.get(list(many(count)))))
        found.append(await storage.delete(list(many(count))))
    return found


@inside
async def D18(self, given):
    storage = self.ctx.storage
    await storage.put("big", bytes(2 * 1024 * 1024 - 100))
    found = await outcome(lambda: storage.put("big", bytes(8 * 1024 * 1024)))
    return [found["error"], found["message"], list(await storage.list())]


@inside
async def D19(self, given):
    storage = self.ctx.storage
    one = await outcome(lambda: storage.put("f", lambda: 1))
    two = await outcome(lambda: storage.put({"a": 1, "f": lambda: 1}))
    return [one["error"], two["error"], list(await storage.list())]


@inside
async def D20(self, given):
    values = [
        *(datetime.fromtimestamp(1767323045.006), {"a": 1}, {1, "a"}, bytes([0, 255]), 2**70),
        *(float("nan"), -0.0, float("inf"), ValueError("text"), "😀\0", True),
        *({"a": [1, {"b": None}]}, 1.5, []),
    ]
    found = []
    for value in values:
        await self.ctx.storage.put("v", value)
        found.append(await self.ctx.storage.get("v"))
    found[2] = {"set": sorted(plain(found[2])["set"], key=str)}
    return found


@inside
async def D22(self, given):
    async def work():
        await self.ctx.storage.put("v", Thing())
        return await self.ctx.storage.get("v")

    return await outcome(work)


@inside
async def D23(self, given):
    return await outcome(lambda: self.ctx.storage.put({"a": 1}, 5))


@inside
async def D24(self, given):
    storage = self.ctx.storage
    storage.put("a", 1)
    read = storage.get("a")
    storage.put("a", 2)
    storage.delete("b")
    return [await read, await storage.get("a"), list(await storage.list())]


@inside
async def D25(self, given):
    value = {"list": [1]}
    await self.ctx.storage.put("v", value)
    value["list"].append(2)
    (await self.ctx.storage.get("v"))["list"].append(3)
    return await self.ctx.storage.get("v")


@inside
async def D26(self, given):
    storage = self.ctx.storage
    storage.sql.exec("CREATE TABLE t(id); INSERT INTO t VALUES (1)")
    await storage.put("a", 1)
    await storage.setAlarm(now() + 3_600_000)
    await storage.deleteAll()
    tables = storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '_cf_%'")
    return [list(await storage.list()), await storage.getAlarm(), tables.toArray()]


@inside
async def D28(self, given):
    storage = self.ctx.storage
    await storage.put("a", 1)
    found = await storage.transaction(lambda txn: outcome(lambda: storage.deleteAll()))
    return [found, list(await storage.list())]


@inside
async def D29(self, given):
    storage = self.ctx.storage
    await storage.put(7, "seven")
    await storage.put(True, "yes")
    return [await storage.get("7"), await storage.get(7), list(await storage.list())]


@inside
async def D30(self, given):
    storage, kv = self.ctx.storage, self.ctx.storage.kv
    kv.put("a", 1)
    first = await storage.get("a")
    await storage.put("b", 2)
    there = [kv.get("b"), kv.get("none"), kv.delete("a"), kv.delete("a")]
    return [first, *there, list(kv.list())]


@inside
async def D31(self, given):
    kv = self.ctx.storage.kv
    for key in ("a", "b", "c"):
        kv.put(key, 1)
    one = iter(kv.list())
    first = plain(next(one))
    two = list(kv.list({"prefix": "b"}))
    return [first, two, await outcome(lambda: next(one))]


@inside
async def D32(self, given):
    kv = self.ctx.storage.kv
    kv.put("k", None)
    return [kv.get("k"), [key for key, _ in kv.list()]]


@inside
async def D33(self, given):
    storage = self.ctx.storage
    return [
        await outcome(lambda: storage.kv.get("a")),
        await outcome(lambda: storage.sql.exec("SELECT 1")),
    ]


@inside
async def D34(self, given):
    await self.ctx.storage.put("a", 1)
    return [await self.ctx.storage.get("a"), self.ctx.storage.transactionSync(lambda: 5)]


@inside
async def D36(self, given):
    if "put" in given:
        await self.ctx.storage.put(given["put"], 1)
    return list(await self.ctx.storage.list())


@inside
async def D37(self, given):
    storage, found = self.ctx.storage, []
    for key in NAMED:
        await storage.put(key, 1)
    for start in ({}, {"start": "a"}, {"startAfter": "a"}, {"start": "é"}, {"start": ""}):
        for end in ({}, {"end": "b"}, {"end": "a"}, {"end": "\uffff"}):
            for prefix in ({}, {"prefix": "a"}, {"prefix": ""}):
                for rest in ({}, {"reverse": True}, {"limit": 2}, {"reverse": True, "limit": 2}):
                    options = {**start, **end, **prefix, **rest}
                    found.append(" ".join(await storage.list(options)))
    return found


@inside
async def D38(self, given):
    storage = self.ctx.storage
    for key in ("1", "10", "2", "true"):
        await storage.put(key, 1)

    async def listed(options):
        return list(await storage.list(options))

    return [
        await outcome(lambda options=options: listed(options))
        for options in (
            *({"limit": "2"}, {"limit": 1.9}, {"limit": 0.5}, {"limit": True}, {"limit": "x"}),
            *({"limit": -1}, {"start": 2}, {"end": 2}, {"prefix": 1}, {"startAfter": 1}),
            *({"prefix": True}, {"reverse": 1}, {"reverse": ""}, {"unknown": 1}),
            *({"start": "1", "startAfter": "1"}, {"start": "2", "end": "1"}),
            *({"allowConcurrency": True, "noCache": True, "limit": 1}, {"limit": 1e12}),
        )
    ]


@inside
async def D39(self, given):
    storage = self.ctx.storage
    found = [await storage.get([]), await storage.delete([]), await storage.put({})]
    await storage.put({"b": 1, "a": 2})
    found += [await storage.get(["b", "a", "b", "x"]), await storage.delete(["a", "a", "x"])]
    await storage.put({5: "five", True: "yes"})
    found += [await storage.get([5, True, "x"]), await storage.get(5)]
    found.append(await storage.delete([5, True]))
    await storage.put("k" * 3000, 1)
    found.append([len(key) for key in await storage.list()])
    for call in (
        lambda: storage.put("a", 1, 5),
        lambda: storage.get("a", 5),
        lambda: storage.delete("a", "x"),
        lambda: storage.list(5),
        lambda: storage.put("a", 1, {"allowUnconfirmed": True, "noCache": True}),
        lambda: storage.get("a", allowConcurrency=True, noCache=True),
        lambda: storage.sync(),
        lambda: storage.delete("a", allowUnconfirmed=True),
    ):
        found.append(await outcome(call))
    return found


@inside
async def D40(self, given):
    kv = self.ctx.storage.kv
    for key in NAMED:
        kv.put(key, key)

    def names(options=None):
        return " ".join(key for key, _ in kv.list(options))

    found = [kv.put("x", 1), kv.get("none"), kv.delete("none"), kv.delete("x"), names()]
    for options in (
        *({"start": "a"}, {"startAfter": "a", "end": "b"}),
        {"prefix": "a", "reverse": True, "limit": 2},
        *({"start": "a", "startAfter": "a"}, {"limit": 0}),
    ):
        found.append(await outcome(lambda options=options: names(options)))
    seen = []
    for key, _ in kv.list({"prefix": "a"}):
        kv.delete(key)
        seen.append(key)
    found += [seen, names()]
    return [*found, (await outcome(lambda: kv.put("f", lambda: 1)))["error"], names()]


@inside
async def D41(self, given):
    storage = self.ctx.storage
    await storage.put("a", 1)
    storage.sql.exec("CREATE TABLE t(id); INSERT INTO t VALUES (1)")
    found = [await storage.deleteAll(), await storage.deleteAll({}), storage.sql.databaseSize]
    await storage.put("b", 1)
    storage.sql.exec("CREATE TABLE t(id)")
    return [*found, list(await storage.list()), storage.sql.exec("SELECT * FROM t").toArray()]


@inside
async def D42(self, given):
    storage = self.ctx.storage

    def date(ms):
        return datetime.fromtimestamp(0) + timedelta(milliseconds=ms)

    async def back(value):
        await storage.put("v", value)
        return await storage.get("v")

    return [
        await outcome(lambda value=value: back(value))
        for value in (
            *({"z": 1, "a": 2, "10": 3, "2": 4}, [[], [[]], {}], {"k": {1}}, "", "\ud800"),
            *(float(2**53), float(2**53 + 2), -float(2**53), 1e308, 5e-324, 0.1, 2**70, -(2**70)),
            *(1e21, [None, None], {"": {"": 1}}, date(-1)),
            *(js.RangeError.new("r"), b""),
            [date(0), float("nan"), -0.0],
        )
    ]


@inside
async def D43(self, given):
    storage = self.ctx.storage
    await storage.put("\ud800", 1)
    await storage.put("\ud83d\ude00", 2)
    found = [list(await storage.list()), await storage.get("\ud800")]
    return [*found, await storage.get(["\ud800"]), await storage.get("😀")]


@inside
async def D48(self, given):
    storage = self.ctx.storage
    own, ring, deep = {"n": 1}, [1], []
    own["self"] = own
    own["list"] = [own, ring]
    ring += [ring, {"ring": ring}]
    for _ in range(3000):
        deep = [deep]
    await storage.put({"own": own, "ring": ring, "deep": deep})
    storage.kv.put("kv", [own])
    one, two, [three] = await storage.get("own"), await storage.get("ring"), storage.kv.get("kv")
    inner, depth = await storage.get("deep"), 0
    while inner:
        inner, depth = inner[0], depth + 1
    found = [one["self"] is one, one["list"][0] is one, one["n"]]
    found += [one["list"][1][1] is one["list"][1], two[1] is two, two[2]["ring"] is two]
    return [*found, three["self"] is three, depth]
