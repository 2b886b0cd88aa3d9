"""Several servers under the same load, taking turns: A B C, A B C, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack

from bench.load import Load, first_requests, wrk
from bench.model import Missing, Section
from bench.servers import HttpSubject, RunningServer, serving
from bench.settings import Settings

Factory = Callable[[], HttpSubject]


def start(
    stack: ExitStack,
    section: Section,
    factories: dict[str, Factory],
    workloads: Iterable[str],
    settings: Settings,
) -> list[RunningServer]:
    """Start what can be started; what cannot is entered as missing, with the reason."""
    servers: list[RunningServer] = []
    for name, factory in factories.items():
        try:
            directory = settings.directory / section.code / name.replace(" ", "-")
            servers.append(stack.enter_context(serving(factory(), directory)))
        except (Missing, RuntimeError) as reason:
            for workload in workloads:
                section.series_of(name, workload).missing = str(reason)
    return servers


def take_turns(
    section: Section,
    servers: list[RunningServer],
    settings: Settings,
    *,
    workload: str,
    action: str,
    objects: int,
    connections: int = 64,
) -> None:
    """Warm every server up, then load one after the other, `runs` times.

    Every object is woken before the warm-up: what is measured is objects that are awake. A turn is
    shorter than the ten idle seconds after which workerd evicts an object.
    The value of a run is requests/s; p50 and p99 of the latency go with it.
    """

    def load(server: RunningServer, seconds: int) -> Load:
        return wrk(
            server,
            "POST" if action == "increment" else "GET",
            getattr(server.subject, action),
            objects=objects,
            seconds=seconds,
            connections=connections,
        )

    for server in servers:
        first_requests(server, action, objects)
        load(server, settings.warmup_seconds)
    for _ in range(settings.runs):
        for server in servers:
            seen = load(server, settings.http_seconds)
            series = section.series_of(server.subject.name, workload, "requests/s")
            series.add(seen.per_second, p50_us=seen.p50_us, p99_us=seen.p99_us)
