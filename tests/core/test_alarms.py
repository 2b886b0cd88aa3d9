"""Alarms: the cell, the backoff, and what a handler sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeful.core.alarms import BACKOFF_NS, RETRIES_MAX, AlarmCell, AlarmRun, retries_within

TIMES = st.integers(0, 2**63)
JITTERS = st.floats(0, 1, exclude_max=True)


@given(TIMES, TIMES, st.integers(0, RETRIES_MAX))
def test_cell_survives_packing(due_ns: int, scheduled_ns: int, retries: int) -> None:
    cell = AlarmCell(due_ns, scheduled_ns, retries)

    assert cell == AlarmCell.unpack(cell.pack())
    assert cell == AlarmCell.of(cell.entry())


@given(TIMES, TIMES)
def test_cells_in_order_of_bytes_are_in_order_of_time(one_ns: int, other_ns: int) -> None:
    assert (one_ns < other_ns) == (AlarmCell.at(one_ns).pack() < AlarmCell.at(other_ns).pack())


def test_backoff_doubles_up_to_1024_seconds() -> None:
    """Two seconds, four, eight ... measured on workerd as 2-2.5 s and 4-5 s."""
    delays = [
        AlarmCell(0, 0, retries).after_failure(100, 0.0, counted=False, retries_max=6)
        for retries in range(12)
    ]

    expected = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]
    assert expected == [(cell.due_ns - 100) // 10**9 for cell in delays if cell is not None]


@given(JITTERS)
def test_jitter_adds_at_most_a_quarter(jitter: float) -> None:
    cell = AlarmCell.at(5).after_failure(1_000, jitter, counted=True, retries_max=6)

    assert cell is not None
    assert 0 <= cell.due_ns - 1_000 - BACKOFF_NS <= BACKOFF_NS // 4
    assert cell.scheduled_ns == 5


def test_the_seventh_failure_of_the_handler_gives_up() -> None:
    """One run and six counted retries."""
    cell: AlarmCell | None = AlarmCell.at(0)
    runs = 0
    while cell is not None:
        runs += 1
        cell = cell.after_failure(0, 0.0, counted=True, retries_max=6)

    assert runs == 1 + 6


def test_failures_that_are_not_the_handlers_do_not_count() -> None:
    cell = AlarmCell(0, 0, 6).after_failure(0, 0.0, counted=False, retries_max=6)

    assert cell is not None
    assert cell.retries == 6


def test_the_alarm_that_fired_does_not_show_to_its_handler() -> None:
    fired = AlarmCell.at(1).pack()
    run = AlarmRun(fired)

    assert run.shown(fired) is None
    assert run.leaves(fired)


def test_an_alarm_set_by_the_handler_shows_and_stays() -> None:
    """Even if it is set to the very time that fired."""
    fired = AlarmCell.at(1).pack()
    run = AlarmRun(fired)
    again = AlarmCell.at(1).pack()

    assert run.shown(again) == fired
    assert not run.leaves(again)


def test_an_alarm_moved_from_outside_while_the_handler_runs_stays() -> None:
    run = AlarmRun(AlarmCell.at(1).pack())

    assert not run.leaves(AlarmCell.at(2).pack())
    assert not run.leaves(None)


@pytest.mark.parametrize(
    ("seconds", "retries"),
    [(0, 0), (1.9, 0), (2, 1), (5.9, 1), (6, 2), (126, 6), (86_400, 92), (10**9, RETRIES_MAX)],
)
def test_the_backoff_says_how_many_retries_fit_into_a_time(seconds: float, retries: int) -> None:
    assert retries_within(round(seconds * 1e9)) == retries
