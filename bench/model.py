"""What a benchmark hands back: series of raw values, verdicts on targets, sections of both."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


class Missing(Exception):
    """A subject cannot be measured here; the message is the reason, and it is reported as such."""


@dataclass(slots=True)
class Series:
    """One subject under one workload: a value per run, plus whatever else was seen."""

    subject: str
    workload: str
    unit: str
    runs: list[float] = field(default_factory=list)
    detail: dict[str, list[float]] = field(default_factory=dict)
    missing: str | None = None
    note: str = ""
    median: float | None = None

    def add(self, value: float, **detail: float) -> None:
        """Record one run."""
        self.runs.append(value)
        self.median = statistics.median(self.runs)
        for key, number in detail.items():
            self.detail.setdefault(key, []).append(number)

    def detail_median(self, key: str) -> float | None:
        """The median of one of the further numbers, if it was recorded."""
        values = self.detail.get(key)
        return statistics.median(values) if values else None


@dataclass(slots=True)
class Verdict:
    """One target and what was measured against it; `met` is None where nothing can be said."""

    name: str
    measured: float | None
    unit: str
    target: str
    met: bool | None


@dataclass(slots=True)
class Section:
    """The outcome of one benchmark module."""

    code: str
    title: str
    durability: str
    date: str = ""
    series: list[Series] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)

    def series_of(self, subject: str, workload: str, unit: str = "") -> Series:
        """The series of a subject under a workload, created on first use."""
        for series in self.series:
            if series.subject == subject and series.workload == workload:
                return series
        series = Series(subject, workload, unit)
        self.series.append(series)
        return series

    def median(self, subject: str, workload: str) -> float | None:
        """The median of a series, or None where the subject is missing."""
        return self.series_of(subject, workload).median

    def expect(
        self,
        name: str,
        measured: float | None,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Judge a measured value against its bound; a missing value is neither met nor missed."""
        bound = at_least if at_least is not None else at_most
        sign = ">=" if at_least is not None else "<="
        met: bool | None = None
        if measured is not None and bound is not None:
            met = measured >= bound if at_least is not None else measured <= bound
        target = "" if bound is None else f"{sign} {bound:,.6g}"
        self.verdicts.append(Verdict(name, measured, unit, target, met))


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """A quotient that is None as soon as either side is missing."""
    if numerator is None or not denominator:
        return None
    return numerator / denominator


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    rank = min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered)) - 1))
    return ordered[rank]


def to_builtins(section: Section) -> dict[str, object]:
    """A section as plain JSON values."""
    return asdict(section)
