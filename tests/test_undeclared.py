"""What a class would lose or share without meaning to is refused when it is registered."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from wakeful import Actor, ConfigError, DurableObject, readonly
from wakeful.state import StateSchema


def refusal(cls: type) -> str:
    with pytest.raises(ConfigError) as caught:
        StateSchema.of(cls)
    return str(caught.value)


def test_attribute_that_only_the_constructor_has_is_refused_with_its_line() -> None:
    class Box(DurableObject):
        def __init__(self) -> None:
            self.count = 0

        async def add(self, by: int) -> None:
            self.count += by

    line = Box.add.__code__.co_firstlineno + 1
    assert refusal(Box) == (
        f"{__file__}:{line}: Box.add sets self.count, which the class does not declare: it "
        "would be lost when the actor sleeps. Write `count: int = 0` in the class, or call it "
        "_count to keep it in memory only"
    )


def test_class_attribute_without_annotation_that_a_method_counts_up_is_refused() -> None:
    class Box(DurableObject):
        label = "a"

        async def extend(self, by: str) -> None:
            self.label += by

    assert "Write `label: str = 'a'` in the class" in refusal(Box)


def test_attribute_set_beside_a_closure_is_refused() -> None:
    class Box(DurableObject):
        async def start(self, by: int) -> None:
            other: Any = self
            self.seen = by

            async def work() -> None:
                other.seen = self

            await work()

    assert "Box.start sets self.seen" in refusal(Box)


def test_inherited_method_is_looked_at() -> None:
    class Base(DurableObject):
        async def note(self) -> None:
            self.noted, self._at = True, 1

    class Box(Base):
        pass

    assert "Box.note sets self.noted" in refusal(Box)


def test_method_marked_readonly_sets_nothing() -> None:
    class Box(DurableObject):
        seen: int = 0

        @readonly
        async def get(self) -> int:
            self.seen += 1
            return self.seen

    assert "Box.get is marked @readonly and sets self.seen: a GET would change" in refusal(Box)


def test_container_without_annotation_is_refused() -> None:
    class Box(DurableObject):
        _seen = {}  # type: ignore[var-annotated]

    assert refusal(Box) == (
        "Box._seen has no annotation, so all actors would share one dict. Write `_seen: dict = {}` "
        "for one of its own each, or ClassVar for a constant"
    )


def test_what_is_meant_passes() -> None:
    class Base(DurableObject):
        total: int = 0
        shared: ClassVar[int] = 0

    class Box(Base):
        LIMITS = {"a": 1}
        window = 60
        count: int = 0
        _seen: dict[str, int] = {}

        def __init__(self) -> None:
            self.name = "a"

        async def on_activate(self) -> None:
            self.since = 1

        @property
        def label(self) -> str:
            return "a"

        @label.setter
        def label(self, value: str) -> None:
            self._label = value

        async def add(self, other: Any) -> int:
            self.count += self.window
            self.total = self.shared = 1
            self.label = "b"
            self._free = 1
            other.count = 1
            return self.count

    assert [field.name for field in StateSchema.of(Box).fields] == ["total", "count"]


def test_volatile_actor_may_set_what_it_likes() -> None:
    class Box(Actor):
        async def add(self) -> None:
            self.count = 1

    StateSchema.of(Box, durable=False)
