"""The floor of a durable answer: bare granian, and a thread that syncs a batch before it is given.

A request waits for a future; what came in while the disk was busy goes as one batch to a thread,
which appends a block to a file, syncs it and has the loop answer. No message, no state, no SQL.
Run as a module it is the server; `subject` is how the benchmarks start it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from bench.peers.granian_constant import HEADERS, serve
from bench.servers import HttpSubject

Batch = list["asyncio.Future[None]"]


def subject() -> HttpSubject:
    """The constant that waits for the disk."""

    def command(port: int, directory: Path) -> list[str]:
        return [sys.executable, "-m", __name__, str(port), str(directory / "synced")]

    return HttpSubject("granian and a sync", command, ready="/", get="/", write="/")


class Synced:
    """Answers 1 to everything, after a sync that began later than the request."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._loop = loop
        self._collected: Batch = []
        self._syncing = False
        self._batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        threading.Thread(target=self._sync, daemon=True).start()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Wait for the next batch, then answer."""
        waits = self._loop.create_future()
        self._collected.append(waits)
        if not self._syncing:
            self._syncing = True
            self._loop.call_soon(self._hand_over)
        await waits
        proto.response_bytes(200, HEADERS, b"1")

    def _hand_over(self) -> None:
        batch, self._collected = self._collected, []
        self._batches.put(batch)

    def _sync(self) -> None:
        while True:
            batch = self._batches.get()
            os.write(self._file, bytes(512))
            os.fdatasync(self._file)
            self._loop.call_soon_threadsafe(self._answer, batch)

    def _answer(self, batch: Batch) -> None:
        self._syncing = bool(self._collected)
        if self._syncing:
            self._hand_over()
        for waits in batch:
            if not waits.done():
                waits.set_result(None)


if __name__ == "__main__":
    import uvloop

    async def main() -> None:
        """Serve it."""
        await serve(int(sys.argv[1]), Synced(Path(sys.argv[2]), asyncio.get_running_loop()))

    uvloop.run(main())
