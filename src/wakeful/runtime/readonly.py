"""Holds methods that are marked @readonly to it: what one of them has changed is refused."""

from __future__ import annotations

from typing import Protocol

from wakeful.actor_type import ActorType
from wakeful.errors import StateInvalid


class Touched(Protocol):
    """What a turn may change."""

    @property
    def touched(self) -> bool:
        """Whether something has changed since the last commit point."""


class Changeable(Protocol):
    """An activation, as far as a method can change it."""

    @property
    def type(self) -> ActorType:
        """The type of its actor."""

    @property
    def working(self) -> Touched:
        """What it keeps."""

    @property
    def sql(self) -> object | None:
        """Its database, if it has been opened."""

    def save(self) -> bool:
        """Make what the turn has changed part of the next record; whether there was anything."""


def check_unchanged(activation: Changeable, method: str) -> bool:
    """Refuse what a method that is marked @readonly has changed.

    Returns:
        Whether there is something to commit: never.

    Raises:
        StateInvalid: it has changed something; the turn is to be undone.
    """
    if activation.working.touched:
        raise StateInvalid(
            f"{activation.type.name}.{method} is marked @readonly and changes the actor: nothing "
            "of it was kept. Take the mark away, or change a copy"
        )
    return activation.sql is not None and activation.save()  # the end of what was read in SQL
