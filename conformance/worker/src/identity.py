"""A: names, ids, stubs."""

import re

import js
from facts import outcome, worker


def is_hex(id):
    return re.fullmatch("[0-9a-f]{64}", id.toString()) is not None


@worker
async def A1(env, given, made):
    names = ["name", "http://foo/", "counter-1", 5]
    return [env.PROBE.idFromName(name).toString() for name in names]


@worker
async def A2(env, given, made):
    id = env.PROBE.idFromName
    return [id("a").equals(id("a")), id("a").equals(id("b"))]


@worker
async def A3(env, given, made):
    return [is_hex(env.PROBE.idFromName("")), env.PROBE.idFromName("").toString()]


@worker
async def A5(env, given, made):
    one, two = env.PROBE.newUniqueId(), env.PROBE.newUniqueId()
    again = env.PROBE.idFromString(one.toString())
    same = again.toString() == one.toString()
    return [one.equals(two), is_hex(one), one.name, again.equals(one), same]


@worker
async def A6(env, given, made):
    return [
        await outcome(lambda: env.PROBE.idFromString("abc")),
        await outcome(lambda: env.PROBE.idFromString("g" * 64)),
    ]


@worker
async def A7(env, given, made):
    return await outcome(lambda: env.PROBE.idFromString("0" * 64))


@worker
async def A8(env, given, made):
    return await outcome(lambda: env.PROBE.idFromString(env.OTHER.idFromName("a").toString()))


@worker
async def A9(env, given, made):
    id = env.PROBE.idFromName("name").toString()
    return env.PROBE.idFromString(id.upper()).toString() == id


@worker
async def A10(env, given, made):
    id = env.PROBE.idFromName("name")
    return [id.name, env.PROBE.idFromString(id.toString()).name]


@worker
async def A11(env, given, made):
    return env.PROBE.idFromName("a").equals(env.OTHER.idFromName("a"))


@worker
async def A12(env, given, made):
    stub = env.PROBE.getByName("A12")
    text, name = await stub.whoami()
    return [name, text == stub.id.toString()]


@worker
async def A13(env, given, made):
    unique = env.PROBE.get(env.PROBE.newUniqueId())
    by_hex = env.PROBE.get(env.PROBE.idFromString(env.PROBE.idFromName("A13").toString()))
    return [(await unique.whoami())[1], (await by_hex.whoami())[1]]


@worker
async def A14(env, given, made):
    short, long = [(await env.PROBE.getByName("x" * n).whoami())[1] for n in (1024, 1025)]
    return [None if short is None else len(short), long]


@worker
async def A15(env, given, made):
    return await outcome(lambda: env.PROBE.get("text"))


@worker
async def A16(env, given, made):
    return await outcome(lambda: env.PROBE.get(env.PROBE.idFromName("a"), {"routingMode": "zzz"}))


@worker
async def A17(env, given, made):
    id = env.PROBE.idFromName("A17")
    return [
        await env.PROBE.get(id, {"locationHint": "mars"}).add(1),
        await env.PROBE.get(id, {"routingMode": "primary-only"}).add(1),
    ]


@worker
async def A18(env, given, made):
    stub = env.PROBE.getByName("A18")
    return [stub.id.equals(env.PROBE.idFromName("A18")), stub.name, stub.id.name]


@worker
async def A19(env, given, made):
    stub = env.PROBE.getByName("A19")
    before = made.get("A19", 0)
    await stub.add(1)
    return [before, made["A19"]]


@worker
async def A20(env, given, made):
    id = env.PROBE.idFromName("A20")
    return [await env.PROBE.get(id).add(1), await env.PROBE.get(id).add(1)]


@worker
async def A21(env, given, made):
    return [
        await outcome(lambda: env.PROBE.newUniqueId({"jurisdiction": "eu"})),
        await outcome(lambda: env.PROBE.jurisdiction("eu")),
    ]


@worker
async def A22(env, given, made):
    found = []
    names = ["\ud800", "é😀", "a\0b", " ", True, 1.5, -0.0, 1e21, [1, 2], {"a": 1}, "x" * 2000]
    for name in names:
        id = env.PROBE.idFromName(name)
        text, inside = await env.PROBE.get(id).whoami()
        length = None if inside is None else units(inside)
        found.append([id.toString(), units(id.name), text == id.toString(), length])
    id = env.PROBE.idFromName("a")
    for call in (
        *(lambda: id.equals("x"), lambda: env.PROBE.get(id, {"locationHint": 5}).name),
        *(lambda: len(str(id)), lambda: env.PROBE.idFromString(5)),
        *(lambda: env.PROBE.newUniqueId({}).name, lambda: id.jurisdiction),
        lambda: env.PROBE.idFromString(id.toString() + " "),
        lambda: env.PROBE.getByName("b").id.name,
    ):
        found.append(await outcome(call))
    return found


