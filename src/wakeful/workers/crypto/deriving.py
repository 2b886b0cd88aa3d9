"""Bits derived from a password, a key or two keys: PBKDF2, HKDF, ECDH, X25519.

Source:  RFC 8018, RFC 5869, SP 800-56A, RFC 7748; the texts are workerd's.
"""

from __future__ import annotations

import hashlib
import hmac

from wakeful.workers.crypto.algorithms import HASHES, Algorithm, failed, no_access
from wakeful.workers.crypto.keys import CryptoKey, handle_of, key_given
from wakeful.workers.crypto.provider import provided


def derived(key: CryptoKey, asked: Algorithm, bits: int | None) -> bytes:
    """Derive a number of bits; None: as many as the agreement of two keys gives.

    Raises:
        JsDomException: there are not that many.
    """
    if key.name in ("ECDH", "X25519"):
        return _cut(_agreed(key, asked), bits)
    if bits is None:
        raise failed(f"{key.name} cannot derive a key with null length.")
    if key.name == "HKDF":
        return _of_key(handle_of(key), asked, bits)
    return _of_password(handle_of(key), asked, bits)


def _of_password(password: bytes, asked: Algorithm, bits: int) -> bytes:
    hash, salt, rounds = HASHES[asked.hash()], asked.data("salt"), asked.number("iterations")
    _check_bits("PBKDF2", bits)
    if rounds <= 0:
        raise failed(f"PBKDF2 requires a positive iteration count (requested {rounds}).")
    return hashlib.pbkdf2_hmac(hash, password, salt, rounds, bits // 8) if bits else b""


def _of_key(key: bytes, asked: Algorithm, bits: int) -> bytes:
    hash, salt, info = HASHES[asked.hash()], asked.data("salt"), asked.data("info")
    _check_bits("HKDF", bits)
    digest_size = hashlib.new(hash).digest_size
    size = bits // 8
    if size > 255 * digest_size:
        raise failed("HKDF deriveBits failed.")
    secret = hmac.digest(salt or bytes(digest_size), key, hash)
    output = block = b""
    while len(output) < size:
        block = hmac.digest(secret, block + info + bytes([len(output) // digest_size + 1]), hash)
        output += block
    return output[:size]


def _check_bits(name: str, bits: int) -> None:
    if bits % 8 or bits < 0:
        raise failed(
            f"{name} requires a derived key length that is a multiple of eight (requested {bits})."
        )


def _agreed(key: CryptoKey, asked: Algorithm) -> bytes:
    """Compute the shared secret of two keys."""
    other = key_given(asked.member("public"), "deriveBits", 1)
    if other.type != "public":
        raise no_access(f'The provided key has type "{other.type}", not "public"')
    _check_match(key, other)
    secret: bytes = provided("agreement", key.name).agreed(handle_of(key), handle_of(other))
    return secret


def _check_match(key: CryptoKey, other: CryptoKey) -> None:
    if other.name != key.name:
        raise no_access(
            f"Base X25519 private key cannot be used to derive a key from a peer {other.name} "
            "public key"
            if key.name == "X25519"
            else f'Private key for derivation is using "{key.name}" while public key is using '
            f'"{other.name}".'
        )
    curves = [key.algorithm.get("namedCurve"), other.algorithm.get("namedCurve")]
    if curves[0] != curves[1]:
        raise no_access(
            f'Private key for derivation is using curve "{curves[0]}" while public key is using '
            f'"{curves[1]}".'
        )


def _cut(secret: bytes, bits: int | None) -> bytes:
    if bits is None:
        return secret
    if not 0 <= bits <= len(secret) * 8:
        raise failed(
            f"Derived key length ({bits} bits) is too long (should be at most {len(secret) * 8} "
            "bits)."
        )
    out = bytearray(secret[: (bits + 7) // 8])
    if bits % 8:
        out[-1] &= 0xFF << (8 - bits % 8) & 0xFF
    return bytes(out)
