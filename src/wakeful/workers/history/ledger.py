"""Which namespace each class of each Worker has: a record in the data directory.

A namespace holds the objects of a class: it is the actor type of the stored objects, and their ids
are made from it. A class keeps its namespace when it is renamed or goes to another Worker, so its
objects need not be moved, and every id stays the same.

Shapes:     one actor, LEDGER; under the name of each Worker an Owned as a plain value.
Invariants: a namespace belongs to one class at most; a retired namespace is never used again.
Source:     Cloudflare, where a class's namespace has an id of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from wakeful import packing
from wakeful.errors import StorageCorrupt
from wakeful.ids import ActorId
from wakeful.ports import KV_PREFIX, Cells
from wakeful.workers.config.migrations import Migration
from wakeful.workers.objects.ids import unique_key

LEDGER: Final = ActorId("wakeful.workers", "namespaces")  # no namespace's name has a dot in front


class Owned(msgspec.Struct):
    """What a data directory has of one Worker.

    Attributes:
        applied: the migrations that have been applied, oldest first.
        namespaces: the namespace of each class.
        gone: classes that were transferred, and to which Worker.
        retired: namespaces of classes that were deleted.
        deleting: those of them whose objects may still be there.
    """

    applied: list[Migration] = []
    namespaces: dict[str, str] = {}
    gone: dict[str, str] = {}
    retired: list[str] = []
    deleting: list[str] = []

    def copy(self) -> Owned:
        """The same, to be changed."""
        return Owned(
            list(self.applied),
            dict(self.namespaces),
            dict(self.gone),
            list(self.retired),
            list(self.deleting),
        )


Ledger = dict[str, Owned]


def read(cells: Cells) -> Ledger:
    """Read the cells of LEDGER, by the names of Workers.

    Raises:
        StorageCorrupt: they are not what was written.
    """
    found: Ledger = {}
    for key, value in cells.items():
        try:
            found[key.removeprefix(KV_PREFIX)] = msgspec.convert(packing.decode(value), Owned)
        except msgspec.ValidationError as error:
            raise StorageCorrupt(f"{LEDGER}: {key}: {error}") from None
    return found


def changes(before: Mapping[str, Owned], after: Mapping[str, Owned]) -> dict[str, bytes | None]:
    """Return the cells of LEDGER that must be written."""
    return {
        KV_PREFIX + name: packing.encode(_plain(owned))
        for name, owned in after.items()
        if before.get(name) != owned
    }


def to_delete(ledger: Mapping[str, Owned]) -> Iterable[str]:
    """The namespaces whose objects are still to be deleted."""
    return [name for owned in ledger.values() for name in owned.deleting]


def deleted(ledger: Mapping[str, Owned]) -> Ledger:
    """Return the ledger after those objects were deleted."""
    done = {name: owned.copy() for name, owned in ledger.items()}
    for owned in done.values():
        owned.deleting.clear()
    return done


def out_of_reach(ledger: Mapping[str, Owned], namespace: str) -> str | None:
    """Explain why objects in a namespace would belong to no class; None if they would not."""
    for worker, owned in ledger.items():
        if namespace in owned.namespaces.values():
            return None
        if namespace in owned.retired:
            return f"a migration of the Worker {worker} has deleted their class"
    for worker, owned in ledger.items():
        for name, taken in owned.namespaces.items():
            if unique_key(worker, name) == namespace:
                return f"the class {name} of the Worker {worker} has its objects in {taken}"
        for name, taker in owned.gone.items():
            if unique_key(worker, name) == namespace:
                return f"the class {name} of {worker} was transferred to the Worker {taker}"
    return None


def _plain(owned: Owned) -> Any:
    return msgspec.to_builtins(owned, builtin_types=())
