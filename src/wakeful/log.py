"""Where wakeful logs: structlog as the program has configured it, else the standard library's way.

structlog's own default prints to stdout, with tracebacks that show local variables: secrets among
them, and drawn for so long that the loop stands still. So where nobody has configured it, an event
is one line for the logger of the `logging` module with the same name, tracebacks as Python's.
"""

from __future__ import annotations

import logging
from typing import Any

import structlog
from structlog.typing import EventDict


def logger(name: str = "wakeful") -> Any:
    """The logger of this name; asked for when something is logged, as it may be configured late."""
    if structlog.is_configured():
        return structlog.get_logger(name)
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[_line],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )


def _line(_logger: object, _method: str, event: EventDict) -> tuple[tuple[str], dict[str, Any]]:
    """An event as arguments of a `logging` method: its text, then its fields."""
    cause = event.pop("exc_info", None)
    text = str(event.pop("event"))
    fields = [f"{name}={value!r}" for name, value in event.items()]
    return (" ".join([text, *fields]),), {"exc_info": cause}
