"""Writes what was measured: `metrics/benchmark_results.json` and the tables between the markers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "metrics" / "benchmark_results.json"
README = ROOT / "README.md"
PERFORMANCE = ROOT / "docs" / "performance.md"
COMPARISON = ROOT / "examples" / "comparison" / "cloudflare_workers" / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

Plain = dict[str, Any]


def merge(before: Plain, machine: Plain, sections: list[Plain]) -> Plain:
    """The stored results with the sections of this run in place of their older selves."""
    kept: dict[str, Plain] = {section["code"]: section for section in before.get("sections", [])}
    for section in sections:
        kept[section["code"]] = section | {"machine": machine}
    return {"sections": [kept[code] for code in sorted(kept)]}


def load() -> Plain:
    """The results of earlier runs."""
    if not RESULTS.exists():
        return {}
    stored: Plain = json.loads(RESULTS.read_text())
    return stored


def save(results: Plain) -> list[Path]:
    """Write the results and the tables; a file without markers is left alone."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    written = [RESULTS]
    tables = {
        README: target_table(results),
        COMPARISON: comparison_table(results),
        PERFORMANCE: cost_tables(results),
    }
    for path, table in tables.items():
        if path.exists() and _replace(path, table):
            written.append(path)
    return written


def _replace(path: Path, table: str) -> bool:
    text = path.read_text()
    if BEGIN not in text or END not in text:
        return False
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}")
    return True


def target_table(results: Plain) -> str:
    """One row per target: what was measured, the target, and whether it is met."""
    rows = ["| # | workload | measured | target | met |", "|---|---|---:|---:|---|"]
    for section in results["sections"]:
        for verdict in section["verdicts"]:
            if verdict["target"]:
                measured = _number(verdict["measured"], verdict["unit"])
                met = {True: "yes", False: "**no**", None: "not measured"}[verdict["met"]]
                target = f"{verdict['target']} {verdict['unit']}".replace(" us", " µs")
                what = f"{section['title']}: {verdict['name']}"
                rows.append(f"| {section['code']} | {what} | {measured} | {target} | {met} |")
    return "\n".join([*rows, "", provenance(results)])


COMPARED = (
    ("Request latency, GET, 1 connection", "C", "request latency"),
    ("State persistence, increment, 1 connection", "C", "state persistence"),
    ("Cold start, first GET of a stored object", "C", "cold start"),
    ("Throughput, increment, 1,000 objects", "P1", "1,000 objects"),
    ("Throughput, increment, 1 hot object", "P1", "1 hot object"),
    ("Throughput, increment, each wakes its object", "P1", "waking"),
    ("Throughput, get, 1,000 objects", "C", "get, 1,000 objects"),
    ("Throughput, SQL insert, 1,000 objects", "P7", "1,000 objects"),
    ("Throughput, SQL insert, each wakes its object", "P7", "waking"),
    ("The same Worker, increment, 1,000 objects", "P9", "increment, 1,000 objects"),
    ("The same Worker, increment, 1 hot object", "P9", "increment, 1 hot object"),
    ("The same Worker, get, 1,000 objects", "P9", "get, 1,000 objects"),
    ("WebSocket echo, 1 client", "W", "echo, 1 client"),
    ("WebSocket echo, 64 clients", "W", "echo, 64 clients"),
    ("WebSocket broadcast, 1 to 1,000, delivered", "W", "broadcast, 1 to 1,000"),
    ("Memory of an idle WebSocket", "W", "idle socket"),
    ("Memory of an alarm that is not due", "A", "memory of one not due"),
    ("Alarms set over HTTP", "A", "set, over HTTP"),
    ("10,000 alarms due at once, the last begins after", "A", "10,000 due at once: all rung"),
)
SUBJECTS = ("workerd", "wakeful", "wakeful Worker")


def comparison_table(results: Plain) -> str:
    """The rows of the comparison's performance table; a dash is what nobody tries to measure."""
    rows = [
        "| Metric | workerd, JavaScript | wakeful, an actor | wakeful, a Python Worker |",
        "|---|---:|---:|---:|",
    ]
    for label, code, workload in COMPARED:
        cells = [_cell(results, code, subject, workload) for subject in SUBJECTS]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", provenance(results)])


PARTS = ("main_thread_us", "io_thread_us", "other_threads_us")


def cost_tables(results: Plain) -> str:
    """What calls cost over HTTP, by thread, and what a choice costs in process."""
    calls = [
        "| over HTTP | CPU | main thread | server's I/O thread | other threads |",
        "|---|---:|---:|---:|---:|",
    ]
    choices = ["| in process | CPU |", "|---|---:|"]
    for series in _series_of(results, "U"):
        parts = [_us(_middle(series["detail"].get(part))) for part in PARTS]
        if series["subject"] == "workerd":  # its threads do other things
            parts = ["-", "-", "-"]
        what = f"{series['subject']}: {series['workload']}"
        calls.append(f"| {what} | {_us(series['median'])} | {' | '.join(parts)} |")
    for series in _series_of(results, "K"):
        choices.append(f"| {series['workload']} | {_us(series['median'])} |")
    return "\n".join([*calls, "", *choices, "", provenance(results, {"U", "K"})])


def _series_of(results: Plain, code: str) -> list[Plain]:
    return [one for part in results["sections"] if part["code"] == code for one in part["series"]]


def _middle(values: list[float] | None) -> float | None:
    return statistics.median(values) if values else None


def _us(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.1f} µs"


def _cell(results: Plain, code: str, subject: str, workload: str) -> str:
    for section in results["sections"]:
        for series in section["series"] if section["code"] == code else ():
            if (series["subject"], series["workload"]) == (subject, workload):
                return _series(series)
    return "-"


def _series(series: Plain) -> str:
    if series["median"] is None:
        return "not measured"
    text = _number(series["median"], series["unit"])
    p99 = series["detail"].get("p99_us")
    if p99 and series["unit"] == "us":
        text += f", p99 {_number(sorted(p99)[len(p99) // 2], 'us')}"
    return text


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    if unit == "us":
        return f"{value / 1000:,.2f} ms" if value >= 1_000 else f"{value:,.0f} µs"
    digits = 2 if unit == "x" and value < 10 else 1 if unit == "x" else 0
    return f"{value:,.{digits}f} {unit}"


def provenance(results: Plain, codes: Collection[str] = ()) -> str:
    """Where and when: the newest section speaks for the machine, all dates are named.

    Args:
        results: what was measured.
        codes: the sections that count; by default all.
    """
    sections = [one for one in results["sections"] if not codes or one["code"] in codes]
    if not sections:
        return "Not measured yet."
    dates = sorted({section["date"][:10] for section in sections})
    machine = max(sections, key=lambda section: str(section["date"]))["machine"]
    sync = machine["fdatasync_us"]
    named = machine["versions"]
    return (
        f"Medians, measured {' and '.join(dates)} on {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['filesystem']}, fdatasync {sync['append_p50']:.0f} µs; Python "
        f"{named['python']}, granian {named['granian']}, SQLite {named['sqlite']}, workerd "
        f"{named['workerd']}. Raw values of every run: `metrics/benchmark_results.json`."
    )
