"""`crypto` and `crypto.subtle`: what code calls. What is done with keys is in `workers.crypto`.

Source:  Web Cryptography API; the texts are workerd's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from wakeful.workers import js_json
from wakeful.workers.crypto.algorithms import (
    HASHES,
    Algorithm,
    RandomBytes,
    asked_for,
    buffer,
    hash_name,
    no_access,
    not_supported,
    whole,
)
from wakeful.workers.crypto.deriving import derived
from wakeful.workers.crypto.keys import (
    CryptoKey,
    check_some,
    handle_of,
    key_for,
    key_given,
    key_name,
    usages_given,
)
from wakeful.workers.crypto.provider import provided
from wakeful.workers.crypto.secret_keys import (
    export_secret,
    generate_secret,
    import_secret,
    key_bits,
)
from wakeful.workers.proxies import JsBytes, JsDict, JsException, JsProxy, JsTypeError
from wakeful.workers.shims.typed_arrays import FRACTIONS, TypedArray
from wakeful.workers.values import js_string, utf8

NO_FRACTIONS: Final = "getRandomValues() fills arrays of whole numbers only."
RANDOM_BYTES_MAX: Final = 65536
RSA: Final = frozenset({"RSASSA-PKCS1-v1_5", "RSA-PSS", "RSA-OAEP"})
CURVES: Final = frozenset({"ECDSA", "ECDH", "Ed25519", "X25519"})
DERIVED_FROM: Final = frozenset({"PBKDF2", "HKDF"})


class SubtleCrypto(JsProxy):
    """`crypto.subtle`."""

    js_name = "SubtleCrypto"

    def __init__(self, random_bytes: RandomBytes) -> None:
        self._random_bytes = random_bytes

    async def digest(self, algorithm: Any, data: Any) -> JsBytes:
        """The digest of bytes.

        Raises:
            JsException: by an algorithm that there is not.
        """
        hash = hash_name(algorithm)
        return JsBytes(hashlib.new(HASHES[hash], buffer(data, "digest", 2)).digest())

    async def importKey(
        self, format: str, data: Any, algorithm: Any, extractable: Any, usages: Any
    ) -> CryptoKey:
        """Import a key from bytes, or from a JSON Web Key.

        Raises:
            JsException: it cannot be read, or cannot be for that.
        """
        given = usages_given(usages, "importKey", 5)
        return _imported(format, data, asked_for(algorithm), given, extractable=bool(extractable))

    async def exportKey(self, format: str, key: Any) -> JsBytes | JsDict:
        """Export a key as bytes or as a JSON Web Key.

        Raises:
            JsException: it may not be exported, or not like that.
        """
        return _exported(format, key_given(key, "exportKey", 2))

    async def generateKey(self, algorithm: Any, extractable: Any, usages: Any) -> Any:
        """Make a new key, or a pair with `privateKey` and `publicKey`.

        Raises:
            JsException: it cannot be for that.
        """
        asked, given = asked_for(algorithm), usages_given(usages, "generateKey", 3)
        name, out = key_name(asked, "generation"), bool(extractable)
        if name in RSA:
            return provided("rsa_keys", name).generate_rsa(name, asked, given, extractable=out)
        if name in CURVES:
            return provided("curve_keys", name).generate_curve(name, asked, given, extractable=out)
        if name in DERIVED_FROM:
            told = f'Unrecognized key generation algorithm "{asked.name}" requested.'
            raise not_supported(told)
        key = generate_secret(name, asked, given, self._random_bytes, extractable=out)
        check_some(key.usages, "secret")
        return key

    async def sign(self, algorithm: Any, key: Any, data: Any) -> JsBytes:
        """The signature of bytes, or their HMAC."""
        asked = asked_for(algorithm)
        key, data = key_for(key, asked, "sign"), buffer(data, "sign", 3)
        if key.name == "HMAC":
            return JsBytes(_mac(key, data))
        return JsBytes(provided("signing", key.name).signature(key, asked, data))

    async def verify(self, algorithm: Any, key: Any, signature: Any, data: Any) -> bool:
        """Whether a signature or an HMAC belongs to these bytes."""
        asked = asked_for(algorithm)
        key = key_for(key, asked, "verify")
        signed, data = buffer(signature, "verify", 3), buffer(data, "verify", 4)
        if key.name == "HMAC":
            return hmac.compare_digest(_mac(key, data), signed)
        return bool(provided("signing", key.name).verified(key, asked, signed, data))

    async def encrypt(self, algorithm: Any, key: Any, data: Any) -> JsBytes:
        """Encrypt bytes."""
        asked = asked_for(algorithm)
        key, data = key_for(key, asked, "encrypt"), buffer(data, "encrypt", 3)
        return JsBytes(provided("ciphers", key.name).encrypted(key, asked, data))

    async def decrypt(self, algorithm: Any, key: Any, data: Any) -> JsBytes:
        """Decrypt bytes.

        Raises:
            JsException: by another key, or the bytes have changed.
        """
        asked = asked_for(algorithm)
        key, data = key_for(key, asked, "decrypt"), buffer(data, "decrypt", 3)
        return JsBytes(provided("ciphers", key.name).decrypted(key, asked, data))

    async def deriveBits(self, algorithm: Any, key: Any, length: Any = None) -> JsBytes:
        """Derive bits from a key, a password, or two keys."""
        asked = _deriving(algorithm, key)
        key = key_for(key, asked, "deriveBits")
        return JsBytes(derived(key, asked, None if length is None else whole(length)))

    async def deriveKey(
        self, algorithm: Any, key: Any, derived_type: Any, extractable: Any, usages: Any
    ) -> CryptoKey:
        """Derive a key from a key, a password, or two keys."""
        asked, given = _deriving(algorithm, key), usages_given(usages, "deriveKey", 5)
        key = key_for(key, asked, "deriveKey")
        bits = key_bits(asked_for(derived_type, "derivedKeyParams"))
        secret = derived(key, asked, bits)
        return _imported(
            "raw", secret, asked_for(derived_type), given, extractable=bool(extractable)
        )

    async def wrapKey(self, format: str, key: Any, wrapping: Any, algorithm: Any) -> JsBytes:
        """Export a key and encrypt it with another key."""
        asked, key = asked_for(algorithm), key_given(key, "wrapKey", 2)
        by = key_for(wrapping, asked, "wrapKey", 3)
        exported = _exported(format, key)
        data = utf8(js_json.write(exported)) if isinstance(exported, dict) else exported
        ciphers = provided("ciphers", by.name)
        if by.name == "AES-KW":
            return JsBytes(ciphers.wrapped(by, data))
        return JsBytes(ciphers.encrypted(by, asked, data))

    async def unwrapKey(self, format: str, data: Any, *how: Any) -> CryptoKey:
        """Decrypt and import a key that `wrapKey` has wrapped.

        Args:
            format: of the key.
            data: what wrapKey gave.
            how: the key it was wrapped by and its algorithm, the algorithm of the key,
                whether it may be exported, and its usages.

        Raises:
            JsException: it was wrapped by another key, or the bytes have changed.
        """
        by, with_, algorithm, extractable, usages = how
        asked, given = asked_for(with_), usages_given(usages, "unwrapKey", 7)
        by, data = key_for(by, asked, "unwrapKey", 3), buffer(data, "unwrapKey", 2)
        ciphers = provided("ciphers", by.name)
        if by.name == "AES-KW":
            plain: Any = ciphers.unwrapped(by, data)
        else:
            plain = ciphers.decrypted(by, asked, data)
        if format == "jwk":
            plain = js_json.read(plain.decode("utf-8", "replace"))
        return _imported(format, plain, asked_for(algorithm), given, extractable=bool(extractable))

    def timingSafeEqual(self, one: Any, other: Any) -> bool:
        """Whether two byte strings are equal; the time does not depend on their contents.

        Raises:
            JsTypeError: they are not of one length, or no bytes.
        """
        first, second = buffer(one, "timingSafeEqual", 1), buffer(other, "timingSafeEqual", 2)
        if len(first) != len(second):
            raise JsTypeError("Input buffers must have the same byte length.")
        return hmac.compare_digest(first, second)


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
            JsException: it is too long, or has fractions.
        """
        if not isinstance(array, bytearray | TypedArray):
            raise JsTypeError(
                "crypto.getRandomValues of wakeful fills bytes that can change: give it "
                "Uint8Array.new(length), or a bytearray"
            )
        if isinstance(array, TypedArray) and array.format in FRACTIONS:
            raise JsException(NO_FRACTIONS, "TypeMismatchError")
        size = len(bytes(array))
        if size > RANDOM_BYTES_MAX:
            told = "getRandomValues() only accepts buffers of size <= 64K but provided {} bytes."
            raise JsException(told.format(size), "QuotaExceededError")
        data = self._random_bytes(size)
        if isinstance(array, TypedArray):
            array.assign(data)
        else:
            array[:] = data
        return array


