"""What a class must look like is checked when it is defined, with an error that says what to do."""

import abc
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import pytest
from tests.runtime.world import runtime, virtual

from wakeful import (
    Actor,
    ActorBehavior,
    ConfigError,
    DurableObject,
    RateLimit,
    interleave,
    readonly,
)


def define(**members: Any) -> type[Actor]:
    return type("Bad", (Actor,), members)


def sync(self: object) -> None: ...


async def plain(self: object) -> None: ...


async def generator(self: object) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"add": sync}, r"Bad\.add must be `async def`.*rename it _add"),
        ({"add": lambda self: 1}, r"Bad\.add must be `async def`"),
        ({"stream": generator}, r"Bad\.stream yields.*Return a list"),
        ({"on_activate": sync}, r"Bad\.on_activate must be `async def`"),
        ({"on_deactivate": sync}, r"Bad\.on_deactivate must be `async def`"),
        ({"migrate": sync}, r"Bad\.migrate must be a classmethod"),
        ({"migrate": plain}, r"Bad\.migrate must be a classmethod"),
        ({"ctx": plain}, r"Bad\.ctx belongs to the framework"),
        ({"facets": plain}, r"Bad\.facets belongs to the framework"),
        (
            {"facets": RateLimit(1)},
            r"Bad\.facets is a RateLimit, not a tuple: .*\(RateLimit\(...\),\)",
        ),
        ({"schema_version": plain}, r"Bad\.schema_version belongs to the framework"),
    ],
)
def test_member_that_cannot_be_used_is_refused(members: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        define(**members)


def test_methods_of_a_mixin_are_checked_too() -> None:
    class Mixin:
        def helper(self) -> int:
            return 1

    with pytest.raises(ConfigError, match=r"Mixed\.helper must be `async def`"):

        class Mixed(Mixin, DurableObject):
            pass


def test_behaviour_handles_messages() -> None:
    with pytest.raises(ConfigError, match="Deaf handles no messages"):

        class Deaf(ActorBehavior):
            pass


def test_private_names_and_other_members_may_be_anything() -> None:
    assert define(
        _helper=sync,
        __call__=sync,
        unit=staticmethod(sync),
        made=classmethod(sync),
        area=property(sync),
        Inner=type("Inner", (), {}),
        limit=5,
    )


T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def twice(method: F) -> F:
    @functools.wraps(method)
    async def run(*args: Any, **kwargs: Any) -> Any:
        await method(*args, **kwargs)
        return await method(*args, **kwargs)

    return run  # type: ignore[return-value]


def noted(method: F) -> F:
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.notes += 1
        if args == (666,):
            raise ValueError("in the decorator")
        return method(self, *args, **kwargs)

    return run  # type: ignore[return-value]


class Greeting(abc.ABC):
    @abc.abstractmethod
    async def greet(self, name: str) -> str: ...

    async def polite(self, name: str) -> str:
        return f"dear {await self.greet(name)}"


class Holder(Generic[T]):
    pass


class Base(DurableObject):
    total: int = 0
    notes: int = 0

    async def add(self, by: int = 1) -> int:
        self.total += by
        return self.total

    async def removed(self) -> None: ...


class Decorated(Greeting, Base, Holder[int]):
    removed = None  # type: ignore[assignment]

    async def add(self, by: int = 1) -> int:
        return await super().add(by * 10)

    @twice
    @readonly
    async def double(self) -> int:
        return self.total + 2

    @interleave
    @noted
    async def note(self, value: int) -> int:
        return self.notes

    async def greet(self, name: str) -> str:
        return f"hello {name}"

    async def ask(self, question: str) -> str:
        return f"{question}?"


@virtual
async def test_inheritance_mixins_decorators_and_names_like_the_runtime_has() -> None:
    async with runtime(Decorated) as rt:
        ref = rt.get(Decorated, "d")
        assert await ref.add(2) == 20
        assert await ref.double() == 22
        assert await ref.note(1) == 1
        assert await ref.polite("you") == "dear hello you"
        assert await ref.ask("why") == "why?"
        assert not hasattr(ref, "removed")


@virtual
async def test_decorator_that_raises_before_the_method_runs_leaves_the_actor_free() -> None:
    async with runtime(Decorated) as rt:
        ref = rt.get(Decorated, "d")
        with pytest.raises(ValueError, match="in the decorator"):
            await ref.note(666)
        assert await ref.note(1) == 1
        assert await ref.add() == 10


@virtual
async def test_parameters_may_have_any_name() -> None:
    class Names(Actor):
        async def take(self, instance: int, plan: int, ref: int, args: int, activation: int) -> int:
            return instance + plan + ref + args + activation

    async with runtime(Names) as rt:
        call = rt.spawn(Names).take(instance=1, plan=2, ref=3, args=4, activation=5)
        assert await call == 15


@virtual
async def test_constructor_may_use_the_context_and_what_it_sets_stays() -> None:
    class Built(DurableObject):
        count: int = 0
        _cache: dict[str, int] = {}

        def __init__(self) -> None:
            self.name = self.ctx.id.name
            self._cache = {"from constructor": 1}

        async def add(self) -> list[object]:
            self.count += 1
            return [self.name, self.count, self._cache]

    async with runtime(Built, idle_seconds=1) as rt:
        ref = rt.get(Built, "b")
        assert await ref.add() == ["b", 1, {"from constructor": 1}]
        await rt.stop(ref)
        assert await ref.add() == ["b", 2, {"from constructor": 1}]
