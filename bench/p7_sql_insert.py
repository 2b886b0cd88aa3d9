"""P7: `sql.exec` of an insert over HTTP: wakeful's own actor and its Python Worker beside workerd.

Workload: POST a request that inserts one row of text and answers its number, over 64 kept-open
connections, spread at random over 1,000 objects that are awake; the server on one core, wrk on the
other; all servers up, loaded in turns. Then *waking*: after a restart one insert to each of many
stored objects, over 64 connections, by a client in Python; every insert finds its object asleep.
The tables grow as they are written to: those of the faster server are the larger ones.
Unit: requests/s, with p50 and p99 of the latency at that load.
The target of the native actor, against its own get, is in U.
Durability: all answer after the row is synced to disk; wakeful syncs once per batch of objects,
workerd once per object and commit.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from bench.http_rounds import Factories, start, take_turns, take_waking_turns
from bench.model import Section, ratio
from bench.peers import wakeful_http, workerd
from bench.settings import Settings

AWAKE, WAKING = "1,000 objects", "waking"
NATIVE, WORKER, WORKERD = "wakeful", "wakeful Worker", "workerd"
WORKER_PATHS = {"get": "/table/t-%d/count", "write": "/table/t-%d/insert"}
FACTORIES: Factories = {
    NATIVE: partial(
        wakeful_http.served,
        NATIVE,
        wakeful_http.OBJECTS / "native.py",
        get="/actors/Table/t-%d/count",
        write="/actors/Table/t-%d/insert",
    ),
    WORKER: partial(wakeful_http.served, WORKER, wakeful_http.OBJECTS / "worker", **WORKER_PATHS),
    WORKERD: partial(
        workerd.served,
        workerd.OBJECTS / "objects.capnp",
        ready="/table/ready/count",
        **WORKER_PATHS,
    ),
}


def run(settings: Settings) -> Section:
    """Measure both workloads and judge the ratios."""
    section = Section("P7", "SQL insert over HTTP", "synced before the answer")
    with ExitStack() as stack:
        servers = start(stack, section, FACTORIES, (AWAKE,), settings)
        take_turns(section, servers, settings, workload=AWAKE, action="write", objects=1_000)
    take_waking_turns(section, FACTORIES, settings, workload=WAKING)
    for name, workload, least in (
        (NATIVE, AWAKE, None),
        (NATIVE, WAKING, None),
        (WORKER, AWAKE, 4),
        (WORKER, WAKING, None),
    ):
        times = ratio(section.median(name, workload), section.median(WORKERD, workload))
        section.expect(f"{name} / {WORKERD}, {workload}", times, "x", at_least=least)
    return section
