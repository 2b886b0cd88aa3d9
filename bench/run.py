"""Runs the benchmarks: `python -m bench.run [--only P1,P3] [--quick]`.

A full run takes about half an hour. `--quick` tries everything at a small size and writes nothing;
`--only` runs the named sections and leaves the stored results of the others as they are.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import shutil
import sys
import time
from pathlib import Path

from bench import machine, report
from bench.model import Missing, Section, Series, to_builtins
from bench.peers import workerd
from bench.settings import Settings

MODULES = {
    "P1": "bench.p1_http_increment",
    "P2": "bench.p2_http_get",
    "P3": "bench.p3_ask",
    "P4": "bench.p4_durable_ask",
    "P5": "bench.p5_activation",
    "P6": "bench.p6_memory",
    "P7": "bench.p7_sql_insert",
    "P8": "bench.p8_growth",
    "P9": "bench.p9_worker_counter",
    "U": "bench.cpu_per_call",
    "W": "bench.ws_sockets",
    "K": "bench.choices",
    "A": "bench.alarms",
    "C": "bench.comparison",
}


def main() -> int:
    """Run what was asked for; the exit code is 0 when every section ran, met or not."""
    options = _options()
    directory = Path(options.directory).resolve()
    settings = Settings.quick(directory) if options.quick else Settings(directory)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    facts = machine.describe(directory)
    facts["fdatasync_us"] = machine.fdatasync_us(directory)
    facts["versions"] = {**machine.versions(), "workerd": _workerd_version()}
    _print_facts(facts)
    failed: list[str] = []
    sections: list[Section] = []
    for code in options.only:
        try:
            sections.append(_run_section(code, settings))
        except Exception as error:
            failed.append(code)
            print(f"{code} failed: {error}", file=sys.stderr)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
    if sections and not options.quick:
        results = report.merge(report.load(), facts, [to_builtins(one) for one in sections])
        for path in report.save(results):
            print(f"wrote {path.relative_to(report.ROOT)}")
    shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=list(MODULES),
        help=f"sections to run, of {','.join(MODULES)}",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small sizes; nothing is written")
    parser.add_argument(
        "--directory", default=str(Path(__file__).with_name(".work")),
        help="where data goes; put it on the disk to be measured",
    )  # fmt: skip
    options = parser.parse_args()
    unknown = set(options.only) - set(MODULES)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    return options


def _run_section(code: str, settings: Settings) -> Section:
    started = time.monotonic()
    print(f"\n{code}: ", end="", flush=True)
    section: Section = importlib.import_module(MODULES[code]).run(settings)
    section.date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    print(f"{section.title} ({section.durability}), {time.monotonic() - started:.0f} s")
    for series in section.series:
        print(f"   {series.subject:<22} {series.workload:<26} {_told(series)}")
    for verdict in section.verdicts:
        met = {True: "met", False: "NOT MET", None: ""}[verdict.met]
        measured = "not measured" if verdict.measured is None else f"{verdict.measured:,.2f}"
        print(f"   => {verdict.name}: {measured} {verdict.unit}  {verdict.target}  {met}")
    return section


def _told(series: Series) -> str:
    if series.missing is not None:
        return f"missing: {series.missing}"
    text = f"{series.median or 0:>12,.1f} {series.unit}"
    for key in series.detail:
        if key.endswith("_us"):
            name = key.removesuffix("_us").replace("_", " ")
            text += f"  {name} {series.detail_median(key):,.0f} us"
    if (per_second := series.detail_median("per_second")) is not None:
        text += f"  at {per_second:,.0f} requests/s"
    return f"{text}  {series.note}"


def _workerd_version() -> str:
    try:
        workerd.find_binary()
    except Missing:
        return "not installed"
    return workerd.version()


def _print_facts(facts: dict[str, object]) -> None:
    for key, value in facts.items():
        if isinstance(value, dict):
            print(f"{key}: " + ", ".join(f"{name} {_short(one)}" for name, one in value.items()))
        else:
            print(f"{key}: {value}")


def _short(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
