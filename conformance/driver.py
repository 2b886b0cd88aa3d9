"""Runs every row against one server, and gives the facts by row.

Most rows are one request. Those below need several, real time, or an end of the process between
their halves: such a function yields where the process ends.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from conformance import talking, wire
from conformance.rows import HERE, Row
from conformance.servers import Facts, Server

Halves = Generator[None, None, Facts]
POLL, PATIENCE = 0.03, 15.0  # seconds
WORKERS = 24
PROGRAMS = HERE / "worker" / "src" / "programs.json"

whole: dict[str, Callable[[Server], Facts]] = {**talking.several, **wire.several}
halved: dict[str, tuple[int, Callable[[Server], Halves]]] = {}


def several(function: Callable[[Server], Facts]) -> Callable[[Server], Facts]:
    whole[function.__name__] = function
    return function


def killed(function: Callable[[Server], Halves]) -> Callable[[Server], Halves]:
    halved[function.__name__] = (signal.SIGKILL, function)
    return function


def stopped(function: Callable[[Server], Halves]) -> Callable[[Server], Halves]:
    halved[function.__name__] = (signal.SIGTERM, function)
    return function


def run(server: Server, rows: list[Row]) -> dict[str, Facts]:
    """The facts of all these rows; the server runs before and after."""
    with ThreadPoolExecutor(WORKERS) as pool:
        at_once = sorted((row for row in rows if row.id not in halved), key=_turn)
        asked = {row.id: pool.submit(_one, server, row) for row in at_once}
        found = {id: future.result() for id, future in asked.items()}
        for number in (signal.SIGKILL, signal.SIGTERM):
            chosen = [row.id for row in rows if halved.get(row.id, (0,))[0] == number]
            if not chosen:
                continue
            halves = {id: halved[id][1](server) for id in chosen}
            list(pool.map(next, halves.values()))
            server.end(number)
            server.start()
            found.update(zip(halves, pool.map(_rest, halves.values()), strict=True))
    return {row.id: found[row.id] for row in rows}


def _turn(row: Row) -> tuple[bool, bool]:
    """The slow ones begin first; those with clients, which keep the driver busy, last."""
    return not row.slow, row.id in talking.several


def _one(server: Server, row: Row) -> Facts:
    if row.run == "driver":
        return whole[row.id](server)
    return server.ask(row.run, row.id, {"space": row.space} if row.space else {})


def _rest(halves: Halves) -> Facts:
    try:
        next(halves)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a row yields once")


def _until(ask: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Ask until it is enough, or for too long: the last answer, either way."""
    deadline = time.monotonic() + PATIENCE
    while not enough(found := ask()) and time.monotonic() < deadline:
        time.sleep(POLL)
    return found


# --- D, C: what survives ----------------------------------------------------------------------


@killed
def C18(server: Server) -> Halves:
    names = [f"C18 {n}" for n in range(8)]
    for name in names:
        server.ask("object", "put", {"name": name, "value": name})
    yield
    return [server.ask("object", "get", {"name": name}) for name in names]


@killed
def C34(server: Server) -> Halves:
    given = {"name": "C34", "value": "kept"}
    failed = server.ask("object", "failAfterPut", given)
    yield
    return [failed, server.ask("object", "get", given)]


@killed
def D35(server: Server) -> Halves:
    counts = [server.ask("object", "bump", {"name": "D35"}) for _ in range(5)]
    yield
    return [counts, server.ask("object", "bump", {"name": "D35"})]


@several
def D36(server: Server) -> Facts:
    server.ask("object", "D36", {"name": "D36 a", "put": "a"})
    server.ask("object", "D36", {"name": "D36 b", "put": "b"})
    return [server.ask("object", "D36", {"name": f"D36 {name}"}) for name in "abc"]


@stopped
def I4(server: Server) -> Halves:
    server.ask("object", "put", {"name": "I4", "value": "kept"})
    _ring(server, "I4 alarm", "quiet", 1500)
    yield
    kept = server.ask("object", "get", {"name": "I4"})
    return [kept, _until(partial(_rings, server, "I4 alarm"), _times(1))["rings"]]


# --- G: alarms --------------------------------------------------------------------------------


