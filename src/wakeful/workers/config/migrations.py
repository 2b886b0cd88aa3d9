"""The history of a Worker's Durable Object classes, and the storage that each class has now.

It has two forms: `migrations` is a list of tagged steps; `exports` lists the present classes, and
what became of earlier ones. One Worker cannot mix them. What either form does to stored objects is
in `reconcile`.

Source:  Cloudflare docs on Durable Object class exports, and on class migrations (legacy).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from wakeful.workers.config.tables import Table, shown

Storage: TypeAlias = Literal["sqlite", "kv"]

STATES: Final = ("created", "deleted", "renamed", "transferred", "expecting-transfer")
STORAGES: Final[dict[str, Storage]] = {"sqlite": "sqlite", "legacy-kv": "kv", "kv": "kv"}


class Rename(msgspec.Struct, frozen=True):
    """A class that goes on under another name, with its objects."""

    from_class: str
    to: str


class Transfer(msgspec.Struct, frozen=True):
    """A class whose objects come from another Worker."""

    from_class: str
    from_script: str
    to: str


class Gift(msgspec.Struct, frozen=True):
    """A class whose objects another Worker may take over."""

    class_name: str
    to_script: str


class Migration(msgspec.Struct, frozen=True):
    """One step of the history; of `exports`, all that it says of classes which are not created.

    Attributes:
        tag: its name; empty for `exports`.
        given_classes: in `exports` only, what other Workers may transfer.
    """

    tag: str
    new_classes: tuple[str, ...] = ()
    new_sqlite_classes: tuple[str, ...] = ()
    renamed_classes: tuple[Rename, ...] = ()
    deleted_classes: tuple[str, ...] = ()
    transferred_classes: tuple[Transfer, ...] = ()
    given_classes: tuple[Gift, ...] = ()


class Classes(msgspec.Struct, frozen=True):
    """What a Worker says of its Durable Object classes.

    Attributes:
        migrations: the steps, oldest first; empty with the `exports` form.
        storage: what each class that exists now keeps its data in; None where only another
            Worker, from which it was transferred, knows.
        exports: the `exports` form; None with migrations, or with nothing.
    """

    migrations: tuple[Migration, ...]
    storage: dict[str, Storage | None]
    exports: Migration | None = None


def read_classes(table: Table) -> Classes:
    """Read `migrations` or `exports`."""
    if "exports" not in table.data:
        faults = len(table.findings.faults)
        migrations = _migrations(table)
        is_sound = len(table.findings.faults) == faults
        return Classes(migrations, _replayed(table, migrations) if is_sound else {})
    if "migrations" in table.data:
        table.fault(
            "exports", "cannot be mixed with migrations in one Worker. Remove one of the two"
        )
    return _exports(table.table("exports"))


def _exports(table: Table) -> Classes:
    classes: dict[str, Storage | None] = {}
    renamed, deleted, transferred, given = [], [], [], []
    for name in table.data:
        export = table.table(name)
        if (kind := export.text("type")) not in ("", "durable-object"):
            export.fault("type", f'{shown(kind)} is not "durable-object"')
        match export.optional_text("state") or "created":
            case "created":
                export.only("type", "state", "storage")
                classes[name] = _storage(export)
            case "expecting-transfer":
                export.only("type", "state", "storage", "transfer_from")
                classes[name] = _storage(export)
                transferred.append(Transfer(name, export.text("transfer_from"), name))
            case "renamed":
                export.only("type", "state", "renamed_to")
                renamed.append(Rename(name, export.text("renamed_to")))
            case "deleted":
                export.only("type", "state")
                deleted.append(name)
            case "transferred":
                export.only("type", "state", "transferred_to")
                given.append(Gift(name, export.text("transferred_to")))
            case state:
                export.fault("state", f"{shown(state)} is none of: {', '.join(STATES)}")
    _check_targets(table, classes, renamed)
    step = Migration(
        "",
        renamed_classes=tuple(renamed),
        deleted_classes=tuple(deleted),
        transferred_classes=tuple(transferred),
        given_classes=tuple(given),
    )
    return Classes((), classes, step)


def _check_targets(
    table: Table, classes: dict[str, Storage | None], renamed: Sequence[Rename]
) -> None:
    targets: set[str] = set()
    for rename in renamed:
        place = table.table(rename.from_class)
        if rename.to and rename.to not in classes:
            place.fault("renamed_to", f"{shown(rename.to)} is not a created class in exports")
        elif rename.to in targets:
            place.fault("renamed_to", f"another class is renamed to {shown(rename.to)} too")
        targets.add(rename.to)


def _storage(export: Table) -> Storage:
    storage = export.optional_text("storage") or "sqlite"
    if storage not in STORAGES:
        export.fault("storage", f'{shown(storage)} is neither "sqlite" nor "legacy-kv"')
    return STORAGES.get(storage, "sqlite")


def _migrations(table: Table) -> tuple[Migration, ...]:
    found: list[Migration] = []
    tags: set[str] = set()
    for step in table.tables("migrations"):
        step.only("tag", *Migration.__struct_fields__[1:-1])
        tag = step.text("tag")
        if tag and tag in tags:
            step.fault("tag", f"{tag!r} is the tag of an earlier migration. Give it another")
        tags.add(tag)
        found.append(
            Migration(
                tag,
                step.texts("new_classes"),
                step.texts("new_sqlite_classes"),
                tuple(_rename(entry) for entry in step.tables("renamed_classes")),
                step.texts("deleted_classes"),
                tuple(_transfer(entry) for entry in step.tables("transferred_classes")),
            )
        )
    return tuple(found)


def _rename(entry: Table) -> Rename:
    entry.only("from", "to")
    return Rename(entry.text("from"), entry.text("to"))


def _transfer(entry: Table) -> Transfer:
    entry.only("from", "from_script", "to")
    return Transfer(entry.text("from"), entry.text("from_script"), entry.text("to"))


def _replayed(table: Table, migrations: tuple[Migration, ...]) -> dict[str, Storage | None]:
    classes: dict[str, Storage | None] = {}
    for index, step in enumerate(migrations):
        place = Table(table.file, table.place(f"migrations[{index}]"), {}, table.findings)
        for name in step.new_classes:
            _add(classes, name, "kv", (place, "new_classes"))
        for name in step.new_sqlite_classes:
            _add(classes, name, "sqlite", (place, "new_sqlite_classes"))
        for rename in step.renamed_classes:
            storage = _take(classes, rename.from_class, (place, "renamed_classes"))
            _add(classes, rename.to, storage, (place, "renamed_classes"))
        for name in step.deleted_classes:
            _take(classes, name, (place, "deleted_classes"))
        for transfer in step.transferred_classes:
            _add(classes, transfer.to, None, (place, "transferred_classes"))
    return classes


def _add(
    classes: dict[str, Storage | None],
    name: str,
    storage: Storage | None,
    place: tuple[Table, str],
) -> None:
    if name and name in classes:
        place[0].fault(
            place[1],
            f"{name!r} exists already at this point. Each class is made once; a class that keeps "
            "its data in key-value storage cannot become a SQLite one",
        )
    classes[name] = storage


def _take(
    classes: dict[str, Storage | None], name: str, place: tuple[Table, str]
) -> Storage | None:
    if name and name not in classes:
        known = ", ".join(classes) or "none"
        place[0].fault(
            place[1],
            f"{name!r} does not exist at this point. The migrations before it make: {known}",
        )
    return classes.pop(name, None)
