"""P1: durable increments over HTTP, wakeful beside workerd.

Workload: POST increment over 64 kept-open connections, spread at random over 1,000 objects that are
awake, and all on one hot object; the server on one core, wrk on the other; both servers up, loaded
in turns. Then *waking*: after a restart one increment to each of many stored objects, over 64
connections, by a client in Python; every increment finds its object asleep.
Unit: requests/s, with p50 and p99 of the latency at that load.
Durability: both answer after the write is synced to disk; wakeful syncs once per batch of objects,
workerd once per object and commit.
"""

from __future__ import annotations

from contextlib import ExitStack

from bench.http_rounds import Factories, start, take_turns, take_waking_turns
from bench.model import Section, ratio
from bench.peers import wakeful_http, workerd
from bench.settings import Settings

MANY, HOT, WAKING = "1,000 objects", "1 hot object", "waking"
FACTORIES: Factories = {"wakeful": wakeful_http.subject, "workerd": workerd.subject}


def run(settings: Settings) -> Section:
    """Measure the workloads and judge the ratios."""
    section = Section("P1", "HTTP durable increment", "synced before the answer")
    with ExitStack() as stack:
        servers = start(stack, section, FACTORIES, (MANY, HOT), settings)
        for workload, objects in ((MANY, 1_000), (HOT, 1)):
            take_turns(
                section, servers, settings, workload=workload, action="write", objects=objects
            )
    take_waking_turns(section, FACTORIES, settings, workload=WAKING)
    for workload, least in ((MANY, 20), (HOT, 15), (WAKING, None)):
        times = ratio(section.median("wakeful", workload), section.median("workerd", workload))
        section.expect(f"wakeful / workerd, {workload}", times, "x", at_least=least)
    return section
