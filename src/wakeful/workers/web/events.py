"""Events, and who listens to them, as far as sockets of Workers need it.

Source:  DOM standard, section EventTarget; workerd calls `onmessage` before the listeners.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from wakeful.log import logger
from wakeful.workers.proxies import JsProxy, JsTypeError, options_of

KINDS: Final = {"message": "MessageEvent", "close": "CloseEvent", "error": "ErrorEvent"}

Listener = tuple[Any, bool]  # what is called, and whether only once


class JsEvent(JsProxy):
    """An event; its members depend on its type."""

    type: str

    def __init__(self, type: str, **members: Any) -> None:
        vars(self).update(members, type=type)

    @property
    def js_kind(self) -> str:
        """The name of its class."""
        return KINDS.get(self.type, "Event")


class EventTarget(JsProxy):
    """A target of events."""

    _listeners: dict[str, list[Listener]] | None = None  # made when first needed

    def addEventListener(self, type: str, listener: Any, options: Any = None, **named: Any) -> None:
        """Call a function, or `handleEvent` of an object, when something happens.

        Raises:
            JsTypeError: it can be called neither way.
        """
        if not callable(listener) and not hasattr(listener, "handleEvent"):
            raise JsTypeError(
                "Failed to execute 'addEventListener' on 'EventTarget': parameter 2 is not of type "
                "'EventListener'."
            )
        if self._listeners is None:
            self._listeners = {}
        known = self._listeners.setdefault(type, [])
        if all(listening is not listener for listening, _ in known):
            known.append((listener, bool(options_of(options, named.items()).get("once"))))

    def removeEventListener(self, type: str, listener: Any, *_: Any) -> None:
        """Remove a listener."""
        known = (self._listeners or {}).get(type, [])
        known[:] = [entry for entry in known if entry[0] is not listener]

    def tell(self, event: JsEvent, begin: Callable[[Awaitable[object]], None]) -> None:
        """Call all listeners; an error of one is logged and does not affect the others.

        Args:
            event: what happened.
            begin: lets what a listener returns go on, where it is to be awaited.
        """
        vars(event)["target"] = vars(event)["currentTarget"] = self
        on = getattr(self, f"on{event.type}", None)
        entries = [(on, False)] if on is not None else []
        for listener, once in [*entries, *(self._listeners or {}).get(event.type, ())]:
            if once:
                self.removeEventListener(event.type, listener)
            try:
                result = (listener if callable(listener) else listener.handleEvent)(event)
                if isinstance(result, Awaitable):
                    begin(result)
            except (Exception, SystemExit) as error:
                log = logger("wakeful.worker")
                log.error(f"a listener to {event.type!r} failed", exc_info=error)
