"""How long and how often things are measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """The lengths of a run; `quick` ones are for trying the benchmarks out, not for figures."""

    directory: Path
    runs: int = 5
    http_seconds: int = 4
    warmup_seconds: int = 3
    ask_seconds: float = 1.0
    choice_asks: int = 10_000
    stored_objects: int = 1_000_000
    memory_actors: int = 100_000
    activations: int = 10_000
    cold_objects: int = 300
    waking_objects: int = 4_000
    alarms_stored: int = 1_000_000
    alarms_at_once: int = 10_000
    alarms_of_workerd: int = 10_000
    alarm_runs: int = 2
    sockets: int = 10_000
    socket_seconds: float = 3.0

    @staticmethod
    def quick(directory: Path) -> Settings:
        """Everything once or twice, at a small size."""
        return Settings(
            directory,
            runs=2,
            http_seconds=1,
            warmup_seconds=1,
            ask_seconds=0.3,
            choice_asks=1_000,
            stored_objects=50_000,
            memory_actors=10_000,
            activations=2_000,
            cold_objects=100,
            waking_objects=500,
            alarms_stored=20_000,
            alarms_at_once=1_000,
            alarms_of_workerd=1_000,
            alarm_runs=1,
            sockets=1_000,
            socket_seconds=0.5,
        )
