"""`ctx` of a Durable Object: its id, its storage, and what it may do with itself.

Errors:  workerd's texts.
Source:  Cloudflare docs on DurableObjectState.
"""

from __future__ import annotations

from asyncio import Future, TimerHandle
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, NoReturn

from wakeful.log import logger
from wakeful.runtime.gated import Gated, section_of
from wakeful.workers.calls import settled
from wakeful.workers.code.entrypoints import DurableObjectAbort
from wakeful.workers.code.stacks import Stacks
from wakeful.workers.js_errors import ABORTED, BLOCKED_TOO_LONG, ObjectReset, reset_by
from wakeful.workers.objects.hibernation import Hibernation
from wakeful.workers.objects.ids import DurableObjectId
from wakeful.workers.objects.storage import Storage, StorageKind
from wakeful.workers.proxies import JsDict, JsException, JsTypeError
from wakeful.workers.values import error_text, js_string

BLOCK_SECONDS_MAX: Final = 30.0
NESTED_MAX: Final = 64


class DurableObjectState(Hibernation):
    """What an object's constructor gets first."""

    js_name = "DurableObjectState"

    def __init__(
        self,
        gated: Gated,
        id: DurableObjectId,
        exports: JsDict,
        storage: StorageKind,
        *,
        stacks: Stacks,
    ) -> None:
        super().__init__(gated, id)
        self.id = id.seen_inside()
        self.storage = Storage(gated, storage)
        self.exports = exports
        self.props = JsDict()
        self._stacks = stacks
        self.container: object = None

    def waitUntil(self, work: Awaitable[object] | None) -> None:
        """Let work go on after the answer; the object stays in memory until it ends.

        None is work that has ended: what a function that is not async returns.
        """
        if work is not None:
            self._gated.keep_awake(work)

    wait_until = waitUntil

    def blockConcurrencyWhile(self, callback: Callable[[], Any]) -> Future[Any]:
        """Deliver nothing else until the callback has ended; its result.

        It begins at once, awaited or not, and goes on if who awaits it gives up. If it raises, or
        takes longer than 30 seconds, the object is reset.

        Raises:
            JsTypeError: it is not a function.
            JsException: too many are open inside each other.
        """
        if not callable(callback):
            raise JsTypeError(
                "Failed to execute 'blockConcurrencyWhile' on 'DurableObjectState': parameter 1 "
                "is not of type 'function'."
            )
        if _depth() >= NESTED_MAX:
            raise JsException("blockConcurrencyWhile() calls are nested too deeply.")
        gated = self._gated

        async def run() -> Any:
            try:
                return await self._stacks.around(_called(callback))
            except BaseException as error:
                if gated.activation.life.cause is None:
                    self._say("blockConcurrencyWhile failed", error)
                    gated.reset(reset_by(error))
                raise

        result = gated.loop.future()
        timer = gated.loop.later(BLOCK_SECONDS_MAX, self._blocked)
        gated.in_section(run, partial(_tell, result, timer))
        return result

    def abort(self, reason: object = None, options: object = None) -> NoReturn:
        """Throw the object away, with what was written since its code last waited.

        Raises:
            DurableObjectAbort: always; `except Exception` does not catch it.
        """
        if isinstance(reason, BaseException) and not isinstance(reason, JsException):
            reason = error_text(reason)
        text = ABORTED if reason is None else js_string(reason)
        reset = reset_by(JsException(text))
        self._gated.reset(reset)
        raise DurableObjectAbort(reset)

    def _say(self, what: str, error: BaseException | None) -> None:
        log = logger("wakeful")
        log.error(f"{what}: the object is reset", object=self.id.toString(), exc_info=error)

    def _blocked(self) -> None:
        self._say("blockConcurrencyWhile took too long", None)
        reset: ObjectReset = reset_by(JsException(BLOCKED_TOO_LONG), overloaded=True)
        self._gated.reset(reset)


def _tell(result: Future[Any], timer: TimerHandle, task: Future[Any]) -> None:
    """Tell the section's result to the code that awaits the section."""
    timer.cancel()
    error = None if task.cancelled() else task.exception()
    if result.done():
        return
    if task.cancelled():
        result.cancel()
    elif error is not None:
        result.set_exception(error)
        result.exception()  # the log has it, whether somebody waits or not
    else:
        result.set_result(task.result())


async def _called(callback: Callable[[], Any]) -> Any:
    return await settled(callback())


def _depth() -> int:
    depth, section = 0, section_of.get()
    while section is not None:
        depth += not section.closed
        section = section.parent
    return depth