def _ring(server: Server, name: str, plan: str, after: int, **given: object) -> None:
    given |= {"space": "RINGING", "name": name, "plan": plan, "after": after}
    server.ask("object", "ring", given)


def _rings(server: Server, name: str) -> Any:
    return server.ask("object", "rings", {"space": "RINGING", "name": name})["value"]


def _times(count: int) -> Callable[[Any], bool]:
    return lambda found: len(found["rings"]) >= count


def _rung(server: Server, name: str, plan: str, count: int, more: float = 0.0) -> Any:
    """What is known when it has rung that often, and some time has gone by."""
    _ring(server, name, plan, 20)
    _until(partial(_rings, server, name), _times(count))
    time.sleep(more)
    return _rings(server, name)


@several
def G3(server: Server) -> Facts:
    _ring(server, "G3", "quiet", 200, first=60)
    _until(partial(_rings, server, "G3"), _times(1))
    time.sleep(0.3)
    return len(_rings(server, "G3")["rings"])


@several
def G7(server: Server) -> Facts:
    found = _rung(server, "G7", "quiet", 1, more=0.1)
    return [found["rings"], found["set"]]


@several
def G8(server: Server) -> Facts:
    found = _rung(server, "G8", "again", 3, more=0.2)
    return [found["rings"], found["set"]]


@several
def G9(server: Server) -> Facts:
    found = _rung(server, "G9", "throw", 3, more=0.2)
    first, second = found["gaps"]
    return [found["rings"], 1900 <= first <= 3500, 3900 <= second <= 6500, found["set"]]


@several
def G12(server: Server) -> Facts:
    found = _rung(server, "G12", "reset", 3, more=0.2)
    return [found["rings"], found["set"]]


@several
def G13(server: Server) -> Facts:
    found = _rung(server, "G13", "drop", 1, more=3.0)
    return [found["rings"], found["set"]]


@several
def G14(server: Server) -> Facts:
    found = _rung(server, "G14", "abort", 2, more=0.2)
    return [found["rings"], found["set"]]


@killed
def G15(server: Server) -> Halves:
    _ring(server, "G15", "quiet", 1200)
    yield
    time.sleep(1.8)
    asked_ms = time.time() * 1000
    found = server.ask("object", "G15", {"space": "RINGING"})["value"]
    return [found["count"], found["at"] < asked_ms]


@killed
def G17(server: Server) -> Halves:
    _ring(server, "G17", "quiet", 1200)
    yield
    time.sleep(1.8)
    return server.ask("object", "G17", {"space": "RINGING"})


@several
def G19(server: Server) -> Facts:
    _ring(server, "G19", "slow", 20)
    _until(partial(_rings, server, "G19"), _times(1))
    server.ask("object", "say", {"space": "RINGING", "name": "G19", "value": "event"})
    found = _until(partial(_rings, server, "G19"), lambda found: len(found["log"]) == 2)
    return [found["log"], len(found["rings"])]


@several
def G28(server: Server) -> Facts:
    programs = json.loads(PROGRAMS.read_text())["alarms"]
    with ThreadPoolExecutor(len(programs)) as pool:
        return dict(pool.map(lambda name: (name, _planned(server, name, programs[name])), programs))


def _planned(server: Server, name: str, program: dict[str, Any]) -> list[Facts]:
    """What its alarm does, beside something else perhaps, and what there is when it is done."""
    given = {"space": "PLANNED", "name": name}
    first = server.ask("object", "planned", given)
    after = partial(server.ask, "object", "after", given)
    if program["rings"]:
        _until(after, lambda found: found["value"][0])
    time.sleep(0.15)
    beside = server.ask("object", "beside", given)
    time.sleep(program["seconds"])
    return [first, beside, after()]


# --- I: life ----------------------------------------------------------------------------------


@several
def I1(server: Server) -> Facts:
    begun = server.ask("worker", "I1", {"step": "begin"})
    time.sleep(13)
    return [begun, server.ask("worker", "I1", {"step": "end"})]


@several
def I2(server: Server) -> Facts:
    begun = server.ask("worker", "I2", {"step": "begin"})
    time.sleep(12.5)
    return [begun, server.ask("worker", "I2", {"step": "end"})]
