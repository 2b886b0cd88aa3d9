"""What callers hold: methods and nothing else, equal when they point at the same actor."""

import asyncio
import copy
import inspect

import pytest
from tests.runtime.world import runtime, virtual

from wakeful import Actor, ActorBehavior, DurableObject, UnknownActorType, UnknownMethod


class Shape(DurableObject):
    """Has everything a class can have besides methods."""

    size: int = 1
    _secret: int = 2

    def __init__(self) -> None:
        self.extra = 3

    @property
    def area(self) -> int:
        return self.size**2

    @staticmethod
    def unit() -> int:
        return 1

    @classmethod
    def named(cls) -> str:
        return cls.__name__

    def _inside(self) -> int:
        return self.size

    async def grow(self, by: int = 1) -> int:
        """Make it bigger."""
        self.size += by
        return self._inside()


@virtual
async def test_refs_to_the_same_actor_are_equal() -> None:
    async with runtime(Shape) as rt, runtime(Shape) as other:
        a, again, b = rt.get(Shape, "a"), rt.get(Shape, "a"), rt.get(Shape, "b")
        assert a == again
        assert hash(a) == hash(again)
        assert a != b
        assert a != other.get(Shape, "a")
        assert a != "a"
        assert {a: 1}[again] == 1
        assert repr(a) == "<ref to Shape/a>"


@virtual
async def test_ref_is_copied_as_itself_and_never_pickled() -> None:
    async with runtime(Shape) as rt:
        ref = rt.get(Shape, "a")
        assert copy.copy(ref) is ref
        assert copy.deepcopy([ref])[0] is ref
        with pytest.raises(TypeError, match="send the actor's type and name instead"):
            ref.__reduce_ex__(4)


@virtual
@pytest.mark.parametrize("name", ["size", "area", "unit", "named", "on_activate", "ctx"])
async def test_reading_through_a_ref_says_to_add_a_method(name: str) -> None:
    async with runtime(Shape) as rt:
        ref = rt.get(Shape, "a")
        assert not hasattr(ref, name)
        with pytest.raises(UnknownMethod, match=rf"Shape\.{name}.*a ref gives methods only"):
            getattr(ref, name)


@virtual
@pytest.mark.parametrize("name", ["_secret", "_inside"])
async def test_private_names_stay_private(name: str) -> None:
    async with runtime(Shape) as rt:
        with pytest.raises(UnknownMethod, match="private"):
            getattr(rt.get(Shape, "a"), name)


@virtual
async def test_unknown_method_says_which_there_are() -> None:
    async with runtime(Shape) as rt:
        with pytest.raises(UnknownMethod, match="no method 'shrink'; its methods: grow"):
            rt.get(Shape, "a").shrink()  # type: ignore[attr-defined]


@virtual
async def test_writing_through_a_ref_says_to_add_a_method() -> None:
    async with runtime(Shape) as rt:
        with pytest.raises(UnknownMethod, match="async def set_size"):
            rt.get(Shape, "a").size = 5


@virtual
async def test_ref_has_what_tools_look_for() -> None:
    async with runtime(Shape) as rt:
        ref = rt.get(Shape, "a")
        assert ref.grow.__name__ == "grow"
        assert ref.grow.__doc__ == "Make it bigger."
        assert inspect.iscoroutinefunction(ref.grow)
        assert not hasattr(ref, "__len__")
        assert not hasattr(ref, "__dict__")
        assert await asyncio.wait_for(ref.grow(2), 1) == 3


@virtual
async def test_type_that_is_not_registered_is_an_error_that_says_what_is() -> None:
    class Other(Actor):
        pass

    async with runtime(Shape) as rt:
        with pytest.raises(UnknownActorType, match=r"no actor type 'Other'.*registered: Shape"):
            rt.get(Other, "a")


class Echo(ActorBehavior):
    """Answers with what it got; keeps count of it."""

    count: int = 0

    async def handle_message(self, ctx, msg) -> None:  # type: ignore[no-untyped-def]
        self.count += 1
        match msg.payload:
            case b"count":
                await ctx.reply(str(self.count).encode())
            case b"twice":
                await ctx.reply(b"first")
                await ctx.reply(b"second")
            case b"text":
                await ctx.reply("text")
            case b"id":
                await ctx.reply(str(ctx.id).encode())
            case b"fail":
                raise ValueError("no")


@virtual
async def test_behaviour_takes_bytes_and_replies_with_bytes() -> None:
    async with runtime(Echo) as rt:
        ref = rt.spawn(Echo, name="e")
        assert await ref.ask(b"count") == b"1"
        assert await ref.ask(b"nothing") is None
        assert await ref.ask(b"twice") == b"second"
        assert await ref.ask(b"id") == b"Echo/e"
        with pytest.raises(TypeError, match="a reply is bytes"):
            await ref.ask(b"text")
        with pytest.raises(ValueError, match="no"):
            await ref.ask(b"fail")
        assert not hasattr(ref, "handle_message")
