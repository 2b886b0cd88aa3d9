"""The checksums of what is put into an R2 bucket, computed on the way.

Source:  workerd r2-bucket.c++; wrangler's local R2.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from wakeful.workers.bindings.r2_options import refused
from wakeful.workers.buffers import BINARY
from wakeful.workers.proxies import JsTypeError
from wakeful.workers.values import js_string

OBJECT_BYTES_MAX: Final = 5 * 1024**3 - 5 * 1024**2
DIGESTS: Final = {
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
}


class Digests:
    """The digests of bytes on their way: MD5, which is the etag, and the one to be checked.

    Args:
        action: what the Worker has called, for errors.
        given: options of a put.

    Raises:
        JsTypeError: a checksum is none, or there are several.
    """

    def __init__(self, action: str, given: dict[str, Any]) -> None:
        self._action = action
        self._wanted = {
            name: _checksum(name, given[name]) for name in DIGESTS if given.get(name) is not None
        }
        if len(self._wanted) > 1:
            raise JsTypeError("You cannot specify multiple hashing algorithms.")
        self._hashes = {
            name: hashlib.new(name, usedforsecurity=False) for name in {"md5", *self._wanted}
        }
        self.size = 0

    def update(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            JsException: there are too many.
        """
        self.size += len(data)
        if self.size > OBJECT_BYTES_MAX:
            text = "Your proposed upload exceeds the maximum allowed object size."
            raise refused(self._action, text, 100100)
        for one in self._hashes.values():
            one.update(data)

    @property
    def etag(self) -> str:
        """Return the etag: the MD5 digest."""
        return self._hashes["md5"].hexdigest()

    def checksums(self) -> dict[str, str]:
        """Return the checksums to keep, in hexadecimal digits.

        Raises:
            JsException: the one that was given is another.
        """
        for name, wanted in self._wanted.items():
            there, what = self._hashes[name].hexdigest(), DIGESTS[name]
            if there != wanted:
                text = (
                    f"The {what} checksum you specified did not match what we received.\n"
                    f"You provided a {what} checksum with value: {wanted}\n"
                    f"Actual {what} was: {there}"
                )
                raise refused(self._action, text, 10037)
        return {"md5": self.etag, **self._wanted}


def _checksum(name: str, given: Any) -> str:
    what, size = DIGESTS[name], hashlib.new(name, usedforsecurity=False).digest_size
    if isinstance(given, BINARY):
        data = bytes(given)
        if len(data) != size:
            raise JsTypeError(f"{what} is {size} bytes, not {len(data)}")
        return data.hex()
    text = js_string(given)
    if len(text) != 2 * size:
        raise JsTypeError(f"{what} is {2 * size} hex characters, not {len(text)}")
    if not re.fullmatch("[0-9a-fA-F]+", text):
        raise JsTypeError(f"Provided {what} wasn't a valid hex string")
    return text.lower()
