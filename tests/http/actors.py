"""Actors to be called over HTTP, and a server to call them through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from wakeful import CallError, Config, DurableObject, InvalidArguments, Runtime, readonly
from wakeful.http.gateway import Gateway
from wakeful.http.server import HttpServer
from wakeful.http.settings import HttpSettings

PATIENCE = 10.0  # seconds until a test that waits for an answer gives up


class Counter(DurableObject):
    count: int = 0

    async def increment(self, by: int = 1) -> int:
        """Count up.

        By one, if nothing else is said.
        """
        self.count += by
        return self.count

    @readonly
    async def get(self) -> int:
        return self.count


class Colour(Enum):
    RED = "red"


class Sold(CallError):
    """The seat is sold."""

    http = 409

    def __init__(self, seat: int) -> None:
        super().__init__(f"seat {seat} is sold")
        self.seat = seat


class Point(msgspec.Struct):
    x: int
    y: float = 0.0


class Paid(msgspec.Struct):
    amount: Decimal
    colour: Colour
    raw: bytes


class Seen(msgspec.Struct):
    number: int
    text: str
    flag: bool
    when: date | None
    point: Point | None
    tags: list[str]


class Probe(DurableObject):
    """Methods of many signatures, and some that misbehave."""

    seen: int = 0

    async def echo(self, value: object) -> object:
        return value

    @readonly
    async def typed(
        self,
        number: int,
        text: str = "",
        flag: bool = False,
        when: date | None = None,
        point: Point | None = None,
        tags: list[str] = [],  # noqa: B006 - a default of an actor's method is never changed
    ) -> Seen:
        return Seen(number, text, flag, when, point, tags)

    async def small(self, number: Annotated[int, msgspec.Meta(ge=0, le=9)], *, keyword: int) -> int:
        return number + keyword

    async def money(self, amount: Decimal, colour: Colour, raw: bytes) -> Paid:
        return Paid(amount, colour, raw)

    async def fail(self, message: str) -> None:
        raise ValueError(message)

    async def refuse(self) -> None:
        raise InvalidArguments("not on Sundays", field="day")

    async def sell(self, seat: int) -> None:
        self.seen += 1
        raise Sold(seat)

    async def leave(self) -> None:
        raise SystemExit(3)

    async def cancel(self) -> None:
        raise asyncio.CancelledError

    async def unsayable(self, kind: str, wait: bool = False) -> object:
        """Write something, and return what has no JSON form."""
        self.seen += 1
        if wait:
            await asyncio.sleep(0)
        found: dict[str, object] = {
            "complex": {1j},
            "digits": 10**5000,
            "surrogate": "\ud800",
            "nested": {"deep": ["\ud800"]},
            "keys": {(1, 2): "tuple"},
            "object": object(),
        }
        return found[kind]

    async def digits(self) -> int:
        self.seen += 1
        return 10**5000

    async def surrogate(self) -> str:
        self.seen += 1
        return "\ud800"

    async def wrong(self) -> int:
        self.seen += 1
        return "text"  # type: ignore[return-value]

    @readonly
    async def count(self) -> int:
        return self.seen

    async def abort(self) -> None:
        self.ctx.abort("enough")


class Gate(NamedTuple):
    """Lets a test hold a turn where it is."""

    entered: asyncio.Event
    open: asyncio.Event


def waiter() -> tuple[type[DurableObject], Gate]:
    """An actor class whose `wait` waits until the gate is opened, and the gate."""
    gate = Gate(asyncio.Event(), asyncio.Event())

    class Waiting(DurableObject):
        done: int = 0

        async def wait(self) -> int:
            gate.entered.set()
            await gate.open.wait()
            self.done += 1
            return self.done

        @readonly
        async def get(self) -> int:
            return self.done

    return Waiting, gate


class Serving(NamedTuple):
    """A runtime that is served over HTTP."""

    runtime: Runtime
    server: HttpServer
    gateway: Gateway

    async def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """What the server sends until it closes, for bytes as they are."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(data)
            if half_close:
                writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        except TimeoutError:
            raise
        except OSError:  # it was closed while we were sending
            return b""
        finally:
            writer.close()

    async def head(self, data: bytes) -> bytes:
        """The head of the answer to bytes as they are; granian may close much later."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(data)
            async with asyncio.timeout(PATIENCE):
                return await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    path: Path,
    *actors: type[DurableObject],
    config: Config | None = None,
    settings: HttpSettings | None = None,
) -> AsyncIterator[Serving]:
    """Serve actors on a free loopback port."""
    async with Runtime(path, actors=actors or (Counter, Probe), config=config) as runtime:
        server = runtime.serve(port=0, settings=settings)
        yield Serving(runtime, server, runtime._gateways[0])
