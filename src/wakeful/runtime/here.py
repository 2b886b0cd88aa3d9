"""Where a call is made: it must be the thread and the event loop of its runtime.

The straight path of a call asks on each call, so what it asks is the cheapest thing that tells:
the running loop (30 ns), or before Python 3.12, which looks at the process id for that, the thread
(45 ns). There, a loop of the same thread that runs while that of the runtime is stopped is noticed
off the straight path only; nothing can happen at the same time then.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable
from threading import get_ident
from typing import Final

from wakeful.errors import WrongThread

# The same object, or an equal one, as long as a call is made where the runtime is.
here: Final[Callable[[], object]] = (
    asyncio._get_running_loop if sys.version_info >= (3, 12) else get_ident
)


class RuntimeThread:
    """The thread and the loop of a runtime; made there.

    Attributes:
        mark: what `here()` gives there.
    """

    __slots__ = ("_loop", "_thread", "mark")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = get_ident()
        self.mark = here()

    def is_own_thread(self) -> bool:
        """Whether the code that asks runs in the runtime's thread."""
        return get_ident() == self._thread

    def check(self) -> None:
        """Refuse code of another thread, or on another loop.

        Raises:
            WrongThread: it is such code; says what to do.
        """
        if not self.is_own_thread():
            raise WrongThread(
                "this is not the thread of the runtime: use rt.call_from_thread(ref.method, ...)"
            )
        running = asyncio._get_running_loop()
        if running is not None and running is not self._loop:
            raise WrongThread(
                "this event loop is not the one that the runtime was started on; start the runtime "
                "on this one, or let its own loop run in a thread, and use rt.call_from_thread(...)"
            )
