"""What an actor class would lose or share without meaning to: attributes that are not annotated.

    class Cart(DurableObject):
        count = 0                       set by a method: it would start anew after each sleep
        items = []                      one list, which all actors would share

Rules:   told from the class, when it is registered. A method is known to set what its own code
         assigns to its first parameter: `self.count = 1`, `self.count += 1`. What the constructor
         and on_activate set is set again at each waking. A method marked @readonly sets nothing.
Errors:  ConfigError, naming file, line and attribute and saying what to write instead.
"""

from __future__ import annotations

import dis
import inspect
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Container, Iterable, Iterator
from types import FunctionType
from typing import Final

from wakeful.errors import ConfigError

AT_WAKING: Final = frozenset({"__init__", "on_activate"})
_SHARED: Final = (
    *(list, dict, set, bytearray, deque),
    *(defaultdict, OrderedDict, Counter),
)


def refuse_undeclared(actor: type, own: Iterable[type], declared: Container[str]) -> None:
    """Refuse a class that sets what it does not declare, or shares what can change.

    Args:
        actor: the class.
        own: the class and its bases, as far as the user wrote them.
        declared: every annotated name.

    Raises:
        ConfigError: the class does that.
    """
    for cls in own:
        for name, member in vars(cls).items():
            if isinstance(member, FunctionType) and name not in AT_WAKING:
                _check_function(actor, member, declared)
            elif type(member) in _SHARED and _is_variable(name) and name not in declared:
                kind = type(member).__name__
                raise ConfigError(
                    f"{cls.__name__}.{name} has no annotation, so all actors would share one "
                    f"{kind}. Write `{name}: {kind} = {member!r:.40}` for one of its own each, or "
                    "ClassVar for a constant"
                )


def _check_function(actor: type, function: FunctionType, declared: Container[str]) -> None:
    for name, line in _assigned(function):
        if name.startswith("_") or _is_descriptor(actor, name):
            continue
        place = f"{function.__code__.co_filename}:{line}: {actor.__name__}.{function.__name__}"
        if getattr(function, "__wakeful_readonly__", False):
            raise ConfigError(
                f"{place} is marked @readonly and sets self.{name}: a GET would change the actor. "
                "Take the mark away"
            )
        if name in declared:
            continue
        value = getattr(actor, name, 0)
        raise ConfigError(
            f"{place} sets self.{name}, which the class does not declare: it would be lost when "
            f"the actor sleeps. Write `{name}: {type(value).__name__} = {value!r:.40}` in the "
            f"class, or call it _{name} to keep it in memory only"
        )


def _assigned(function: FunctionType) -> Iterator[tuple[str, int]]:
    """The attributes that a function's code sets on its first parameter, with their lines."""
    code = function.__code__
    if not code.co_argcount:
        return
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    for index, step in enumerate(steps):
        before = steps[max(0, index - 2) : index]
        plain = step.opname == "STORE_ATTR" and _loads(before[-1:], code.co_varnames[0])
        # `self.x += 1` keeps a copy of self for the store that comes later.
        copied = len(before) == 2 and before[1].opname == "COPY"
        augmented = step.opname == "LOAD_ATTR" and copied and _loads(before, code.co_varnames[0])
        if plain or augmented:
            line = step.positions.lineno if step.positions is not None else None
            yield step.argval, line or code.co_firstlineno


def _loads(steps: list[dis.Instruction], name: str) -> bool:
    """Whether the first of these instructions leaves a variable on top of the stack."""
    if not steps or not steps[0].opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
        return False
    loaded = steps[0].argval
    return bool((loaded[-1] if isinstance(loaded, tuple) else loaded) == name)


def _is_variable(name: str) -> bool:
    return not name.startswith("__") and not name.isupper()


def _is_descriptor(actor: type, name: str) -> bool:
    return hasattr(type(inspect.getattr_static(actor, name, None)), "__set__")
