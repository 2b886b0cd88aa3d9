"""P9: the counter as a Worker: `examples/worker_counter` on wakeful, its JavaScript on workerd.

Workload: GET /increment?name=o-N and /get?name=o-N, the same paths on both, by the same wrk command
over 64 kept-open connections, spread at random over 1,000 objects that are awake, and all on one;
the server on one core, wrk on the other; both servers up, loaded in turns.
Unit: requests/s, with p50 and p99 of the latency at that load.
SQL inserts of the same pair are in P7.
Durability: both answer an increment after it is synced to disk.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from bench.http_rounds import Factories, start, take_turns
from bench.model import Section, ratio
from bench.peers import wakeful_http, workerd
from bench.settings import Settings

INCREMENT, HOT, GET = "increment, 1,000 objects", "increment, 1 hot object", "get, 1,000 objects"
WORKER, WORKERD = "wakeful Worker", "workerd"
PATHS = {"get": "/get?name=o-%d", "write": "/increment?name=o-%d"}
FACTORIES: Factories = {
    WORKER: partial(wakeful_http.served, WORKER, wakeful_http.WORKER_COUNTER, **PATHS),
    WORKERD: partial(
        workerd.served, workerd.OBJECTS / "counter.capnp", ready="/get?name=ready", **PATHS
    ),
}


def run(settings: Settings) -> Section:
    """Measure the three workloads."""
    section = Section("P9", "The counter as a Worker", "increments synced before the answer")
    workloads = {INCREMENT: ("write", 1_000), HOT: ("write", 1), GET: ("get", 1_000)}
    with ExitStack() as stack:
        servers = start(stack, section, FACTORIES, workloads, settings)
        for workload, (action, objects) in workloads.items():
            take_turns(
                section,
                servers,
                settings,
                workload=workload,
                action=action,
                objects=objects,
                method="GET",
            )
    for workload, least in ((GET, 2.5), (INCREMENT, 4), (HOT, None)):
        times = ratio(section.median(WORKER, workload), section.median(WORKERD, workload))
        section.expect(f"{WORKER} / {WORKERD}, {workload}", times, "x", at_least=least)
    return section
