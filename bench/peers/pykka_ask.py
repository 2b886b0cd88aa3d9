"""pykka: an actor per thread; an ask is `actor.method().get()` through its proxy. Volatile."""

from __future__ import annotations

import sys
import time

from bench import child

BATCH = 200


def main(seconds: float) -> None:
    """Ask one actor again and again from one thread."""
    try:
        import pykka  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return child.missing("pykka is not installed")

    class Counter(pykka.ThreadingActor):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def increment(self, by: int = 1) -> int:
            self.count += by
            return self.count

    counter = Counter.start().proxy()
    try:
        child.report(per_second=_rate(lambda: counter.increment().get(), seconds))
    finally:
        pykka.ActorRegistry.stop_all()


def _rate(call: object, seconds: float) -> float:
    assert callable(call)
    for _ in range(BATCH * 5):
        call()
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(BATCH):
            call()
        calls += BATCH
    return calls / (time.perf_counter() - started)


if __name__ == "__main__":
    main(float(sys.argv[1]))
