"""The sizes and thresholds of the SQLite store, in one place.

Units:   `*_bytes` are bytes, `*_ms` are milliseconds, `*_actors` and `*_cells` are counts.
Invariants: journal and overlay hold at most about `overload` generations of `fold_*`, plus the one
            being folded, whatever the load.
"""

from __future__ import annotations

from typing import Final

import msgspec

KIB: Final = 1024
MIB: Final = 1024 * KIB


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When the SQLite store moves data, and how much at a time.

    Attributes:
        fold_bytes: a generation of changes is folded into the cells once its journal rows have
            this size (4 MiB: replaying it at open takes some 50 ms).
        fold_actors: the same, by the number of actors changed (each costs some 0.5 KiB of memory).
        fold_pages: the same, by the number of pages changed: however little of each the journal
            holds, each takes 4 KiB of memory, and as much has to be written.
        overload: how many times the above may pile up before commits have to wait for folding.
        slice_cells: cells folded in one go; at 150 cells/ms (spread over a large file) to 650 (side
            by side) a commit that arrives meanwhile waits a millisecond or two.
        slice_bytes: the same, by the size of the values.
        wal_bytes: the write-ahead log is copied into the file each time it has grown by this much,
            as estimated from what was written.
        cache_bytes: page cache of the writing connection.
        busy_timeout_ms: how long to wait for a foreign process that locks the file (a backup).
        check_bytes_max: after an unclean stop a file up to this size is checked when it is opened
            (SQLite's quick_check reads all of it, some 0.2 s for 64 MiB); and an older one that has
            no checksums on its pages is written anew with them (0.5 s).
    """

    fold_bytes: int = 4 * MIB
    fold_actors: int = 20_000
    fold_pages: int = 4_096
    overload: int = 4
    slice_cells: int = 256
    slice_bytes: int = 256 * KIB
    wal_bytes: int = 8 * MIB
    cache_bytes: int = 16 * MIB
    busy_timeout_ms: int = 5_000
    check_bytes_max: int = 64 * MIB
