"""P1: durable increments over HTTP, wakeful beside workerd.

Workload: POST increment over 64 kept-open connections, spread at random over 1,000 objects, and all
on one hot object; the server on one core, wrk on the other; both servers up, loaded in turns.
Unit: requests/s, with p50 and p99 of the latency at that load.
Durability: both answer after the write is synced to disk; wakeful syncs once per batch of objects,
workerd once per object and commit.
"""

from __future__ import annotations

from contextlib import ExitStack

from bench.http_rounds import start, take_turns
from bench.model import Section, ratio
from bench.peers import wakeful_http, workerd
from bench.settings import Settings

MANY, HOT = "1,000 objects", "1 hot object"


def run(settings: Settings) -> Section:
    """Measure both workloads and judge the ratios."""
    section = Section("P1", "HTTP durable increment", "synced before the answer")
    factories = {"wakeful": wakeful_http.subject, "workerd": workerd.subject}
    with ExitStack() as stack:
        servers = start(stack, section, factories, (MANY, HOT), settings)
        for workload, objects in ((MANY, 1_000), (HOT, 1)):
            take_turns(
                section, servers, settings, workload=workload, action="increment", objects=objects
            )
    for workload, least in ((MANY, 25), (HOT, 10)):
        times = ratio(section.median("wakeful", workload), section.median("workerd", workload))
        section.expect(f"wakeful / workerd, {workload}", times, "x", at_least=least)
    return section
