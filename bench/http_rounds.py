"""Several servers under the same load, taking turns: A B C, A B C, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from bench.load import Load, wrk
from bench.load.each_once import each_once
from bench.model import Missing, Section
from bench.servers import HttpSubject, RunningServer, serving
from bench.settings import Settings

Factory = Callable[[], HttpSubject]
Factories = dict[str, Factory]


def start(
    stack: ExitStack,
    section: Section,
    factories: Factories,
    workloads: Iterable[str],
    settings: Settings,
) -> list[RunningServer]:
    """Start what can be started; what cannot is entered as missing, with the reason."""
    servers: list[RunningServer] = []
    for name, factory in factories.items():
        try:
            directory = _directory(section, name, settings)
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
    method: str = "",
) -> None:
    """Warm every server up, then load one after the other, `runs` times.

    Every object is woken before each turn, since workerd evicts one after ten idle seconds: what
    is measured is objects that are awake.
    The value of a run is requests/s; p50 and p99 of the latency go with it.
    """
    method = method or method_of(action)

    def load(server: RunningServer, seconds: int) -> Load:
        template = getattr(server.subject, action)
        each_once(server, method, template, objects)
        return wrk(
            server, method, template, objects=objects, seconds=seconds, connections=connections
        )

    for server in servers:
        load(server, settings.warmup_seconds)
    for _ in range(settings.runs):
        for server in servers:
            seen = load(server, settings.http_seconds)
            series = section.series_of(server.subject.name, workload, "requests/s")
            series.add(seen.per_second, p50_us=seen.p50_us, p99_us=seen.p99_us)


def take_waking_turns(
    section: Section, factories: Factories, settings: Settings, *, workload: str, method: str = ""
) -> None:
    """Store objects by a write to each; then, `runs` times, restart and write to each once.

    Every write of a run finds its object asleep and wakes it. The value of a run is requests/s.
    """
    method = method or method_of("write")

    def write(name: str) -> Load:
        with serving(factories[name](), _directory(section, name, settings)) as server:
            return each_once(server, method, server.subject.write, settings.waking_objects)

    running: list[str] = []
    for name in factories:
        try:
            write(name)
            running.append(name)
        except (Missing, RuntimeError) as reason:
            section.series_of(name, workload).missing = str(reason)
    for _ in range(settings.runs):
        for name in running:
            seen = write(name)
            series = section.series_of(name, workload, "requests/s")
            series.add(seen.per_second, p50_us=seen.p50_us, p99_us=seen.p99_us)


def method_of(action: str) -> str:
    """How an action is asked for, where the subject does not take any method."""
    return "POST" if action == "write" else "GET"


def _directory(section: Section, name: str, settings: Settings) -> Path:
    return settings.directory / section.code / name.replace(" ", "-")
