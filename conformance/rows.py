"""The rows: what is compared, from rows/*.toml, and what is known about the answers."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.json"
REFERENCE = re.compile(r"reference = \w+")


@dataclass(frozen=True)
class Row:
    """One statement, and where it is tried: in the Worker, inside an object, by the driver."""

    id: str
    text: str
    run: str
    space: str = ""
    slow: bool = False


@dataclass(frozen=True)
class Known:
    """Rows that differ: on purpose (with wakeful's answer), and by mistake (with the place)."""

    deliberate: dict[str, dict[str, str]]
    wrong: dict[str, dict[str, str]]


def rows() -> list[Row]:
    """All rows, in the order of their files."""
    found = []
    for file in sorted((HERE / "statements").glob("*.toml")):
        family = tomllib.loads(file.read_text())
        usual = family.pop("run")
        for id, row in family.items():
            row = {"text": row} if isinstance(row, str) else row
            found.append(Row(id=id, **{"run": usual, **row}))
    return found


def known() -> Known:
    """What deliberate.toml and known_wrong.toml say."""
    deliberate, wrong = (
        tomllib.loads((HERE / f"{name}.toml").read_text()) for name in ("deliberate", "known_wrong")
    )
    return Known(deliberate, wrong)


def canonical(facts: Any) -> str:
    """Facts as text that is equal where they are equal: 1 is 1.0, and True is not 1."""
    return REFERENCE.sub("reference = x", json.dumps(_whole(facts), sort_keys=True))


def _whole(facts: Any) -> Any:
    if isinstance(facts, int) and abs(facts) > 2**53:
        return int(float(facts))  # JavaScript prints the same double with other digits
    if isinstance(facts, float) and facts.is_integer():
        return int(facts)
    if isinstance(facts, list):
        return [_whole(item) for item in facts]
    if isinstance(facts, dict):
        return {key: _whole(item) for key, item in facts.items()}
    return facts


SAME, DELIBERATE, KNOWN, WRONG = "same", "different on purpose", "wrong, known", "WRONG"


def verdict(row: Row, theirs: Any, ours: Any, known: Known) -> tuple[str, str]:
    """How the two answers to a row compare, and why."""
    equal = canonical(theirs) == canonical(ours)
    if row.id in known.deliberate:
        entry = known.deliberate[row.id]
        if equal:
            return WRONG, "it is the same: take it out of deliberate.toml"
        if canonical(json.loads(entry["here"])) != canonical(ours):
            return WRONG, "it is different, but not as deliberate.toml says"
        return DELIBERATE, entry["reason"]
    if row.id in known.wrong:
        if equal:
            return WRONG, "it holds now: take it out of known_wrong.toml"
        return KNOWN, known.wrong[row.id]["reason"]
    return (SAME, "") if equal else (WRONG, "")
