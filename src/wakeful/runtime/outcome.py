"""What a caller is told of a turn that failed.

A refusal says that nothing ran; an error of retry class "safe" says that nothing happened. Either
may reach a turn from an actor that it asks, or from the store. If the turn passed it on as
its own, it would say so of the turn: true only while nothing that the turn did stands.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING

from wakeful.actor_type import ActorType, MethodPlan
from wakeful.error_values import by_value, raised
from wakeful.errors import (
    ActivationAborted,
    ActorRaised,
    CallError,
    PartialOutcome,
    Retry,
    WakefulError,
    again,
)

if TYPE_CHECKING:
    from wakeful.runtime.activation import Turn


def for_caller(turn_of: ActorType, plan: MethodPlan, error: BaseException) -> BaseException:
    """An error as the caller sees it.

    A CancelledError or SystemExit of the method becomes an ordinary error for its caller.
    """
    if isinstance(error, ActivationAborted):
        return again(error.cause)
    if isinstance(error, CancelledError):
        return ActorRaised("CancelledError", "the method was cancelled from inside")
    if plan.gated or not plan.for_callers:
        return error
    if isinstance(error, SystemExit):
        return raised(error)
    if isinstance(error, Exception):
        return by_value(error, turn_of.named_errors())
    return error


def says_nothing_happened(error: BaseException) -> bool:
    """Whether an error says that the call which it answers had no effect."""
    if not isinstance(error, WakefulError):
        return False
    if error.retry is Retry.SAFE:
        return True
    ours = type(error).__module__ == WakefulError.__module__  # other classes cannot be judged
    return ours and isinstance(error, CallError) and error.retry is Retry.NEVER


def of_turn(turn: Turn, error: WakefulError) -> WakefulError:
    """The error of a failed turn: its own, or PartialOutcome where its own would be wrong."""
    if not turn.stands or not says_nothing_happened(error):
        return error
    outcome = PartialOutcome(
        f"{turn.activation.id}.{turn.what} failed, and something that it did before stands: "
        f"{type(error).__name__}: {error}"
    )
    outcome.__cause__ = error
    return outcome