def _deriving(given: Any, key: Any) -> Algorithm:
    """Return how to derive; errors name the members of a key agreement differently."""
    agreement = isinstance(key, CryptoKey) and key.name in CURVES
    return asked_for(given, "derivedKeyParams" if agreement else "algorithm")


def _imported(
    format: Any, data: Any, asked: Algorithm, usages: list[str], *, extractable: bool
) -> CryptoKey:
    name, format = key_name(asked, "import"), js_string(format)
    if name in RSA:
        make: Any = provided("rsa_keys", name).import_rsa
    elif name in CURVES:
        make = provided("curve_keys", name).import_curve
    else:
        make = import_secret
    key: CryptoKey = make(name, format, data, asked, usages, extractable=extractable)
    check_some(key.usages, key.type)
    return key


def _exported(format: Any, key: CryptoKey) -> JsBytes | JsDict:
    if not key.extractable:
        raise no_access(f"Attempt to export non-extractable {key.name} key.")
    format = js_string(format)
    if key.name in RSA:
        told: JsBytes | JsDict = provided("rsa_keys", key.name).export_rsa(key, format)
    elif key.name in CURVES:
        told = provided("curve_keys", key.name).export_curve(key, format)
    else:
        told = export_secret(key, format)
    return told


def _mac(key: CryptoKey, data: bytes) -> bytes:
    return hmac.digest(handle_of(key), data, HASHES[key.algorithm["hash"]["name"]])
