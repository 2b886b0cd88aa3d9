"""An object of a Worker in the simulated world: its events interleave, its steps are committed.

Everything written in one step must be found together: the cells `tokens`, `rang`, `armed`, `by`,
the rows of `kept` and `rings`, the alarm. If an event raises, its writes are kept.

Units: times are milliseconds since 1970, as Cloudflare has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, cast

from wakeful.errors import ActorAborted
from wakeful.ids import ActorId
from wakeful.node import Runtime
from wakeful.testing.actors import Boom, incarnations
from wakeful.testing.history import Rang
from wakeful.testing.places import MS_NS, SAFE
from wakeful.testing.vault import Torn, witness
from wakeful.workers.calls import Event, call
from wakeful.workers.code.entrypoints import DurableObject, Exported
from wakeful.workers.env import Env
from wakeful.workers.js_errors import cause_of
from wakeful.workers.objects.classes import ObjectClass
from wakeful.workers.objects.host_object import WorkerObject
from wakeful.workers.objects.ids import DurableObjectId
from wakeful.workers.objects.storage import StorageKind
from wakeful.workers.proxies import JsDict, JsException

KIND: Final = StorageKind(sqlite=True, delete_all_deletes_alarm=True)
ON_PURPOSE: Final = "on purpose"
DELAYS_MS: Final = (0, 3, 60, 4000)


class Safe(DurableObject):
    """Keeps tokens; all of a step or nothing."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._incarnation = next(incarnations.get())
        self._alone = False
        self.ctx.storage.sql.exec(
            "CREATE TABLE IF NOT EXISTS kept(id INTEGER PRIMARY KEY, token INTEGER, filler BLOB);"
            "CREATE TABLE IF NOT EXISTS rings(id INTEGER PRIMARY KEY, scheduled INTEGER)"
        )

    async def add(self, token: int) -> list[int]:
        """Add a token in one step."""
        self._keep(token)
        return self._tokens()

    async def add_slowly(self, token: int, pause: float) -> list[int]:
        """Write in one step, pause, then read."""
        self._keep(token)
        await asyncio.sleep(pause)
        return self._tokens()

    async def add_in_section(self, token: int, pause: float) -> list[int]:
        """Add a token while no other event is delivered."""

        async def work() -> None:
            with self._section():
                await asyncio.sleep(pause)
                self._keep(token)
                await asyncio.sleep(pause)

        await self.ctx.blockConcurrencyWhile(work)
        return self._tokens()

    async def boom(self, token: int, pause: float) -> None:
        """Write, then raise; what was written stays."""
        self._keep(token)
        await asyncio.sleep(pause)
        raise Boom(self._tokens())

    async def abort(self, token: int) -> None:
        """Abort the object; what the running step has written is lost with it."""
        self._keep(token)
        self.ctx.abort(ON_PURPOSE)

    async def transact(self, token: int, undone: int, pause: float) -> list[int]:
        """One transaction that raises, or is rolled back, and one that is kept."""
        storage = self.ctx.storage

        async def fails(txn: Any) -> None:
            with self._section():
                self._keep(undone)
                await asyncio.sleep(pause)
                if undone % 2:
                    raise Boom([])
                txn.rollback()

        async def works(txn: Any) -> None:
            with self._section():
                await asyncio.sleep(pause)
                self._keep(token)
                await asyncio.sleep(pause)

        with suppress(Boom):
            await storage.transaction(fails)
        await storage.transaction(works)
        return self._tokens()

    async def transact_at_once(self, token: int, undone: int) -> list[int]:
        """Do the same without waiting; what was written before is not undone with it."""

        def fails() -> None:
            self._keep(undone)
            raise Boom([])

        self._keep(token)
        with suppress(Boom):
            self.ctx.storage.transactionSync(fails)
        return self._tokens()

    async def audit(self) -> list[int]:
        """Whether all places agree as an event sees them."""
        for what, (cells, rows) in {
            "kept": (self._get("tokens", []), self._column("SELECT token FROM kept ORDER BY id")),
            "rings": (
                self._get("rang", []),
                self._column("SELECT scheduled FROM rings ORDER BY id"),
            ),
        }.items():
            if cells != rows:
                raise Torn(f"{what}: {cells} is not {rows}")
        return self._tokens()

    async def alarm(self, info: Any) -> None:
        """Fail a few times first, without writing anything."""
        scheduled, storage = int(info.scheduledTime), self.ctx.storage
        actor, now_ns = self.ctx.id.toString(), self._now_ns()
        witness.get()(Rang(ActorId(SAFE, actor), scheduled * MS_NS, info.retryCount, now_ns))
        if self._get("armed", 0) != scheduled or storage.kv.get("armed") is None:
            raise Torn(f"alarm {scheduled} fires, {self._get('armed', 0)} is set")
        await asyncio.sleep(scheduled % 5 / 1000)
        if info.retryCount < (2 if scheduled % 8 == 0 else 0):
            raise Boom([])
        storage.put({"rang": [*self._get("rang", []), scheduled], "by": self._incarnation})
        storage.sql.exec("INSERT INTO rings(scheduled) VALUES (?)", scheduled)
        if self._get("armed", 0) == scheduled:
            storage.put("armed", 0)

    def _keep(self, token: int) -> None:
        storage = self.ctx.storage
        tokens = [*self._get("tokens", []), token]
        storage.put({"tokens": tokens, "by": self._incarnation})
        filler = token * 389 % 3000
        storage.sql.exec("INSERT INTO kept(token, filler) VALUES (?, zeroblob(?))", token, filler)
        if token % 3 == 0:
            when = self._now_ns() // MS_NS + DELAYS_MS[token // 3 % len(DELAYS_MS)] + token + 1
            storage.setAlarm(when)
            storage.put("armed", when)
        elif token % 3 == 1:
            storage.deleteAlarm()
            storage.put("armed", 0)

    def _tokens(self) -> list[int]:
        return list(self._get("tokens", []))

    def _get(self, key: str, default: Any) -> Any:
        value = self.ctx.storage.kv.get(key)
        return default if value is None else value

    def _column(self, query: str) -> list[int]:
        return [int(row[0]) for row in self.ctx.storage.sql.exec(query).raw()]

    def _now_ns(self) -> int:
        now_ns: Callable[[], int] = self.env.now_ns
        return now_ns()

    @contextmanager
    def _section(self) -> Iterator[None]:
        if self._alone:
            raise Torn("two critical sections at once")
        self._alone = True
        try:
            yield
        finally:
            self._alone = False


def object_class(now_ns: Callable[[], int]) -> ObjectClass:
    """The class of one node."""
    return ObjectClass(SAFE, Exported(Safe), Env({"now_ns": now_ns}), JsDict(), KIND)


def safe_id(number: int) -> str:
    """The name of an object's actor."""
    return f"{number:064x}"


def call_safe(name: str, method: str, *args: object) -> Callable[[Runtime], Awaitable[object]]:
    """A call of a method, by whatever node."""
    return lambda runtime: _call(runtime, name, method, args)


async def _call(runtime: Runtime, name: str, method: str, args: tuple[object, ...]) -> object:
    own = cast("type[WorkerObject]", runtime.host.types[SAFE].cls)._class
    event = Event(DurableObjectId(name), lambda target: target.rpc(method, args))
    try:
        result = await call(event, partial(own.deliver, name))
    except JsException as error:
        raise _as_raised(error) from error
    return [int(token) for token in result] if result is not None else None


def _as_raised(error: JsException) -> Exception:
    """The error a native actor would have given."""
    if (cause := cause_of(error)) is not None:
        return cause
    if error.durableObjectReset:
        return ActorAborted(error.message)
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, Boom):
            return inner
        inner = inner.__cause__
    return error
