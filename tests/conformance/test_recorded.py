"""`wakeful serve` against what workerd answered when `make conformance` ran last."""

import json
from typing import Any

import pytest
from conformance.driver import halved, run, whole
from conformance.rows import HERE, RECORDED, SAME, WRONG, Known, canonical, known, rows, verdict
from conformance.servers import Wakeful, version

ROWS = rows()
QUICK = [row for row in ROWS if not row.slow]
SECONDS = 150  # a hang is an error; how fast the machine is, is not


@pytest.fixture(scope="module")
def recorded() -> Any:
    """The answers of workerd."""
    return json.loads(RECORDED.read_text())


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answers of wakeful, all rows at once."""
    server = Wakeful(tmp_path_factory.mktemp("conformance"))
    try:
        server.start()
        found = run(server, QUICK)
    finally:
        server.end()
    return found


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.id)
def test_row(row: Any, recorded: Any, answered: dict[str, Any]) -> None:
    theirs, ours = recorded["rows"][row.id], answered[row.id]
    kind, why = verdict(row, theirs, ours, known())
    told = f"{row.text}: {why}\nworkerd: {canonical(theirs)}\nwakeful: {canonical(ours)}"
    assert kind != WRONG, told


def test_what_is_recorded_is_of_all_rows_and_this_version(recorded: Any) -> None:
    assert recorded["workerd"] == version()
    assert list(recorded["rows"]) == [row.id for row in ROWS]


def test_lists_name_rows_that_there_are() -> None:
    ids = {row.id for row in ROWS}
    assert len(ids) == len(ROWS)
    differences = known()
    assert ids >= differences.deliberate.keys() | differences.wrong.keys()
    assert not differences.deliberate.keys() & differences.wrong.keys()
    assert {row.id for row in ROWS if row.run == "driver"} == whole.keys() | halved.keys()


def test_both_sides_have_every_scenario() -> None:
    scripts = "".join(path.read_text() for path in (HERE / "workerd" / "src").glob("*.js"))
    python = "".join(path.read_text() for path in (HERE / "worker" / "src").glob("*.py"))
    programs = json.loads((HERE / "worker" / "src" / "programs.json").read_text())["rows"]
    for row in ROWS:
        if row.run != "driver" and row.id not in programs:
            assert f"async {row.id}(" in scripts, row
            assert f"async def {row.id}(" in python, row


def test_a_row_that_starts_to_hold_must_leave_its_list() -> None:
    wrong = Known({}, {ROWS[0].id: {"reason": "", "where": ""}})
    assert verdict(ROWS[0], 1, 1, wrong)[0] == WRONG
    assert verdict(ROWS[0], 1, 2, wrong)[0] != WRONG
    row = next(row for row in ROWS if row.id in known().deliberate)
    assert verdict(row, 1, 1, known())[0] == WRONG
    assert verdict(row, 1, 2, known())[0] == WRONG
    same = next(row for row in ROWS if row.id == "A1")
    assert verdict(same, 1, 1.0, known())[0] == SAME
    assert verdict(same, 1, True, known())[0] == WRONG
