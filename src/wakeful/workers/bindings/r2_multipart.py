"""An upload in parts to an R2 bucket, as Cloudflare's binding has it.

Errors:  the texts and codes of workerd and of wrangler's local R2.
Source:  Cloudflare docs on R2, multipart uploads; workerd r2-multipart.c++.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from wakeful.workers import own_tasks
from wakeful.workers.bindings.r2_digests import Digests
from wakeful.workers.bindings.r2_objects import R2Object
from wakeful.workers.bindings.r2_options import read_key, read_options, refused
from wakeful.workers.bindings.r2_store import Record
from wakeful.workers.bindings.r2_transfer import INTERNAL, STALLED, Transfer, cut, same, value_of
from wakeful.workers.bindings.r2_uploads import NO_PART, NO_UPLOAD, TOO_SMALL, UNEQUAL, Part
from wakeful.workers.proxies import JsDict, JsException, JsMembers, JsTypeError, options_of
from wakeful.workers.values import js_string
from wakeful.workers.web.streams import ReadableStream

PARTS_MAX: Final = 10_000
TEXTS: Final = {
    NO_UPLOAD: "The specified multipart upload does not exist.",
    NO_PART: "One or more of the specified parts could not be found.",
    TOO_SMALL: "Your proposed upload is smaller than the minimum allowed object size.",
    UNEQUAL: "There was a problem with the multipart upload.",
    INTERNAL: STALLED,
}


class R2MultipartUpload(JsMembers):
    """An upload in parts.

    Args:
        transfer: the way to its bucket.
        key: of the object.
        upload: what `createMultipartUpload` has given as `uploadId`.

    Attributes:
        key: the same.
        uploadId: the same.
    """

    js_name = "R2MultipartUpload"

    def __init__(self, transfer: Transfer, key: str, upload: str) -> None:
        self._transfer = transfer
        self.key = key
        self.uploadId = upload

    def uploadPart(
        self, number: Any, value: object, options: object = None, **named: Any
    ) -> Awaitable[JsDict]:
        """Set a part, or replace it: its `partNumber` and `etag`.

        Args:
            number: 1 to 10000.
            value: text, bytes, a blob or a stream: all parts but the last have the same size, of
                5 MiB at least.
            options: none that has a meaning here.
            **named: the same by name.
        """
        place, name = _number(number), read_key("uploadPart", self.key)
        read_options("uploadPart", options, named)
        return own_tasks.begin(self._upload(place, name, value_of("uploadPart", value)))

    def complete(self, parts: Any) -> Awaitable[R2Object]:
        """Make the object of parts, given as `uploadPart` has answered."""
        name, upload = read_key("completeMultipartUpload", self.key), self.uploadId
        given = [options_of(part) for part in parts]
        names = tuple((_number(it.get("partNumber")), js_string(it.get("etag"))) for it in given)

        def completed(it: tuple[int, Record | None]) -> R2Object:
            if it[1] is None:
                raise _failed("completeMultipartUpload", it[0])
            return R2Object(it[1])

        return self._transfer.ask(
            "completeMultipartUpload", lambda store: store.complete(upload, name, names), completed
        )

    def abort(self) -> Awaitable[None]:
        """Abort the upload and drop all its parts. An upload that has ended stays as it is."""
        name, upload = read_key("abortMultipartUpload", self.key), self.uploadId

        def aborted(problem: int) -> None:
            if problem:
                raise _failed("abortMultipartUpload", problem)

        return self._transfer.ask(
            "abortMultipartUpload", lambda store: store.abort(upload, name), aborted
        )

    async def _upload(self, number: int, name: bytes, data: bytes | ReadableStream) -> JsDict:
        digests, upload = Digests("uploadPart", {}), self.uploadId
        content = await self._transfer.send("uploadPart", cut(data), digests)
        part = Part(number, content, digests.size, digests.etag)
        problem = await self._transfer.ask(
            "uploadPart", lambda store: store.put_part(upload, name, part), same, counted=False
        )
        if problem:
            raise _failed("uploadPart", problem)
        return JsDict(partNumber=number, etag=part.etag)


def _failed(action: str, problem: int) -> JsException:
    return refused(action, TEXTS[problem], problem)


def _number(value: Any) -> int:
    if isinstance(value, int | float) and 1 <= value <= PARTS_MAX:
        return int(value)
    text = f"between 1 and {PARTS_MAX} (inclusive). Actual value was: {js_string(value)}"
    raise JsTypeError(f"Part number must be {text}")