@worker
async def A23(env, given, made):
    PROBE, OTHER = env.PROBE, env.OTHER
    id = PROBE.idFromName("x")
    hex = id.toString()
    calls = [
        *(lambda: id.toString(1) == hex, lambda: id.equals(), lambda: id.equals(None)),
        *(lambda: id.equals(5), lambda: id.equals({}), lambda: id.equals(hex)),
        *(lambda: id.equals(OTHER.idFromName("x")), lambda: id.equals(PROBE.idFromString(hex))),
        *(lambda: f"{id}" == hex, lambda: js.JSON.stringify(id), lambda: PROBE.idFromName()),
        lambda: PROBE.idFromName("x", 1, 2).name,
        lambda: PROBE.idFromName([1, [2]]).name,
        lambda: PROBE.idFromName("a" * 100_000).toString(),
        *(lambda: PROBE.idFromString(), lambda: PROBE.idFromString("")),
        lambda: PROBE.idFromString(id).name,
        lambda: PROBE.idFromString(hex, 1).equals(id),
        lambda: PROBE.idFromString([hex]).equals(id),
        lambda: PROBE.idFromString(hex + "0"),
        lambda: PROBE.idFromString(" " + hex[1:]),
        lambda: PROBE.idFromString("0x" + hex[2:]),
        *(lambda: PROBE.idFromString("é" * 64), lambda: PROBE.idFromString("f" * 64)),
        *(lambda: PROBE.newUniqueId(None).name, lambda: PROBE.newUniqueId("eu")),
        *(lambda: PROBE.newUniqueId(5), lambda: PROBE.newUniqueId([]).name),
        lambda: PROBE.newUniqueId({"other": 1}).name,
        lambda: PROBE.newUniqueId({"jurisdiction": None}).name,
        lambda: PROBE.newUniqueId({"jurisdiction": ""}),
        lambda: PROBE.newUniqueId({"jurisdiction": 5}),
        *(lambda: PROBE.jurisdiction(""), lambda: PROBE.jurisdiction(5)),
        lambda: PROBE.jurisdiction(None).idFromName("x").equals(id),
    ]
    return [await outcome(call) for call in calls]


@worker
async def A24(env, given, made):
    PROBE, OTHER = env.PROBE, env.OTHER
    id = PROBE.idFromName("A24")
    calls = [
        *(lambda: PROBE.get(), lambda: PROBE.get(None), lambda: PROBE.get(5)),
        *(lambda: PROBE.get({}), lambda: PROBE.get([id]), lambda: PROBE.get(id, None).name),
        *(lambda: PROBE.get(id, "x"), lambda: PROBE.get(id, 5), lambda: PROBE.get(id, {}).name),
        *(lambda: PROBE.get(id, []).name, lambda: PROBE.get(id, {"locationHint": ""}).name),
        lambda: PROBE.get(id, locationHint="wnam", routingMode=None).name,
        lambda: PROBE.get(id, {"routingMode": ""}),
        lambda: PROBE.get(id, {"routingMode": 5}),
        *(lambda: PROBE.get(id, {}, 1).name, lambda: PROBE.getByName()),
        *(lambda: PROBE.getByName(5).name, lambda: PROBE.getByName("").name),
        lambda: PROBE.getByName("x", {"locationHint": "x"}).name,
        lambda: PROBE.getByName("x", {"routingMode": "zzz"}),
        *(lambda: PROBE.getByName("x", 5), lambda: PROBE.getByName("x", None, 1).id.name),
        lambda: PROBE.get(OTHER.idFromName("x")).name,
        lambda: PROBE.get(PROBE.newUniqueId()).name,
        lambda: PROBE.get(OTHER.idFromName("A24")).add(1),
        lambda: PROBE.get(PROBE.idFromString(id.toString())).add(1),
        lambda: PROBE.get(id).add(1),
    ]
    return [await outcome(call) for call in calls]


def units(text):
    """How long JavaScript says it is."""
    return len(text.encode("utf-16-le")) // 2
