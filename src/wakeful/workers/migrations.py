"""The history of a Worker's Durable Object classes, and what it leaves: class to storage.

Two forms: `migrations`, a list of tagged steps, or `exports`, the classes as they are to be. They
cannot be mixed in one Worker.

Source:  Cloudflare docs on Durable Objects migrations.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from wakeful.workers.tables import Table, shown

Storage: TypeAlias = Literal["sqlite", "kv"]

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


class Migration(msgspec.Struct, frozen=True):
    """One step of the history."""

    tag: str
    new_classes: tuple[str, ...] = ()
    new_sqlite_classes: tuple[str, ...] = ()
    renamed_classes: tuple[Rename, ...] = ()
    deleted_classes: tuple[str, ...] = ()
    transferred_classes: tuple[Transfer, ...] = ()


class Classes(msgspec.Struct, frozen=True):
    """What a Worker says of its Durable Object classes.

    Attributes:
        migrations: the steps, oldest first; empty with the `exports` form.
        storage: what each class that exists now keeps its data in; None where only another
            Worker, from which it was transferred, knows.
    """

    migrations: tuple[Migration, ...]
    storage: dict[str, Storage | None]


def read_classes(table: Table) -> Classes:
    """Read `migrations` or `exports`.

    Raises:
        ConfigError: they are malformed, contradict themselves, or both are there.
    """
    if "exports" not in table.data:
        migrations = _migrations(table)
        return Classes(migrations, _replayed(table, migrations))
    if "migrations" in table.data:
        table.refuse(
            "exports", "cannot be mixed with migrations in one Worker. Remove one of the two"
        )
    return Classes((), _exports(table.table("exports")))


def _exports(table: Table) -> dict[str, Storage | None]:
    classes: dict[str, Storage | None] = {}
    for name in table.data:
        export = table.table(name)
        export.only("type", "storage")
        if export.text("type") != "durable-object":
            export.refuse("type", f'{shown(export.text("type"))} is not "durable-object"')
        storage = export.optional_text("storage") or "sqlite"
        if storage not in STORAGES:
            export.refuse("storage", f'{shown(storage)} is neither "sqlite" nor "legacy-kv"')
        classes[name] = STORAGES[storage]
    return classes


def _migrations(table: Table) -> tuple[Migration, ...]:
    found: list[Migration] = []
    tags: set[str] = set()
    for step in table.tables("migrations"):
        step.only("tag", *Migration.__struct_fields__[1:])
        tag = step.text("tag")
        if tag in tags:
            step.refuse("tag", f"{tag!r} is the tag of an earlier migration. Give it another")
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
        place = Table(table.file, table.place(f"migrations[{index}]"), {})
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
    if name in classes:
        place[0].refuse(
            place[1],
            f"{name!r} exists already at this point. Each class is made once; a class that keeps "
            "its data in key-value storage cannot become a SQLite one",
        )
    classes[name] = storage


def _take(
    classes: dict[str, Storage | None], name: str, place: tuple[Table, str]
) -> Storage | None:
    if name not in classes:
        known = ", ".join(classes) or "none"
        place[0].refuse(
            place[1],
            f"{name!r} does not exist at this point. The migrations before it make: {known}",
        )
    return classes.pop(name)
