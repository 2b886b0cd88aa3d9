"""What a journal has lost at its end: found out before anything is written over it.

Errors: Loss says how much, as far as that can be known.
"""

from __future__ import annotations

import shutil
from contextlib import suppress

import msgspec

from wakeful.errors import StorageCorrupt
from wakeful.log import logger, utc
from wakeful.store import mark
from wakeful.store.mark import BadMark
from wakeful.store.writer import Meta


class Loss(msgspec.Struct, frozen=True):
    """Batches that were durable and are not there.

    Attributes:
        batches: how many at least; None if the mark is damaged, so that it is unknown.
        after_ns: when the last batch that is there was written; None if it does not say.
        until_ns: when the last one that is known of was.
        why: what is wrong, in a sentence.
    """

    batches: int | None
    after_ns: int | None
    until_ns: int | None
    why: str


def loss(path: str, meta: Meta, seq: int, time_ns: int | None) -> Loss | None:
    """What a data file lacks of what its mark says; None if that is nothing.

    A file without a mark, and one with another file's, is a copy that was put there: nothing can be
    said about it.

    Args:
        seq: the last batch in its journal.
        time_ns: when that was written.
    """
    try:
        reached = mark.read(path)
    except BadMark as error:
        return Loss(
            None, time_ns, None, f"whether the journal is complete cannot be known: {error}"
        )
    new = meta.epoch == 0  # made just now: where is the one the mark is for?
    if reached is None or (reached.file != meta.id and not new) or reached.seq <= seq:
        return None
    batches = reached.seq - seq
    since = "" if time_ns is None else f" after {utc(time_ns)}"
    what = "the last batch is" if batches == 1 else f"the last {batches} batches are"
    cause = (
        f"{path} is gone, or was emptied"
        if new
        else f"the log of {path} is damaged, or an older copy of the file has taken its place"
    )
    why = f"{what} missing, written{since} up to {utc(reached.time_ns)} and acknowledged: {cause}"
    return Loss(batches, time_ns, reached.time_ns, why)


def accept(path: str, found: Loss, epoch: int, *, strict: bool) -> None:
    """Go on without what is lost: the damaged log is kept beside, and the loss is logged.

    Raises:
        StorageCorrupt: strict recovery was asked for; nothing was changed.
    """
    if strict:
        raise StorageCorrupt(
            f"{found.why}. Restore a backup, or start once without strict recovery to go on"
            " without them"
        )
    kept = None
    with suppress(OSError):
        kept = shutil.copyfile(f"{path}-wal", f"{path}-wal.lost-{epoch}")
    logger().error(
        found.why,
        batches=found.batches,
        after=None if found.after_ns is None else utc(found.after_ns),
        damaged_log=kept,
    )
