"""The metrics page: what happened, in series whose number does not depend on how many actors."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from wakeful import DurableObject, Runtime
from wakeful.telemetry.metrics import Metrics


class Counter(DurableObject):
    count: int = 0

    async def increment(self) -> int:
        self.count += 1
        return self.count

    async def fail(self) -> None:
        raise ValueError


class Gateway:
    """The figures of an HTTP gateway."""

    active = 2
    shed = 3
    answers = (0, 0, 10, 0, 5, 1)


def series(page: bytes) -> dict[str, float]:
    """Samples by name and labels."""
    return {
        sample.name + "".join(f",{k}={v}" for k, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


async def test_what_happened_is_on_the_page(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Counter]) as runtime:
        metrics = Metrics(runtime.host, [Gateway()])
        for name in ("a", "b"):
            await runtime.get(Counter, name).increment()
        with pytest.raises(ValueError, match=r"^$"):
            await runtime.get(Counter, "a").fail()
        found = series(metrics.render())
    assert found["wakeful_calls_total,method=increment,type=Counter"] == 2
    assert found["wakeful_calls_total,method=fail,type=Counter"] == 1
    assert found["wakeful_call_failures_total"] == 1
    assert found["wakeful_calls_shed_total"] == 0
    assert found["wakeful_calls_waiting"] == 0
    assert found["wakeful_actors,state=active,type=Counter"] == 2
    assert found["wakeful_activations_total"] == 2
    assert found["wakeful_records_total"] == 2
    assert found["wakeful_batches_total"] in (1, 2)
    assert found["wakeful_lease_held,lane=0"] == 1
    assert found["wakeful_epoch,lane=0"] == 1
    assert found["wakeful_http_answers_total,status=2xx"] == 10
    assert found["wakeful_http_answers_total,status=5xx"] == 1
    assert found["wakeful_http_requests_active"] == 2
    assert found["wakeful_http_requests_shed_total"] == 3


async def test_more_actors_make_no_more_series(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Counter]) as runtime:
        metrics = Metrics(runtime.host)
        before = series(metrics.render()).keys()
        for number in range(50):
            await runtime.get(Counter, f"actor-{number}").increment()
        page = metrics.render()
        assert series(page).keys() == before
        assert b"actor-1" not in page


async def test_two_runtimes_have_a_page_each(tmp_path: Path) -> None:
    async with (
        Runtime(tmp_path / "a", actors=[Counter]) as one,
        Runtime(tmp_path / "b", actors=[Counter]) as two,
    ):
        await one.get(Counter, "c").increment()
        name = "wakeful_calls_total,method=increment,type=Counter"
        assert series(Metrics(one.host).render())[name] == 1
        assert series(Metrics(two.host).render())[name] == 0
