"""Secret keys, which are bytes: HMAC, AES, and what bits are derived from."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from wakeful.workers.buffers import BINARY
from wakeful.workers.crypto.algorithms import (
    HASHES,
    Algorithm,
    RandomBytes,
    bad_data,
    bad_usage,
    failed,
    hash_member,
    not_supported,
    whole,
)
from wakeful.workers.crypto.jwk import decoded, encoded, jwk_given, written
from wakeful.workers.crypto.keys import CryptoKey, handle_of, usages_of, usages_of_new
from wakeful.workers.proxies import JsBytes, JsDict, JsTypeError
from wakeful.workers.values import js_string

AES_BITS: Final = frozenset({128, 192, 256})
JWK_HASHES: Final = {
    "SHA-1": "HS1",
    "SHA-256": "HS256",
    "SHA-384": "HS384",
    "SHA-512": "HS512",
}


def import_secret(
    name: str, format: str, data: Any, asked: Algorithm, usages: list[str], *, extractable: bool
) -> CryptoKey:
    """A key of bytes, or of a JSON Web Key."""
    for_ = usages_of(usages, name, "secret")
    if name in ("PBKDF2", "HKDF"):
        secret = _password(name, format, data, extractable=extractable)
        return CryptoKey("secret", secret, JsDict(name=name), for_, extractable=False)
    about = JsDict(name=name)
    if name == "HMAC":
        about["hash"] = hash_member(asked.hash())
    secret = _secret(name, format, data, about, extractable=extractable)
    bits = len(secret) * 8
    if name == "HMAC":
        bits = _hmac_bits(asked.members.get("length"), bits)
    elif bits not in AES_BITS:
        raise bad_data(
            f"Imported AES key length must be 128, 192, or 256 bits but provided {bits}."
        )
    about["length"] = bits
    return CryptoKey("secret", secret, about, for_, extractable=extractable)


def generate_secret(
    name: str, asked: Algorithm, usages: list[str], random_bytes: RandomBytes, *, extractable: bool
) -> CryptoKey:
    """A new key for HMAC or AES."""
    for_ = usages_of_new(usages, name)
    about = JsDict(name=name)
    if name == "HMAC":
        about["hash"] = hash_member(asked.hash())
        bits = key_bits(asked)
        assert bits is not None
        if bits <= 0:
            raise failed(
                f"HMAC key length must be a non-zero unsigned long integer (requested {bits})."
            )
    else:
        bits = asked.number("length")
        if bits not in AES_BITS:
            raise failed(
                f"Generated AES key length must be 128, 192, or 256 bits but requested {bits}."
            )
    about["length"] = bits
    secret = random_bytes((bits + 7) // 8)
    return CryptoKey("secret", secret, about, for_, extractable=extractable)


def export_secret(key: CryptoKey, format: str) -> JsBytes | JsDict:
    """The bytes of a key, alone or in a JSON Web Key."""
    secret: bytes = handle_of(key)
    if format == "raw":
        return JsBytes(secret)
    if format == "jwk":
        return written(key, kty="oct", k=encoded(secret), alg=_jwk_name(key.name, key.algorithm))
    raise not_supported(f'Unimplemented key export format "{format}".')


def key_bits(asked: Algorithm) -> int | None:
    """How many bits a derived or new key has; None if that is not said.

    Raises:
        JsDomException: a key for that cannot be derived.
    """
    match asked.key:
        case "HMAC":
            length = asked.members.get("length")
            size = hashlib.new(HASHES[asked.hash()]).block_size
            return size * 8 if length is None else whole(length)
        case "AES-GCM" | "AES-CBC" | "AES-CTR" | "AES-KW":
            bits = asked.number("length")
            if bits not in AES_BITS:
                raise failed(
                    f"Derived AES key must be 128, 192, or 256 bits in length but provided {bits}."
                )
            return bits
        case "HKDF" | "PBKDF2":
            return None
    raise not_supported(f'Unrecognized derived key type "{asked.name}" requested.')


def _password(name: str, format: str, data: Any, *, extractable: bool) -> bytes:
    if extractable:
        raise bad_usage(f"{name} key cannot be extractable.")
    if format != "raw":
        end = "." if name == "PBKDF2" else ""  # as workerd writes it
        raise not_supported(
            f'{name} key must be imported in "raw" format (requested "{format}"){end}'
        )
    return raw_data(data)


def _secret(name: str, format: str, data: Any, about: JsDict, *, extractable: bool) -> bytes:
    if format == "raw":
        return raw_data(data)
    if format != "jwk":
        raise not_supported(f'Unrecognized key import format "{format}".')
    jwk = jwk_given(data, name, extractable=extractable)
    kind = "HMAC" if name == "HMAC" else "Symmetric"
    if jwk.get("kty") != "oct":
        raise bad_data(
            f'{kind} "jwk" key import requires a JSON Web Key with Key Type parameter ("kty") '
            f'equal to "oct" (encountered "{js_string(jwk.get("kty"))}").'
        )
    secret = decoded(jwk, "k", f'{kind} "jwk" key import requires a base64Url encoding of the key')
    about = JsDict(about, length=len(secret) * 8)
    said, wanted = jwk.get("alg"), _jwk_name(name, about)
    if said is not None and said != wanted and (name == "HMAC" or len(secret) * 8 in AES_BITS):
        raise bad_data(_wrong_alg(name, js_string(said), wanted))
    return secret


def _wrong_alg(name: str, said: str, wanted: str | None) -> str:
    if name == "HMAC":
        return (
            'HMAC "jwk" key import specifies "alg" that is incompatible with the hash name '
            f'(encountered "{said}", expected "{wanted}").'
        )
    return f'Symmetric "jwk" key contains invalid "alg" value "{said}", expected "{wanted}".'


def _jwk_name(name: str, about: JsDict) -> str | None:
    if name == "HMAC":
        return JWK_HASHES.get(about["hash"]["name"])
    return f"A{about['length']}{name.removeprefix('AES-')}"


def _hmac_bits(length: Any, bits: int) -> int:
    asked = bits if length is None else whole(length)
    if not max(0, bits - 8) < asked <= bits:
        raise bad_data(
            f"Imported HMAC key length ({asked}) must be a non-zero value up to 7 bits less than, "
            f"and no greater than, the bit length of the raw key data ({bits})."
        )
    return asked


def raw_data(data: Any) -> bytes:
    """Check the bytes that a key is read from.

    Raises:
        JsTypeError: the value is not bytes.
    """
    if not isinstance(data, BINARY):
        raise JsTypeError(
            "Import data provided for buffer-based import formats must be a buffer source."
        )
    return bytes(data)
