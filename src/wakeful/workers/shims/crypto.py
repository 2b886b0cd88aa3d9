"""`crypto`, and of `crypto.subtle` what Python's own library does: digests, HMAC, PBKDF2, HKDF.

The rest (RSA, elliptic curves, AES) is an error that says so.

Source:  Web Cryptography API; RFC 5869 for HKDF.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import UUID

from wakeful.workers.proxies import JsArray, JsBytes, JsDict, JsException, JsProxy, JsTypeError
from wakeful.workers.values import js_string

HASHES: Final = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
DIGESTS: Final = {**HASHES, "MD5": "md5"}
KEYS: Final = frozenset({"HMAC", "PBKDF2", "HKDF"})
RANDOM_BYTES_MAX: Final = 65536
NOT_PROVIDED: Final = (
    "crypto.subtle of wakeful has digests, HMAC, PBKDF2 and HKDF, not {!r}. The package "
    "cryptography has it"
)


class CryptoKey(JsProxy):
    """A key.

    Attributes:
        algorithm: what it is for, its `name` and `hash`.
        extractable: it may be exported.
        usages: what may be done with it.
    """

    js_name = "CryptoKey"
    type: Final = "secret"

    def __init__(
        self, data: bytes, algorithm: JsDict, usages: Iterable[str], *, extractable: bool
    ) -> None:
        self._data = data
        self.algorithm = algorithm
        self.extractable = extractable
        self.usages = JsArray(usages)

    def data_for(self, usage: str) -> bytes:
        """Its bytes, for one use.

        Raises:
            JsException: it is not for that.
        """
        if usage not in self.usages:
            told = (
                f'Requested key usage "{usage}" does not match any usage listed in this CryptoKey.'
            )
            raise JsException(told, "InvalidAccessError")
        return self._data


class SubtleCrypto(JsProxy):
    """`crypto.subtle`."""

    js_name = "SubtleCrypto"

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes

    async def digest(self, algorithm: Any, data: Any) -> JsBytes:
        """The digest of bytes.

        Raises:
            JsException: by an algorithm that there is not.
        """
        name = _name(algorithm)
        if name not in DIGESTS:
            told = "Unrecognized or unimplemented digest algorithm requested."
            raise JsException(told, "NotSupportedError")
        return JsBytes(hashlib.new(DIGESTS[name], bytes(data)).digest())

    async def importKey(
        self, format: str, data: Any, algorithm: Any, extractable: Any, usages: Any
    ) -> CryptoKey:
        """A key of bytes that are given."""
        name = _name(algorithm)
        if format != "raw" or name not in KEYS:
            raise _missing(name if name not in KEYS else format)
        told = JsDict(name=name)
        if name == "HMAC":
            told["hash"] = JsDict(name=_name(_option(algorithm, "hash")))
            told["length"] = len(bytes(data)) * 8
        return CryptoKey(bytes(data), told, usages, extractable=bool(extractable))

    async def generateKey(self, algorithm: Any, extractable: Any, usages: Any) -> CryptoKey:
        """A new key for HMAC."""
        if _name(algorithm) != "HMAC":
            raise _missing(_name(algorithm))
        size = hashlib.new(_hash(_option(algorithm, "hash"))).block_size
        bits = int(algorithm.get("length") or size * 8)
        data = self._random_bytes((bits + 7) // 8)
        return await self.importKey("raw", data, algorithm, extractable, usages)

    async def exportKey(self, format: str, key: CryptoKey) -> JsBytes:
        """The bytes of a key that may be exported."""
        if format != "raw":
            raise _missing(format)
        if not key.extractable:
            raise JsException("Attempt to export non-extractable key.", "InvalidAccessError")
        return JsBytes(key._data)

    async def sign(self, algorithm: Any, key: CryptoKey, data: Any) -> JsBytes:
        """The HMAC of bytes."""
        return JsBytes(_mac(algorithm, key, "sign", data))

    async def verify(self, algorithm: Any, key: CryptoKey, signature: Any, data: Any) -> bool:
        """Is it the HMAC of these bytes?"""
        return hmac.compare_digest(_mac(algorithm, key, "verify", data), bytes(signature))

    async def deriveBits(self, algorithm: Any, key: CryptoKey, length: Any) -> JsBytes:
        """Bits that follow from a key or a password."""
        name, size = _name(algorithm), int(length) // 8
        data = key.data_for("deriveBits")
        hash, salt = _hash(_option(algorithm, "hash")), bytes(_option(algorithm, "salt"))
        if name == "PBKDF2":
            rounds = int(_option(algorithm, "iterations"))
            return JsBytes(hashlib.pbkdf2_hmac(hash, data, salt, rounds, size))
        if name == "HKDF":
            return JsBytes(_hkdf(hash, data, salt, bytes(_option(algorithm, "info")), size))
        raise _missing(name)

    def timingSafeEqual(self, one: Any, other: Any) -> bool:
        """Are they the same? It takes as long either way.

        Raises:
            JsTypeError: they are not of one length.
        """
        if len(one) != len(other):
            raise JsTypeError("Input buffers must have the same byte length.")
        return hmac.compare_digest(bytes(one), bytes(other))

    def __getattr__(self, name: str) -> Any:
        if name in ("encrypt", "decrypt", "deriveKey", "wrapKey", "unwrapKey"):
            raise _missing(name)
        raise AttributeError(name)


class Crypto(JsProxy):
    """`crypto`."""

    js_name = "Crypto"

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self.subtle = SubtleCrypto(random_bytes)

    def randomUUID(self) -> str:
        """A random UUID."""
        return str(UUID(bytes=self._random_bytes(16), version=4))

    def getRandomValues(self, array: Any) -> Any:
        """Fill an array with random bytes; the array.

        Raises:
            JsTypeError: it cannot be filled.
            JsException: it is too long.
        """
        if not isinstance(array, bytearray):
            raise JsTypeError(
                "crypto.getRandomValues of wakeful fills bytes that can change: give it "
                "Uint8Array.new(length), or a bytearray"
            )
        if len(array) > RANDOM_BYTES_MAX:
            told = "getRandomValues() only accepts buffers of size <= 64K but provided {} bytes."
            raise JsException(told.format(len(array)), "QuotaExceededError")
        array[:] = self._random_bytes(len(array))
        return array


def _name(algorithm: Any) -> str:
    given = algorithm if isinstance(algorithm, str) else _option(algorithm, "name")
    return js_string(given).upper()


def _option(algorithm: Any, name: str) -> Any:
    value = algorithm.get(name) if isinstance(algorithm, dict) else None
    if value is None:
        raise JsTypeError(f'Missing field "{name}" in "algorithm".')
    return value


def _hash(algorithm: Any) -> str:
    name = _name(algorithm)
    if name not in HASHES:
        raise _missing(name)
    return HASHES[name]


def _mac(algorithm: Any, key: CryptoKey, usage: str, data: Any) -> bytes:
    if _name(algorithm) != "HMAC":
        raise _missing(_name(algorithm))
    return hmac.digest(key.data_for(usage), bytes(data), _hash(key.algorithm["hash"]))


def _hkdf(hash: str, key: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    secret = hmac.digest(salt or bytes(hashlib.new(hash).digest_size), key, hash)
    output = block = b""
    while len(output) < size:
        block = hmac.digest(secret, block + info + bytes([len(output) // len(secret) + 1]), hash)
        output += block
    return output[:size]


def _missing(what: str) -> JsException:
    return JsException(NOT_PROVIDED.format(what), "NotSupportedError")
