"""wakeful's loggers: structlog if the program has configured it, else the standard library.

structlog's own default prints to stdout, with tracebacks that show local variables. These may hold
secrets, and drawing them blocks the event loop for long. So unless the program has configured
structlog, an event is one line for the `logging` logger of the same name, with Python's tracebacks.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlog.typing import EventDict


def logger(name: str = "wakeful") -> Any:
    """The logger of this name; call it at each log event, as logging may be configured late."""
    # Here, since importing it takes 60 ms, and most commands have nothing to log.
    structlog = import_module("structlog")
    if structlog.is_configured():
        return structlog.get_logger(name)
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[_line],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )


def utc(time_ns: int) -> str:
    """Nanoseconds since 1970 as people read them: ISO 8601, in UTC."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09}Z"
    except (ValueError, OverflowError):
        return f"{time_ns} ns"  # after the year 9999


def _line(_logger: object, _method: str, event: EventDict) -> tuple[tuple[str], dict[str, Any]]:
    """An event as arguments of a `logging` method: its text, then its fields."""
    cause = event.pop("exc_info", None)
    text = str(event.pop("event"))
    fields = [f"{name}={value!r}" for name, value in event.items()]
    return (" ".join([text, *fields]),), {"exc_info": cause}
