"""What a get or a put may ask for: conditions on the object that is there, a part of its bytes.

Source:  RFC 9110, sections 13 and 14; Cloudflare docs on R2; what wrangler's local R2 does.
"""

from __future__ import annotations

from typing import Final

import msgspec

ANY: Final = "*"
WEAK: Final = "W/"


class Condition(msgspec.Struct, frozen=True):
    """What must be true of the object that is there.

    Attributes:
        matches: it has one of these etags; `*` is any, one that begins with `W/` matches none.
        differs: it has none of these etags.
        before: it was uploaded before, in milliseconds since 1970.
        after: it was uploaded after.
        seconds: times are compared by the second, as those of headers.
    """

    matches: tuple[str, ...] | None = None
    differs: tuple[str, ...] | None = None
    before: int | None = None
    after: int | None = None
    seconds: bool = False

    def holds(self, etag: str, uploaded: int) -> bool:
        """Whether the condition is true of an object."""
        there, unit = (ANY, etag), 1000 if self.seconds else 1
        same = self.matches is None or any(one in there for one in self.matches)
        other = self.differs is None or not any(
            one.removeprefix(WEAK) in there for one in self.differs
        )
        newer = self.after is None or self.after // unit < uploaded // unit
        older = self.before is None or uploaded // unit < self.before // unit
        return (
            same
            and other
            and (newer or self.differs is not None)
            and (older or self.matches is not None)
        )

    def holds_for_none(self) -> bool:
        """Whether the condition is true where there is no object."""
        return self.matches is None and self.after is None


class Range(msgspec.Struct, frozen=True):
    """Some of an object's bytes.

    Attributes:
        offset: where it begins.
        length: how many bytes; None is all that follow.
        suffix: how many bytes from the end, in place of both.
        lenient: what the object does not have is the whole object, as for a header.
    """

    offset: int = 0
    length: int | None = None
    suffix: int | None = None
    lenient: bool = False

    def span(self, size: int) -> tuple[int, int] | None:
        """Return where the range begins and ends in an object; None if it has no such part."""
        offset, length = self.offset, self.length
        if self.suffix is not None:
            offset, length = max(0, size - self.suffix), self.suffix
        end = size if length is None else min(size, offset + length)
        if offset < end:
            return offset, end
        return (0, size) if self.lenient else None
