"""Prometheus metrics, read from plain ints when they are asked for.

Invariants: nothing is counted here and nothing is kept; labels are actor types and fixed words,
            never names, so the number of series is bounded by the code that is running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from wakeful.core.lifecycle import ActivationState
from wakeful.runtime.host import Host

STATUSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")


class HttpFigures(Protocol):
    """The figures that are read from an HTTP gateway."""

    @property
    def active(self) -> int:
        """Requests being handled."""

    @property
    def shed(self) -> int:
        """Requests refused because too many were being handled."""

    @property
    def answers(self) -> Sequence[int]:
        """How many answers there were, by the hundreds of their status."""


class Metrics:
    """The metrics page of one host.

    Args:
        host: whose figures.
        gateways: the HTTP gateways that serve it, as they are when the page is asked for.
    """

    def __init__(self, host: Host, gateways: Sequence[HttpFigures] = ()) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Figures(host, gateways))

    def render(self) -> bytes:
        """The page, in the Prometheus text format."""
        return generate_latest(self._registry)


class _Figures(Collector):
    def __init__(self, host: Host, gateways: Sequence[HttpFigures]) -> None:
        self._host = host
        self._gateways = gateways

    def describe(self) -> list[Metric]:
        return []  # or the registry would collect once to find out

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._actors()
        yield from self._commits()
        if self._gateways:
            yield from self._http()

    def _calls(self) -> Iterator[Metric]:
        delivery = self._host.delivery
        calls = CounterMetricFamily(
            "wakeful_calls", "Calls that reached a method.", labels=("type", "method")
        )
        for name, actor_type in self._host.types.items():
            for plan in actor_type.methods.values():
                calls.add_metric((name, plan.name), plan.calls_made())
        yield calls
        yield _count("wakeful_call_failures", "Calls whose method raised.", delivery.failures)
        yield _count("wakeful_calls_shed", "Calls refused: too many waited.", delivery.shed)
        yield _level("wakeful_calls_waiting", "Calls waiting in mailboxes.", delivery.waiting)

    def _actors(self) -> Iterator[Metric]:
        activator = self._host.activator
        states: Counter[tuple[str, ActivationState]] = Counter(
            (activation.id.type, activation.life.state) for activation in activator.catalog
        )
        active = GaugeMetricFamily(
            "wakeful_actors", "Actors in memory, by type and state.", labels=("type", "state")
        )
        for name in self._host.types:
            for state in ActivationState:
                active.add_metric((name, state.value), states[name, state])
        yield active
        yield _count("wakeful_activations", "Actors that began to wake.", activator.activations)
        yield _count("wakeful_deactivations", "Actors that went to sleep.", activator.deactivations)
        yield _count("wakeful_discards", "Activations that were thrown away.", activator.discards)

    def _commits(self) -> Iterator[Metric]:
        host = self._host
        lanes = host.committer.lanes
        batches = sum(lane.batches for lane in lanes)
        records = sum(lane.records for lane in lanes)
        collecting = sum(len(lane.commit.collecting.writers) for lane in lanes)
        yield _count("wakeful_batches", "Batches handed to the store.", batches)
        yield _count("wakeful_records", "Commit records in those batches.", records)
        yield _level("wakeful_writers_waiting", "Actors with writes in no batch.", collecting)
        yield _level("wakeful_sockets", "Open WebSockets.", host.sockets.count)
        courier, alarms = host.courier, host.alarms
        yield _count("wakeful_alarms_fired", "Alarm handlers that were run.", courier.fired)
        yield _count("wakeful_alarms_failed", "Alarm handlers that failed.", courier.failed)
        given_up = "Alarms that were given up: their handler has failed too often."
        yield _count("wakeful_alarms_given_up", given_up, alarms.given_up)
        yield from self._leases()

    def _leases(self) -> Iterator[Metric]:
        epoch = GaugeMetricFamily(
            "wakeful_epoch", "The epoch this node writes with, by lane.", labels=("lane",)
        )
        held = GaugeMetricFamily(
            "wakeful_lease_held", "Whether this node may write (1) or not.", labels=("lane",)
        )
        for lane in self._host.committer.lanes:
            epoch.add_metric((str(lane.number),), lane.lease.epoch)
            held.add_metric((str(lane.number),), int(lane.ownership.lost is None))
        yield epoch
        yield held

    def _http(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "wakeful_http_answers", "HTTP answers, by class of status.", labels=("status",)
        )
        for hundreds, status in enumerate(STATUSES, start=1):
            total = sum(gateway.answers[hundreds] for gateway in self._gateways)
            answers.add_metric((status,), total)
        yield answers
        active = sum(gateway.active for gateway in self._gateways)
        shed = sum(gateway.shed for gateway in self._gateways)
        yield _level("wakeful_http_requests_active", "HTTP requests being handled.", active)
        yield _count("wakeful_http_requests_shed", "HTTP requests refused: too many.", shed)


def _count(name: str, text: str, value: int) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _level(name: str, text: str, value: int) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
