"""What the test of forks serves: an actor that works in processes of its own, made by fork."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from wakeful import DurableObject

pools: list[ProcessPoolExecutor] = []  # nobody ends them: they are there when the server is killed


class Worker(DurableObject):
    count: int = 0

    async def fork(self) -> int:
        """Start a process, which stays; its pid."""
        self.count += 1
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
        pools.append(pool)
        return pool.submit(os.getpid).result()

    async def get(self) -> int:
        return self.count
