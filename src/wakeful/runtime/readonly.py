"""Holds methods that are marked @readonly to it: what one of them has changed is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wakeful.errors import StateInvalid

if TYPE_CHECKING:
    from wakeful.runtime.activation import Activation


def check_unchanged(activation: Activation, method: str) -> bool:
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
