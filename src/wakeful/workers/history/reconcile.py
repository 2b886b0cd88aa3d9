"""Plans how the classes that Workers declare change the namespaces of a data directory.

Nothing is done here; the same input gives the same plan. Migrations that were not applied yet are
taken in order. A migration that transfers a class waits until the other Worker's migrations have
made the class. `exports` has no order and is compared each time.

A data directory without a record of a Worker may still have objects of it, which an older wakeful
or `wakeful import` has put there under "<worker>-<class>". These objects go to the class of that
name, or, if there is no such class any more, to the class that it was renamed to.

Errors:  ConfigError names the file, the migration, the class and what to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from wakeful.errors import ConfigError
from wakeful.workers.config.migrations import Classes, Gift, Migration, Rename, Transfer
from wakeful.workers.config.tables import meant
from wakeful.workers.history.ledger import Ledger, Owned
from wakeful.workers.objects.ids import unique_key


class Claim(msgspec.Struct, frozen=True):
    """What one Worker declares of its classes.

    Attributes:
        file: where it says so.
        name: the Worker's name.
        classes: what its file says.
        present: the Durable Object classes its code has, declared or not.
        bound: the classes that are bound, each with the binding as messages name it.
    """

    file: Path
    name: str
    classes: Classes
    present: frozenset[str]
    bound: Mapping[str, str]


class Plan(msgspec.Struct, frozen=True):
    """A plan: the ledger to record, and warnings.

    Attributes:
        ledger: what the data directory is to have recorded.
        warnings: what somebody should know.
    """

    ledger: Ledger
    warnings: tuple[str, ...]


def planned(
    recorded: Mapping[str, Owned], claims: Sequence[Claim], has_objects: Callable[[str], bool]
) -> Plan:
    """Make the plan for these Workers.

    Args:
        recorded: what the data directory has recorded.
        claims: what the Workers say.
        has_objects: is anything stored in a namespace?

    Raises:
        ConfigError: what they say does not fit together, or not to what was recorded.
    """
    work = _Work(recorded, claims, has_objects)
    work.apply_steps(claims)
    for claim in claims:
        work.settle(claim)
    return Plan(work.ledger, tuple(work.warnings))


class _Work:
    """A plan that is being made."""

    def __init__(
        self,
        recorded: Mapping[str, Owned],
        claims: Sequence[Claim],
        has_objects: Callable[[str], bool],
    ) -> None:
        self.ledger = {name: owned.copy() for name, owned in recorded.items()}
        self.warnings: list[str] = []
        self._has_objects = has_objects
        self._new = {claim.name for claim in claims} - recorded.keys()
        self._claims = {claim.name: claim for claim in claims}
        for claim in claims:
            _check_bound(claim)
            self.ledger.setdefault(claim.name, Owned())
        self._steps = {claim.name: deque(self._to_apply(claim)) for claim in claims}

    def apply_steps(self, claims: Sequence[Claim]) -> None:
        """Apply all that was not applied yet."""
        while waiting := [claim for claim in claims if self._steps[claim.name]]:
            ready = [claim for claim in waiting if not self._waits(self._steps[claim.name][0])]
            if not ready:
                steps = " and ".join(_place(c, self._steps[c.name][0]) for c in waiting)
                raise ConfigError(f"{steps} wait for each other's classes. Transfer them in turn")
            for claim in ready:
                self._apply(claim, self._steps[claim.name].popleft())

    def settle(self, claim: Claim) -> None:
        """Give a namespace to every class that exists; refuse classes that cannot have one."""
        owned = self.ledger[claim.name]
        created = claim.classes.storage if claim.classes.exports is not None else ()
        for name in dict.fromkeys([*created, *claim.bound]):
            if name not in owned.gone:
                self._create(claim.name, name)
            else:
                self._refuse_transferred(claim, name, owned.gone[name])
        for name, namespace in owned.namespaces.items():
            if name not in claim.present and self._is_missed(claim, name, namespace):
                raise ConfigError(
                    f"{claim.file}: the class {name} has stored objects, and {claim.name} has no "
                    f"such class any more. To delete them, {_deletion(claim, name)}; to keep them "
                    "under another name, rename the class there; or put the class back"
                )
            if name not in claim.present and name in claim.classes.storage:
                self.warnings.append(
                    f"{claim.file}: the migrations make a class {name}{meant(name, claim.present)},"
                    f" and the code of {claim.name} has none of that name"
                )

    # --- what was applied, and what comes first --------------------------------------------------

    def _to_apply(self, claim: Claim) -> Iterable[Migration]:
        if claim.classes.exports is not None:
            return [claim.classes.exports]
        steps, applied = claim.classes.migrations, self.ledger[claim.name].applied
        for index, before in enumerate(applied):
            if index >= len(steps) or steps[index].tag != before.tag:
                tags = ", ".join(step.tag for step in applied)
                raise ConfigError(
                    f"{claim.file}: migrations: the data directory has applied the tags {tags} for "
                    f"{claim.name}, and {before.tag!r} is missing here, or in another place. Put "
                    "it back as it was, before newer ones; or use another data directory"
                )
            if not _agree(before, steps[index]):
                raise ConfigError(
                    f"{_place(claim, before)} was applied already, and has changed since. It will "
                    "not be applied again: put it back as it was, and write the change as a new "
                    "migration with a tag of its own"
                )
        return steps[len(applied) :]

    def _waits(self, step: Migration) -> bool:
        """Whether a step needs a class that another Worker has not reached yet."""
        return any(
            self._steps.get(transfer.from_script)
            and transfer.from_class not in self.ledger[transfer.from_script].namespaces
            for transfer in step.transferred_classes
        )

    # --- one step --------------------------------------------------------------------------------

    def _apply(self, claim: Claim, step: Migration) -> None:
        for name in (*step.new_classes, *step.new_sqlite_classes):
            self._create(claim.name, name)
        for rename in step.renamed_classes:
            self._rename(claim, step, rename)
        for name in step.deleted_classes:
            self._delete(claim, name)
        for transfer in step.transferred_classes:
            self._transfer(claim, step, transfer)
        for gift in step.given_classes:
            self._offer(claim, gift)
        if step.tag:
            self.ledger[claim.name].applied.append(step)

    def _create(self, worker: str, name: str) -> None:
        owned = self.ledger[worker]
        owned.gone.pop(name, None)
        if name not in owned.namespaces:
            owned.namespaces[name] = self._free(unique_key(worker, name))

    def _rename(self, claim: Claim, step: Migration, rename: Rename) -> None:
        owned = self.ledger[claim.name]
        if rename.from_class in owned.gone:
            self._refuse_transferred(claim, rename.from_class, owned.gone[rename.from_class])
        if rename.from_class not in owned.namespaces:
            if claim.name not in self._new:
                return  # `exports` may keep what it said of a class that was renamed long ago
            self._create(claim.name, rename.from_class)
        namespace = owned.namespaces.pop(rename.from_class)
        self._give(claim, step, rename.to, self._until_now(claim, rename.to, namespace))

    def _delete(self, claim: Claim, name: str) -> None:
        owned = self.ledger[claim.name]
        if claim.name in self._new:
            self._create(claim.name, name)
        owned.gone.pop(name, None)
        namespace = owned.namespaces.pop(name, None)
        if namespace is None or (claim.name in self._new and name in claim.classes.storage):
            return  # what is stored under the name may be of the class that has it now
        owned.retired.append(namespace)
        if self._has_objects(namespace):
            owned.deleting.append(namespace)

    def _offer(self, claim: Claim, gift: Gift) -> None:
        """Offer a class to another Worker, unless that Worker took it long ago."""
        name, taker = gift.class_name, self._claims.get(gift.to_script)
        exports = taker.classes.exports if taker is not None else None
        wanted = exports is not None and any(
            (transfer.from_class, transfer.from_script) == (name, claim.name)
            for transfer in exports.transferred_classes
        )
        if claim.name in self._new and (wanted or self._has_objects(unique_key(claim.name, name))):
            self._create(claim.name, name)
        if name in self.ledger[claim.name].namespaces and not wanted:
            raise ConfigError(
                f"{claim.file}: exports.{name} is to go to the Worker {gift.to_script}, which does "
                f'not expect it. There, write state = "expecting-transfer" and transfer_from = '
                f'"{claim.name}" for it, and name the directories of both Workers in the command'
            )

    def _transfer(self, claim: Claim, step: Migration, transfer: Transfer) -> None:
        name, source = transfer.from_class, transfer.from_script
        if step is claim.classes.exports and transfer.to in self.ledger[claim.name].namespaces:
            return
        where = f"{_place(claim, step)}: {name} is to come from the Worker {source}"
        if source == claim.name:
            raise ConfigError(f"{where}, which is this one. Rename the class instead")
        owned = self.ledger.get(source)
        both_new = claim.name in self._new and source in self._new
        if owned is None or (both_new and name not in owned.namespaces):
            self._transfer_unknown(claim, step, transfer)
            return
        if step is claim.classes.exports:
            self._check_given(where, claim, transfer)
        if name not in owned.namespaces:
            there = ", ".join(owned.namespaces) or "none"
            gone = f" (it went to {owned.gone[name]})" if name in owned.gone else ""
            raise ConfigError(
                f"{where}, which has no such class in this data directory{gone}. Its classes: "
                f"{there}. Correct from, or from_script"
            )
        namespace = owned.namespaces.pop(name)
        owned.gone[name] = claim.name
        if source in self._new:
            namespace = self._until_now(claim, transfer.to, namespace)
        self._give(claim, step, transfer.to, namespace)

    def _transfer_unknown(self, claim: Claim, step: Migration, transfer: Transfer) -> None:
        """Transfer a class from a Worker without a record: it may have objects all the same."""
        namespace = unique_key(transfer.from_script, transfer.from_class)
        if claim.name not in self._new and not self._has_objects(namespace):
            raise ConfigError(
                f"{_place(claim, step)}: {transfer.from_class} is to come from the Worker "
                f"{transfer.from_script}, which has never run on this data directory. Name its "
                "directory in the command too"
            )
        if self._is_taken(namespace):
            namespace = self._free(namespace)
        self._give(claim, step, transfer.to, self._until_now(claim, transfer.to, namespace))

    def _give(self, claim: Claim, step: Migration, name: str, namespace: str) -> None:
        """Give a class the namespace of a renamed or transferred one."""
        owned = self.ledger[claim.name]
        own = owned.namespaces.pop(name, None)
        if own is not None and self._has_objects(own):
            raise ConfigError(
                f"{_place(claim, step)}: the class {name} has stored objects of its own ({own}), "
                "and cannot get those of another one. Delete the class first, or use another name"
            )
        owned.gone.pop(name, None)
        owned.namespaces[name] = namespace

    def _until_now(self, claim: Claim, name: str, carried: str) -> str:
        """Return the namespace that a class has had: its own perhaps, if nothing was recorded."""
        own = unique_key(claim.name, name)
        if claim.name not in self._new or self._is_taken(own):
            return carried
        if not self._has_objects(carried):
            return own
        if not self._has_objects(own):
            return carried
        self.warnings.append(
            f"there are objects in {own} and in {carried}, and nothing says which are older: {own} "
            f"is used, and the objects in {carried} stay where they are, out of reach"
        )
        return own

    # --- namespaces, and what is refused ---------------------------------------------------------

    def _free(self, namespace: str) -> str:
        number, found = 1, namespace
        while self._is_taken(found):
            number += 1
            found = f"{namespace}.{number}"
        return found

    def _is_taken(self, namespace: str) -> bool:
        return any(
            namespace in owned.namespaces.values() or namespace in owned.retired
            for owned in self.ledger.values()
        )

    def _is_missed(self, claim: Claim, name: str, namespace: str) -> bool:
        """Whether leaving the class out puts its objects out of reach, contrary to the file."""
        if claim.classes.exports is None and name not in claim.classes.storage:
            return False
        return self._has_objects(namespace)

    def _check_given(self, where: str, claim: Claim, transfer: Transfer) -> None:
        source = self._claims.get(transfer.from_script)
        exports = source.classes.exports if source is not None else None
        gifts = exports.given_classes if exports is not None else ()
        if not any((g.class_name, g.to_script) == (transfer.from_class, claim.name) for g in gifts):
            raise ConfigError(
                f'{where}, which does not say so. There, write state = "transferred" and '
                f'transferred_to = "{claim.name}" for it in exports, and name the directories of '
                "both Workers in the command"
            )

    def _refuse_transferred(self, claim: Claim, name: str, taker: str) -> NoReturn:
        by = f", and {claim.bound[name]} binds it here" if name in claim.bound else ""
        raise ConfigError(
            f"{claim.file}: the class {name} was transferred to the Worker {taker}{by}. Bind it "
            f'with script_name = "{taker}", or remove it'
        )


def _check_bound(claim: Claim) -> None:
    """Refuse bindings of classes that the history has ended."""
    exports = claim.classes.exports
    for step in claim.classes.migrations if exports is None else [exports]:
        ended = {name: "deletes it" for name in step.deleted_classes}
        ended |= {old.from_class: f"renames it to {old.to}" for old in step.renamed_classes}
        for name in ended.keys() & claim.bound.keys() - claim.classes.storage.keys():
            raise ConfigError(
                f"{claim.bound[name]} binds the class {name}, and {_place(claim, step)} "
                f"{ended[name]}. Correct the binding, or remove it"
            )


def _agree(before: Migration, now: Migration) -> bool:
    """Whether a declared migration equals the applied one; additional classes are allowed."""
    made = {*before.new_classes, *before.new_sqlite_classes}
    return made <= {*now.new_classes, *now.new_sqlite_classes} and (
        before.renamed_classes,
        before.deleted_classes,
        before.transferred_classes,
    ) == (now.renamed_classes, now.deleted_classes, now.transferred_classes)


def _place(claim: Claim, step: Migration) -> str:
    return f"{claim.file}: {f'migration {step.tag!r}' if step.tag else 'exports'}"


def _deletion(claim: Claim, name: str) -> str:
    if claim.classes.exports is not None:
        return f'write state = "deleted" for {name} in exports'
    return f'add a migration with deleted_classes = ["{name}"]'
