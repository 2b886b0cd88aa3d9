"""What `asgi` and `wsgi` have in common: options, and the entrypoint around an application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

import msgspec

from wakeful.workers.code.entrypoints import WorkerEntrypoint

ENCODINGS: Final = ("automatic", "manual")

Serve = Callable[[Any, Any], Awaitable[Any]]  # an entrypoint and its request, to a response


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How responses of an application are made.

    Attributes:
        encode_body: "manual": the body is encoded as its Content-Encoding says. Here it always is:
            wakeful compresses nothing by itself.
    """

    encode_body: Literal["automatic", "manual"] = "automatic"

    def __post_init__(self) -> None:
        if self.encode_body not in ENCODINGS:
            raise ValueError(f"encode_body must be one of {ENCODINGS}, got {self.encode_body!r}")


def entrypoint_class(serve: Serve) -> type[WorkerEntrypoint]:
    """A `Default` that serves each request in one way."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Any) -> Any:
            return await serve(self, request)

    return Default
