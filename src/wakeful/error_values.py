"""Errors by value: what of an error that an actor raises reaches its caller.

The caller gets an error of the same class if that is a built-in one, one of wakeful's or derived
from one, or one that a module of the actor's names: defines, or imports by name. It is a new
instance, made of the arguments and attributes, if these are plain values (see packing). Anything
else is an ActorRaised, with the name of the class and the message. So the answer is the same for a
caller in the process and for one on another node.

Invariants: nothing of the actor can be reached from an error's arguments and attributes. Traceback
            and cause are kept beside them, in the process: people read them, programs do not.
Errors:     none; what cannot be copied is an ActorRaised.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from wakeful.codec import typed
from wakeful.errors import ActorRaised, StateInvalid, WakefulError

E = TypeVar("E", bound=Exception)

BUILTINS: Final = Exception.__module__
_plain: Final[Callable[[Any], Any]] = typed(object).copy


def by_value(error: Exception, named: Container[type]) -> Exception:
    """An error as its caller gets it.

    Args:
        error: what the actor raised.
        named: the error classes that its modules name.
    """
    twin: Exception | None = None
    kind = type(error)
    with suppress(Exception):  # a constructor or `__str__` of the user's may raise anything
        if isinstance(error, WakefulError):
            twin = _ours(error)
        elif kind is ExceptionGroup:
            twin = _group(error, named)
        elif kind.__module__ == BUILTINS or kind in named:
            args, attributes = _data(error)
            twin = made(kind, _plain(args), _plain(attributes))
    if twin is None:
        twin = raised(error)
        twin.__cause__ = error
        return twin
    twin.__cause__, twin.__context__ = error.__cause__, error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin.with_traceback(error.__traceback__)


def raised(error: BaseException) -> ActorRaised:
    """An error by name and message only."""
    try:
        message = str(error)
    except Exception:
        message = ""
    return ActorRaised(type(error).__name__, message)


def named_errors(classes: Iterable[type]) -> frozenset[type[Exception]]:
    """The error classes that some classes, their bases and their modules name."""
    found: set[type] = set()
    for cls in classes:
        for base in cls.__mro__:
            if base.__module__ != BUILTINS:
                found.update(_classes(vars(base)))
                found.update(_classes(_module_of(base)))
    return frozenset(each for each in found if issubclass(each, Exception))


def _ours(error: WakefulError) -> WakefulError:
    """A copy of an error made for callers, with those attributes that are plain values."""
    args, attributes = _data(error)
    kept = {}
    for name, value in attributes.items():
        with suppress(StateInvalid):
            kept[name] = _plain(value)
    try:
        args = _plain(args)
    except StateInvalid:
        args = (str(error),)
    return made(type(error), args, kept)


def _group(group: Exception, named: Container[type]) -> Exception:
    assert isinstance(group, ExceptionGroup)
    return ExceptionGroup(group.message, [by_value(each, named) for each in group.exceptions])


def _data(error: Exception) -> tuple[tuple[object, ...], dict[str, object]]:
    """The arguments and attributes of an error; its class's own pickling is ignored."""
    reduced = _builtin_base(type(error)).__reduce__(error)
    assert isinstance(reduced, tuple)
    args, *state = reduced[1:]
    attributes: Mapping[str, object] = state[0] if state and state[0] is not None else {}
    return tuple(args), dict(attributes)


def made(kind: type[E], args: tuple[object, ...], attributes: Mapping[str, object]) -> E:
    """A new error; the constructor of its class is not called, since that may take anything."""
    base = _builtin_base(kind)
    twin: E = base.__new__(kind, *args)
    base.__init__(twin, *args)  # some of the built-in ones read their arguments there
    for name, value in attributes.items():
        object.__setattr__(twin, name, value)
    return twin


def _builtin_base(kind: type) -> Any:
    return next(base for base in kind.__mro__ if base.__module__ == BUILTINS)


def _module_of(cls: type) -> Mapping[str, object]:
    """The names of the module that a class was defined in, as its methods see them.

    `sys.modules` may hold a newer load of the same module, so the methods are asked first.
    """
    for member in vars(cls).values():
        if inspect.isfunction(member) and member.__module__ == cls.__module__:
            names: Mapping[str, object] = inspect.unwrap(member).__globals__
            return names
    return vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}


def _classes(names: Mapping[str, object]) -> list[type]:
    return [value for value in list(names.values()) if isinstance(value, type)]
