"""U: what a call costs the server, in CPU time.

Workload: the requests of P1, P2, P7 and P9 over 64 kept-open connections, spread at random over
1,000 objects that are awake; beside them bare granian that answers a constant, and granian whose
answer waits for a thread's sync (the floor of a durable answer). The server on one core, wrk on the
other; all servers up, loaded in turns. This is where noise of the machine shows least: time that
others take from the core is not in it.
Unit: microseconds of CPU per call, user and system, of the whole process; with it those of its main
thread, of the HTTP server's I/O thread (the busiest other one while it answers gets) and of all
others (the flusher), and the requests/s.
Durability: writes are answered after the sync.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from bench.http_rounds import Factories, method_of
from bench.load import wrk
from bench.load.each_once import each_once
from bench.model import Missing, Section, ratio
from bench.p7_sql_insert import FACTORIES as TABLES
from bench.p9_worker_counter import FACTORIES as WORKERS
from bench.peers import granian_constant, granian_synced, wakeful_http
from bench.servers import CpuTimes, RunningServer, serving
from bench.settings import Settings

GET, INCREMENT, INSERT = "get", "increment", "SQL insert"
OVER_TLS = "get, over TLS"
CONSTANT, FLOOR = "constant, POST", "constant after a sync"
OBJECTS = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """A request to measure: whose, under which name, to which server, by which method."""

    subject: str
    workload: str
    server: str
    action: str
    method: str = ""


BARE, SYNCED = "bare granian", "granian and a sync"
NATIVE, WORKER, WORKERD = "wakeful", "wakeful Worker", "workerd"
TLS = "wakeful over TLS"
SERVERS: Factories = {
    BARE: granian_constant.subject,
    SYNCED: granian_synced.subject,
    NATIVE: wakeful_http.subject,
    TLS: wakeful_http.over_tls,
    f"{NATIVE}, tables": TABLES[NATIVE],
    WORKER: WORKERS[WORKER],
    f"{WORKER}, tables": TABLES[WORKER],
    WORKERD: WORKERS[WORKERD],
    f"{WORKERD}, tables": TABLES[WORKERD],
}
CALLS = [
    Call(BARE, CONSTANT, BARE, "write"),
    Call(SYNCED, FLOOR, SYNCED, "write"),
    Call(NATIVE, GET, NATIVE, "get"),
    Call(NATIVE, OVER_TLS, TLS, "get"),
    Call(NATIVE, INCREMENT, NATIVE, "write"),
    Call(NATIVE, INSERT, f"{NATIVE}, tables", "write"),
    Call(WORKER, GET, WORKER, "get"),
    Call(WORKER, INCREMENT, WORKER, "write", "GET"),
    Call(WORKER, INSERT, f"{WORKER}, tables", "write"),
    Call(WORKERD, GET, WORKERD, "get"),
    Call(WORKERD, INCREMENT, WORKERD, "write", "GET"),
    Call(WORKERD, INSERT, f"{WORKERD}, tables", "write"),
]


def run(settings: Settings) -> Section:
    """Measure every call in turns and judge the ratios."""
    section = Section("U", "CPU per call", "writes synced before the answer")
    with ExitStack() as stack:
        servers = _start(stack, section, settings)
        threads = {name: _io_thread(server, settings) for name, server in servers.items()}
        for _ in range(settings.runs):
            for call in CALLS:
                if call.server in servers:
                    _measure(section, call, servers[call.server], threads[call.server], settings)
    _judge(section)
    return section


def _start(stack: ExitStack, section: Section, settings: Settings) -> dict[str, RunningServer]:
    servers: dict[str, RunningServer] = {}
    for name, factory in SERVERS.items():
        directory = settings.directory / section.code / name.replace(", ", "-")
        try:
            servers[name] = stack.enter_context(serving(factory(), directory))
        except (Missing, RuntimeError) as reason:
            for call in CALLS:
                if call.server == name:
                    section.series_of(call.subject, call.workload).missing = str(reason)
    return servers


def _io_thread(server: RunningServer, settings: Settings) -> int:
    """The busiest thread beside the main one while the server answers gets."""
    before = server.cpu_us()
    _load(server, "GET", server.subject.get, settings.warmup_seconds)
    spent = _spent(before, server.cpu_us())
    return max((one for one in spent.threads if one != server.pid), key=spent.threads.__getitem__)


def _measure(
    section: Section, call: Call, server: RunningServer, io_thread: int, settings: Settings
) -> None:
    method, template = call.method or method_of(call.action), getattr(server.subject, call.action)
    each_once(server, method, template, OBJECTS)
    before = server.cpu_us()
    requests, per_second = _load(server, method, template, settings.http_seconds)
    spent = _spent(before, server.cpu_us())
    main, answering = spent.threads.pop(server.pid), spent.threads.pop(io_thread, 0.0)
    section.series_of(call.subject, call.workload, "us").add(
        spent.process / requests,
        main_thread_us=main / requests,
        io_thread_us=answering / requests,
        other_threads_us=sum(spent.threads.values()) / requests,
        per_second=per_second,
    )


def _load(server: RunningServer, method: str, template: str, seconds: int) -> tuple[int, float]:
    seen = wrk(server, method, template, objects=OBJECTS, seconds=seconds)
    return seen.requests, seen.per_second


def _spent(before: CpuTimes, after: CpuTimes) -> CpuTimes:
    threads = {
        thread: used - before.threads.get(thread, 0.0) for thread, used in after.threads.items()
    }
    return CpuTimes(after.process - before.process, threads)


def _judge(section: Section) -> None:
    get = section.median(NATIVE, GET)
    for name, measured, against, most in (
        ("get / bare granian", get, section.median(BARE, CONSTANT), 1.15),
        ("increment / get", section.median(NATIVE, INCREMENT), get, 1.45),
        ("SQL insert / get", section.median(NATIVE, INSERT), get, 2.2),
    ):
        section.expect(f"wakeful, {name}", ratio(measured, against), "x", at_most=most)
    section.expect("wakeful Worker, get", section.median(WORKER, GET), "us", at_most=120)
    for workload, least in ((GET, 2.5), (INCREMENT, 4), (INSERT, 4)):
        times = ratio(section.median(WORKERD, workload), section.median(WORKER, workload))
        section.expect(f"{WORKERD} / {WORKER}, {workload}", times, "x", at_least=least)
