"""C: the rows of the comparison's performance table that P1 does not give.

Workload: over one connection, GET a counter that is awake (request latency) and POST increment
(state persistence); and after a restart of the server, the first GET of each of many stored
counters, one after another (cold start; timed in Python, the same client for both).
Then gets from 64 connections over 1,000 counters that are awake (throughput).
Unit: microseconds, p50 with p99; requests/s. Server and client on a core each, in turns.
Durability: increments are answered after the sync.
"""

from __future__ import annotations

from contextlib import ExitStack

from bench.http_rounds import Factory, start, take_turns
from bench.load import first_requests, wrk
from bench.model import Section, percentile, ratio
from bench.peers import wakeful_http, workerd
from bench.servers import RunningServer, serving
from bench.settings import Settings

GET, INCREMENT, COLD = "request latency", "state persistence", "cold start"
MANY = "get, 1,000 objects"
FACTORIES: dict[str, Factory] = {"wakeful": wakeful_http.subject, "workerd": workerd.subject}


def run(settings: Settings) -> Section:
    """Measure the three latencies of both systems."""
    section = Section("C", "The comparison's latencies", "increments synced before the answer")
    with ExitStack() as stack:
        servers = start(stack, section, FACTORIES, (GET, INCREMENT, COLD, MANY), settings)
        for _ in range(settings.runs):
            for workload, action in ((GET, "get"), (INCREMENT, "write")):
                for server in servers:
                    _one_connection(section, server, settings, workload=workload, action=action)
        take_turns(section, servers, settings, workload=MANY, action="get", objects=1_000)
        for server in servers:
            first_requests(server, "write", settings.cold_objects)
    for _ in range(settings.runs):
        for name in [server.subject.name for server in servers]:
            _cold(section, name, settings)
    for workload in (GET, INCREMENT, COLD):
        times = ratio(section.median("workerd", workload), section.median("wakeful", workload))
        section.expect(f"workerd / wakeful, {workload}", times, "x")
    return section


def _one_connection(
    section: Section, server: RunningServer, settings: Settings, *, workload: str, action: str
) -> None:
    method = "POST" if action == "write" else "GET"
    seen = wrk(
        server,
        method,
        getattr(server.subject, action),
        objects=1,
        seconds=settings.warmup_seconds,
        connections=1,
    )
    section.series_of(server.subject.name, workload, "us").add(seen.p50_us, p99_us=seen.p99_us)


def _cold(section: Section, name: str, settings: Settings) -> None:
    directory = settings.directory / section.code / name
    with serving(FACTORIES[name](), directory) as server:
        seen = first_requests(server, "get", settings.cold_objects)
    series = section.series_of(name, COLD, "us")
    series.add(percentile(seen, 50), p99_us=percentile(seen, 99))
