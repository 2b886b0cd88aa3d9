"""`make conformance`: every row on workerd and on wakeful, in one run; the answers are compared.

Exits 1 if a row is wrong. workerd's answers are written to recorded.json, against which the tests
check wakeful without Node.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance.driver import run
from conformance.rows import RECORDED, SAME, WRONG, Row, canonical, known, rows, verdict
from conformance.servers import Facts, Server, Wakeful, Workerd, version

LIMIT = 1500  # characters of an answer that are shown


def main() -> int:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="rows; all, if none is named")
    parser.add_argument("--quick", action="store_true", help="without rows that wait for long")
    options = parser.parse_args()
    chosen = [
        row
        for row in rows()
        if (not options.only or row.id in options.only) and not (options.quick and row.slow)
    ]
    with tempfile.TemporaryDirectory(prefix="conformance-") as directory:
        sides: list[Server] = [
            Workerd(Path(directory) / "workerd"),
            Wakeful(Path(directory) / "wakeful"),
        ]
        with ThreadPoolExecutor(2) as pool:
            theirs, ours = pool.map(lambda side: answers(side, chosen), sides)
    wrong = report(chosen, theirs, ours)
    if not options.only and not options.quick:
        record(theirs)
    return 1 if wrong else 0


def answers(server: Server, chosen: list[Row]) -> dict[str, Facts]:
    """The facts of one side, which is started and ended."""
    try:
        server.start()
        return run(server, chosen)
    finally:
        server.end()


def report(chosen: list[Row], theirs: dict[str, Facts], ours: dict[str, Facts]) -> int:
    """Print the table; how many rows are wrong."""
    differences = known()
    verdicts = [verdict(row, theirs[row.id], ours[row.id], differences) for row in chosen]
    for row, (kind, why) in zip(chosen, verdicts, strict=True):
        print(f"{row.id:4} {kind:21} {row.text}")
        if why:
            print(f"{'':26} {why}")
        if kind == WRONG or (kind != SAME and len(chosen) == 1):
            print(f"{'':26} workerd: {canonical(theirs[row.id])[:LIMIT]}")
            print(f"{'':26} wakeful: {canonical(ours[row.id])[:LIMIT]}")
    counts = Counter(kind for kind, _ in verdicts)
    print(f"{len(chosen)} rows: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    return counts[WRONG]


def record(theirs: dict[str, Facts]) -> None:
    """Write workerd's answers, a row a line; the file only changes if an answer does."""
    rows = {id: json.loads(canonical(facts)) for id, facts in theirs.items()}
    before = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if (before.get("workerd"), before.get("rows")) == (version(), rows):
        return
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        f"  {json.dumps(id)}: {json.dumps(facts, sort_keys=True)}" for id, facts in rows.items()
    ]
    RECORDED.write_text(
        f'{{"workerd": "{version()}", "date": "{today}", "rows": {{\n'
        + ",\n".join(lines)
        + "\n}}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
