"""P2: reading a counter over HTTP, wakeful beside servers that return a constant.

Workload: GET over 64 kept-open connections, spread over 1,000 counters that are awake; the constant
servers answer every path alike. The server on one core, wrk on the other, loaded in turns.
Unit: requests/s, with p50 and p99 of the latency at that load.
Durability: nothing is written; an answer still never shows what is not on disk.
"""

from __future__ import annotations

from contextlib import ExitStack

from bench.http_rounds import start, take_turns
from bench.model import Section, ratio
from bench.peers import granian_constant, nginx, wakeful_http
from bench.settings import Settings

MANY = "1,000 objects"
FACTORIES = {
    "wakeful": wakeful_http.subject,
    "bare granian": granian_constant.subject,
    "nginx constant": nginx.subject,
}


def run(settings: Settings) -> Section:
    """Measure gets and judge them against bare granian."""
    section = Section("P2", "HTTP get", "reads only")
    with ExitStack() as stack:
        servers = start(stack, section, FACTORIES, (MANY,), settings)
        take_turns(section, servers, settings, workload=MANY, action="get", objects=1_000)
    share = ratio(section.median("wakeful", MANY), section.median("bare granian", MANY))
    section.expect("wakeful / bare granian", share, "x", at_least=0.90)
    return section
