"""What of a class can be called from outside."""

from typing import Any

import pytest

from wakeful.workers.code.entrypoints import (
    DurableObject,
    DurableObjectAbort,
    Exported,
    WorkerEntrypoint,
    arguments_taken,
    handler,
)
from wakeful.workers.proxies import JsTypeError
from wakeful.workers.web.requests import JsRequest, Request


class Mixin:
    def mixed(self) -> str:
        return "mixed"


class Base(DurableObject):
    async def inherited(self) -> str:
        return "inherited"

    def gone(self) -> None: ...


class Counter(Base, Mixin):
    label = "not a function"
    gone = None  # type: ignore[assignment]

    def __init__(self, state: Any, environment: Any) -> None:
        super().__init__(state, environment)
        self.hidden = lambda: "instance attribute"
        self.increment_by = "shadow"

    class Nested: ...

    async def fetch(self) -> str:
        return "no parameters"

    async def alarm(self, info: object = None) -> object:
        return info

    async def webSocketMessage(self, *args: object) -> tuple[object, ...]:
        return args

    def increment_by(self, by: int) -> int:  # type: ignore[no-redef]
        return by

    @staticmethod
    def fixed() -> str:
        return "static"

    @classmethod
    def made(cls) -> str:
        return cls.__name__

    @property
    def size(self) -> int:
        return 1

    def _private(self) -> None: ...


@pytest.fixture
def counter() -> Counter:
    return Counter("ctx", "env")


exported = Exported(Counter)


def test_base_class_sets_ctx_and_env(counter: Counter) -> None:
    assert (counter.ctx, counter.env) == ("ctx", "env")
    plain = Base("c", "e")
    assert (plain.ctx, plain.env) == ("c", "e")
    entry = WorkerEntrypoint("c", "e")
    assert (entry.ctx, entry.env) == ("c", "e")


def test_methods_are_the_public_functions() -> None:
    assert exported.methods == {"inherited", "mixed", "increment_by", "fixed", "made"}
    assert set(exported.handlers) == {"fetch", "alarm", "webSocketMessage"}


async def test_methods_are_found_on_the_class(counter: Counter) -> None:
    assert exported.method(counter, "mixed")() == "mixed"
    assert exported.method(counter, "increment_by")(3) == 3
    assert exported.method(counter, "fixed")() == "static"
    assert exported.method(counter, "made")() == "Counter"
    assert await exported.method(counter, "inherited")() == "inherited"


@pytest.mark.parametrize(
    "name",
    ["nope", "hidden", "env", "ctx", "label", "_private", "size", "Nested", "gone", "__init__"],
)
def test_nothing_else_is_reachable(counter: Counter, name: str) -> None:
    with pytest.raises(TypeError) as raised:
        exported.method(counter, name)
    error = raised.value
    assert isinstance(error, JsTypeError)
    assert error.message == f'The RPC receiver does not implement the method "{name}".'
    assert error.remote


@pytest.mark.parametrize(
    "name",
    ["fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError", "connect", "dup"],
)
def test_reserved_names(counter: Counter, name: str) -> None:
    with pytest.raises(JsTypeError) as raised:
        exported.method(counter, name)
    assert raised.value.message == f"'{name}' is a reserved method and cannot be called over RPC."


async def test_class_without_a_base_has_handlers_only() -> None:
    class Plain:
        async def fetch(self, request: object) -> object:
            return request

        def method(self) -> None: ...

    plain = Exported(Plain)
    with pytest.raises(TypeError, match="does not support RPC"):
        plain.method(Plain(), "method")
    fetch = plain.handler(Plain(), "fetch")
    assert fetch is not None
    assert await fetch("request") == "request"


async def test_handlers_drop_surplus_arguments(counter: Counter) -> None:
    fetch = exported.handler(counter, "fetch")
    alarm = exported.handler(counter, "alarm")
    message = exported.handler(counter, "webSocketMessage")
    assert fetch is not None
    assert alarm is not None
    assert message is not None
    assert await fetch("request", "env", "ctx") == "no parameters"
    assert await alarm("info") == "info"
    assert await alarm() is None
    assert await message(1, 2, 3) == (1, 2, 3)
    assert exported.handler(counter, "webSocketClose") is None


def test_arguments_of_old_style_handlers() -> None:
    def takes_two(request: object, env: object, *, named: int = 1) -> None: ...

    assert arguments_taken(takes_two) == 2
    assert arguments_taken(lambda *args: None) is None
    assert arguments_taken(lambda: None) == 0


def test_handler_gives_the_python_request() -> None:
    @handler
    def on_fetch(request: object, env: object) -> tuple[object, object]:
        return request, env

    js = JsRequest("http://h")
    request, env = on_fetch(js, "env")
    assert isinstance(request, Request)
    assert (request.js_object, env) == (js, "env")
    assert on_fetch.__name__ == "on_fetch"


def test_abort_is_no_exception() -> None:
    assert not issubclass(DurableObjectAbort, Exception)


def test_handlers_of_one_kind_are_methods_of_the_other() -> None:
    class Queue(DurableObject):
        def queue(self, item: object) -> None: ...

    class Default(WorkerEntrypoint):
        def queue(self, batch: object) -> None: ...

    assert (Exported(Queue).methods, Exported(Queue).handlers) == ({"queue"}, {})
    assert (Exported(Default).methods, Exported(Default).handlers) == (set(), {"queue": 1})
