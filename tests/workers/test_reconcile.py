"""Plans: what migrations and `exports` do to the namespaces that a data directory has."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from wakeful.errors import ConfigError
from wakeful.ports import KV_PREFIX
from wakeful.workers.config.migrations import read_classes
from wakeful.workers.config.tables import Findings, Table
from wakeful.workers.history import ledger
from wakeful.workers.history.ledger import Ledger, Owned
from wakeful.workers.history.reconcile import Claim, Plan, planned

V1 = {"tag": "v1", "new_sqlite_classes": ["A"]}
RENAME = {"tag": "v2", "renamed_classes": [{"from": "A", "to": "B"}]}
DELETE = {"tag": "v2", "deleted_classes": ["A"]}
TAKE = {"tag": "t1", "transferred_classes": [{"from": "A", "from_script": "w", "to": "C"}]}
LIVE = {"type": "durable-object", "storage": "sqlite"}


def claim(
    *migrations: dict[str, Any],
    name: str = "w",
    exports: dict[str, Any] | None = None,
    present: str | None = None,
    bound: str = "",
) -> Claim:
    """What a Worker says; its code has the classes it should have, unless told otherwise."""
    data = {"migrations": list(migrations)} if exports is None else {"exports": exports}
    file = Path(f"{name}/wrangler.toml")
    findings = Findings()
    classes = read_classes(Table(file, "", data, findings))
    findings.check()
    here = [*classes.storage, *bound.split()] if present is None else present.split()
    by = {one: f"{file}: durable_objects binding {one.lower()!r}" for one in bound.split()}
    return Claim(file, name, classes, frozenset(here), by)


def plan(recorded: Ledger, *claims: Claim, stored: str = "") -> Plan:
    """The plan, where these namespaces have objects."""
    return planned(recorded, claims, lambda namespace: namespace in stored.split())


def namespaces(found: Plan, worker: str = "w") -> dict[str, str]:
    return found.ledger[worker].namespaces


def after(*claims: Claim) -> Ledger:
    """What is recorded once these have been applied to an empty directory."""
    return planned({}, claims, lambda _: False).ledger


def refused(recorded: Ledger, *claims: Claim, stored: str = "") -> str:
    with pytest.raises(ConfigError) as error:
        plan(recorded, *claims, stored=stored)
    return str(error.value)


def test_a_class_has_a_namespace_of_its_name() -> None:
    """Whether a migration makes it, `exports`, or only a binding."""
    for one in (claim(V1), claim(exports={"A": LIVE}), claim(bound="A")):
        assert namespaces(plan({}, one)) == {"A": "w-A"}


def test_a_renamed_class_keeps_its_namespace() -> None:
    first = after(claim(V1))
    found = plan(first, claim(V1, RENAME))
    assert namespaces(found) == {"B": "w-A"}
    assert [step.tag for step in found.ledger["w"].applied] == ["v1", "v2"]
    assert found.ledger["w"].deleting == []
    assert plan(found.ledger, claim(V1, RENAME)).ledger == found.ledger


def test_a_new_class_of_an_old_name_gets_a_namespace_of_its_own() -> None:
    again = {"tag": "v3", "new_sqlite_classes": ["A"]}
    renamed = plan(after(claim(V1)), claim(V1, RENAME, again))
    assert namespaces(renamed) == {"B": "w-A", "A": "w-A.2"}
    deleted = plan(after(claim(V1)), claim(V1, DELETE, again), stored="w-A")
    assert namespaces(deleted) == {"A": "w-A.2"}
    assert deleted.ledger["w"].deleting == ["w-A"]


def test_a_deleted_class_is_retired_and_its_objects_are_to_go() -> None:
    first = after(claim(V1))
    found = plan(first, claim(V1, DELETE), stored="w-A").ledger["w"]
    assert (found.namespaces, found.retired, found.deleting) == ({}, ["w-A"], ["w-A"])
    empty = plan(first, claim(V1, DELETE)).ledger["w"]
    assert (empty.retired, empty.deleting) == (["w-A"], [])


def test_a_class_that_the_code_does_not_have_is_a_warning() -> None:
    said = claim({"tag": "v1", "new_sqlite_classes": ["Conter"]}, present="Counter")
    assert plan({}, said).warnings == (
        f"{said.file}: the migrations make a class Conter (is it Counter?), and the code of w has "
        "none of that name",
    )


def test_the_plan_changes_nothing_that_was_recorded() -> None:
    first = after(claim(V1))
    before = {name: owned.copy() for name, owned in first.items()}
    plan(first, claim(V1, DELETE), stored="w-A")
    assert first == before


def test_exports_rename_and_delete_once() -> None:
    """What they say of old classes may stay there for ever."""
    first = after(claim(exports={"A": LIVE, "D": LIVE}))
    declared = {
        "A": {"type": "durable-object", "state": "renamed", "renamed_to": "B"},
        "B": LIVE,
        "D": {"type": "durable-object", "state": "deleted"},
    }
    found = plan(first, claim(exports=declared), stored="w-A w-D")
    assert namespaces(found) == {"B": "w-A"}
    assert found.ledger["w"].deleting == ["w-D"]
    done = ledger.deleted(found.ledger)
    assert plan(done, claim(exports=declared), stored="w-A").ledger == done


def test_from_migrations_to_exports() -> None:
    """Namespaces stay, and the tags are not asked for any more."""
    first = after(claim(V1, RENAME))
    assert namespaces(plan(first, claim(exports={"B": LIVE}))) == namespaces(
        plan(first, claim(V1, RENAME))
    )


def test_a_transferred_class_keeps_its_namespace() -> None:
    first = after(claim(V1))
    found = plan(first, claim(TAKE, name="other"))
    assert (namespaces(found), namespaces(found, "other")) == ({}, {"C": "w-A"})
    assert found.ledger["w"].gone == {"A": "other"}
    again = plan(found.ledger, claim(V1), claim(TAKE, name="other"))
    assert again.ledger == found.ledger


def test_a_transfer_waits_for_the_migrations_of_the_other_worker() -> None:
    """In whatever order the Workers are named."""
    source, taker = claim(V1), claim(TAKE, name="other")
    first = {"w": Owned(), "other": Owned()}
    for claims in ((source, taker), (taker, source)):
        found = plan(first, *claims)
        assert (namespaces(found), namespaces(found, "other")) == ({}, {"C": "w-A"})


def test_workers_that_wait_for_each_other() -> None:
    back = {"tag": "v0", "transferred_classes": [{"from": "C", "from_script": "other", "to": "Z"}]}
    said = refused({"w": Owned(), "other": Owned()}, claim(back, V1), claim(TAKE, name="other"))
    assert "w/wrangler.toml: migration 'v0'" in said
    assert "other/wrangler.toml: migration 't1' wait for each other's classes" in said


GIVEN = {"A": {"type": "durable-object", "state": "transferred", "transferred_to": "other"}}
EXPECTED = {"A": LIVE | {"state": "expecting-transfer", "transfer_from": "w"}}


def test_a_transfer_by_exports_is_said_on_both_sides() -> None:
    first = after(claim(exports={"A": LIVE}))
    giver, taker = claim(exports=GIVEN), claim(exports=EXPECTED, name="other")
    for claims in ((giver, taker), (taker, giver)):
        found = plan(first, *claims, stored="w-A")
        assert (namespaces(found), namespaces(found, "other")) == ({}, {"A": "w-A"})
        assert plan(found.ledger, *claims, stored="w-A").ledger == found.ledger
    assert 'write state = "transferred"' in refused(first, claim(exports={"A": LIVE}), taker)
    assert 'write state = "expecting-transfer"' in refused(first, giver)
    assert namespaces(plan({}, *(giver, taker)), "other") == {"A": "other-A"}


# --- what nothing was recorded of ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ("", "w-B"),  # as Cloudflare's local tools name it
        ("w-A", "w-A"),  # an older wakeful has run it before it was renamed
        ("w-B", "w-B"),  # `wakeful import` has brought it
    ],
)
def test_the_first_start_finds_the_objects_of_a_renamed_class(stored: str, kept: str) -> None:
    found = plan({}, claim(V1, RENAME), stored=stored)
    assert (namespaces(found), found.warnings) == ({"B": kept}, ())


def test_the_first_start_says_which_objects_it_leaves_out_of_reach() -> None:
    found = plan({}, claim(V1, RENAME), stored="w-A w-B")
    assert namespaces(found) == {"B": "w-B"}
    (warning,) = found.warnings
    assert "objects in w-A stay where they are" in warning


def test_the_first_start_deletes_what_the_history_has_ended() -> None:
    """But not what may be of the class that has the name now."""
    assert plan({}, claim(V1, DELETE), stored="w-A").ledger["w"].deleting == ["w-A"]
    again = plan({}, claim(V1, DELETE, {"tag": "v3", "new_classes": ["A"]}), stored="w-A")
    assert (namespaces(again), again.ledger["w"].deleting) == ({"A": "w-A"}, [])


def test_the_first_start_takes_over_from_a_worker_that_is_not_there() -> None:
    taker = claim(TAKE, name="other")
    assert namespaces(plan({}, taker, stored="w-A"), "other") == {"C": "w-A"}
    assert namespaces(plan({}, taker), "other") == {"C": "other-C"}


# --- what is refused -----------------------------------------------------------------------------


def test_history_that_is_not_what_was_applied() -> None:
    first = after(claim(V1, RENAME))
    said = refused(first, claim(V1))
    assert (
        "w/wrangler.toml: migrations: the data directory has applied the tags v1, v2 for w" in said
    )
    assert "'v2' is missing here, or in another place" in said
    other = {"tag": "v2", "renamed_classes": [{"from": "A", "to": "X"}]}
    said = refused(first, claim(V1, other))
    assert "w/wrangler.toml: migration 'v2' was applied already, and has changed since" in said
    assert "tag of its own" in said


def test_a_class_more_in_what_was_applied_is_a_new_class() -> None:
    more = {"tag": "v1", "new_sqlite_classes": ["A", "More"]}
    assert namespaces(plan(after(claim(V1)), claim(more, bound="More"))) == {
        "A": "w-A",
        "More": "w-More",
    }


def test_a_binding_of_a_class_that_is_no_more() -> None:
    for step, what in ((DELETE, "deletes it"), (RENAME, "renames it to B")):
        for recorded in ({}, after(claim(V1)), after(claim(V1, step))):
            said = refused(recorded, claim(V1, step, bound="A"))
            assert "w/wrangler.toml: durable_objects binding 'a' binds the class A" in said
            assert f"migration 'v2' {what}. Correct the binding" in said


def test_a_binding_of_a_class_that_another_worker_has_taken() -> None:
    moved = plan(after(claim(V1)), claim(TAKE, name="other")).ledger
    said = refused(moved, claim(V1, bound="A"))
    assert "A was transferred to the Worker other" in said
    assert 'with script_name = "other"' in said


def test_objects_of_a_class_that_the_code_has_no_more() -> None:
    first = after(claim(V1))
    said = refused(first, claim(V1, present=""), stored="w-A")
    assert "the class A has stored objects" in said
    assert 'add a migration with deleted_classes = ["A"]' in said
    said = refused(after(claim(exports={"A": LIVE})), claim(exports={"B": LIVE}), stored="w-A")
    assert 'write state = "deleted" for A in exports' in said
    assert plan(first, claim(V1, present="")).ledger == first, "without objects nothing is lost"


def test_a_class_with_objects_of_its_own_cannot_get_others() -> None:
    first = after(claim(V1, bound="B"))
    said = refused(first, claim(V1, RENAME), stored="w-A w-B")
    assert "migration 'v2': the class B has stored objects of its own (w-B)" in said
    assert namespaces(plan(first, claim(V1, RENAME), stored="w-A")) == {"B": "w-A"}


def test_transfers_from_where_there_is_nothing() -> None:
    known = {"other": Owned()}
    assert "has never run on this data directory" in refused(known, claim(TAKE, name="other"))
    said = refused({"w": Owned()}, claim(TAKE, name="other"))
    assert "A is to come from the Worker w, which has no such class" in said
    first = plan(after(claim(V1)), claim(TAKE, name="other")).ledger
    assert "(it went to other)" in refused(first, claim(TAKE, name="third"))
    assert "which is this one" in refused({}, claim(V1, TAKE))
    moved = claim(V1, {"tag": "v2", "renamed_classes": [{"from": "A", "to": "B"}]})
    assert "A was transferred to the Worker other" in refused(first, moved)


# --- the record ----------------------------------------------------------------------------------


def test_the_ledger_is_read_as_it_was_written() -> None:
    found = plan(after(claim(V1)), claim(TAKE, name="other"), stored="w-A").ledger
    cells = ledger.changes({}, found)
    assert cells.keys() == {KV_PREFIX + "w", KV_PREFIX + "other"}
    assert ledger.read({key: value for key, value in cells.items() if value}) == found
    assert ledger.changes(found, found) == {}
    assert msgspec.to_builtins(found["other"])["namespaces"] == {"C": "w-A"}
