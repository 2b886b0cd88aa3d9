"""Columns for people; scripts that want to be sure use --json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

NUMBERS: Final = frozenset({"ACTORS", "ALARMS", "BYTES", "FIELDS", "KEYS", "OBJECTS", "TABLES"})


def print_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under their heads; those in NUMBERS are numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for head in heads:
        justify: Literal["left", "right"] = "right" if head in NUMBERS else "left"
        table.add_column(head, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if not console.is_terminal:
        console.width = 10_000  # a pipe has no edge to wrap at
    console.print(table)
