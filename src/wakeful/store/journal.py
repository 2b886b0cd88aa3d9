"""The form of a journal row: one flushed batch of commit records, checksummed.

Shapes:  version (1 byte) | crc32 (4) | time in ns (8) | msgpack of a list of records, `Logged`;
         big-endian. Versions 1 and 2 have no time.
         The checksum covers the row's seq too, so that a row in the wrong place is noticed.
Errors:  BadRow says what is wrong with a row; the caller knows where it is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from wakeful.ports import CommitRecord

VERSION: Final = 3  # 1 had whole pages only, 2 no time
_HEADER: Final = struct.Struct(">BI")
_TIME: Final = struct.Struct(">Q")
_BODY_AT: Final = (0, _HEADER.size, _HEADER.size, _HEADER.size + _TIME.size)  # by version
_SEQ: Final = struct.Struct(">Q")
# zlib lets other threads run while it sums more than 5 KiB, and waiting for one's turn again beside
# a busy thread takes up to 5 ms; smaller pieces keep the turn.
_SUM_BYTES: Final = 4096


Ranges = dict[int, bytes]  # by their offset in a page


class Logged(CommitRecord, array_like=True, gc=False):
    """A commit record in a row.

    Attributes:
        ranges: by number, what has changed of pages since the row before; the others are whole.
    """

    ranges: dict[int, Ranges] = msgspec.field(default_factory=dict)

    @classmethod
    def of(
        cls, record: CommitRecord, pages: dict[int, bytes | None], ranges: dict[int, Ranges]
    ) -> Logged:
        """A record whose pages are given in these two forms."""
        r = record
        return cls(r.type, r.name, r.shard, r.epoch, r.seq, r.wipe, r.puts, pages, ranges)


class BadRow(Exception):
    """A journal row cannot be what was written."""


def encode(seq: int, records: Sequence[CommitRecord], time_ns: int = 0) -> bytearray:
    """The row for a batch that is written at a time (0: it does not say)."""
    blob = bytearray(_BODY_AT[VERSION])
    msgspec.msgpack.Encoder().encode_into(records, blob, _BODY_AT[VERSION])
    _TIME.pack_into(blob, _HEADER.size, time_ns)
    _HEADER.pack_into(blob, 0, VERSION, _checksum(seq, blob))
    return blob


def decode(seq: int, blob: bytes) -> list[Logged]:
    """The batch in a row.

    Raises:
        BadRow: it is damaged, or of a newer version.
    """
    version = _checked(seq, blob)
    try:
        return msgspec.msgpack.decode(memoryview(blob)[_BODY_AT[version] :], type=list[Logged])
    except msgspec.MsgspecError as error:
        raise BadRow(f"matches its checksum but does not decode: {error}") from error


def time_of(seq: int, blob: bytes) -> int | None:
    """When a row was written; None if it does not say.

    Raises:
        BadRow: it is damaged, or of a newer version.
    """
    if _checked(seq, blob) < 3:
        return None
    (time_ns,) = _TIME.unpack_from(blob, _HEADER.size)
    return time_ns or None


def _checked(seq: int, blob: bytes) -> int:
    """The version of a row that matches its checksum."""
    if len(blob) < _HEADER.size:
        raise BadRow(f"has {len(blob)} bytes, too few for its header")
    version, checksum = _HEADER.unpack_from(blob)
    if not 1 <= version <= VERSION:
        raise BadRow(f"has version {version}, this wakeful reads versions up to {VERSION}")
    if checksum != _checksum(seq, blob) or len(blob) < _BODY_AT[version]:
        raise BadRow("does not match its checksum")
    return int(version)


def _checksum(seq: int, blob: bytes | bytearray) -> int:
    total = zlib.crc32(_SEQ.pack(seq))
    with memoryview(blob) as view:
        for start in range(_HEADER.size, len(blob), _SUM_BYTES):
            total = zlib.crc32(view[start : start + _SUM_BYTES], total)
    return total
