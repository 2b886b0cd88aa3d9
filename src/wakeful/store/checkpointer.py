"""Copies the write-ahead log into the file in a thread of its own, so that commits need not wait.

SQLite lets a writer append while another connection copies. What was appended meanwhile the writer
copies itself, which is short, and the log can begin anew.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import apsw

from wakeful.store.checksums import vfs
from wakeful.store.limits import Limits


class Checkpointer:
    """One copy at a time, begun and ended by the flusher.

    Args:
        copied: called in the thread after each copy, whether it has worked or not: what has not
            been copied stays in the log, and the next copy tries again.
    """

    def __init__(
        self, path: str, limits: Limits, vfs: str | None, copied: Callable[[], None]
    ) -> None:
        self._path = path
        self._limits = limits
        self._vfs = vfs
        self._copied = copied
        self._connection: apsw.Connection | None = None
        self._running: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wakeful-checkpointer")

    def start(self) -> None:
        """Begin a copy, unless one is under way."""
        if self._running is None or self._running.done():
            self._running = self._thread.submit(self._copy)

    def close(self) -> None:
        """Wait for the copy under way, and close the connection."""
        self._thread.shutdown()
        if self._connection is not None:
            with suppress(apsw.Error):  # nothing depends on it
                self._connection.close(True)

    def _copy(self) -> None:
        try:
            if self._connection is None:
                self._connection = apsw.Connection(self._path, vfs=self._vfs or vfs())
                self._connection.set_busy_timeout(self._limits.busy_timeout_ms)
                self._connection.execute("PRAGMA wal_autocheckpoint=0")
                self._connection.execute("PRAGMA synchronous=full")
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        finally:
            self._copied()
