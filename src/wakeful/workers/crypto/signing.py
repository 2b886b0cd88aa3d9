"""Signatures: RSASSA-PKCS1-v1_5, RSA-PSS, ECDSA and Ed25519.

Source:  RFC 8017, FIPS 186-5, RFC 8032; the texts are workerd's.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import (
    MD5,
    SHA1,
    SHA256,
    SHA384,
    SHA512,
    HashAlgorithm,
)

from wakeful.workers.crypto.algorithms import (
    Algorithm,
    bad_data,
    failed,
    hash_name,
    whole,
)
from wakeful.workers.crypto.keys import CryptoKey, handle_of
from wakeful.workers.proxies import JsTypeError

HASHES: Final[dict[str, HashAlgorithm]] = {
    "SHA-1": SHA1(),
    "SHA-256": SHA256(),
    "SHA-384": SHA384(),
    "SHA-512": SHA512(),
    "MD5": MD5(),
}
ED25519_BYTES: Final = 64
TOO_SMALL: Final = "key too small for signing with given digest and salt length"
NO_HASH: Final = (
    'Missing "hash" in AlgorithmIdentifier. (ECDSA requires that the hash algorithm be specified '
    "at call time rather than on the key. This differs from other WebCrypto algorithms for "
    "historical reasons.)"
)


def signature(key: CryptoKey, asked: Algorithm, data: bytes) -> bytes:
    """The signature of bytes.

    Raises:
        JsDomException: the key is too small, or the salt is missing.
    """
    try:
        if key.name == "ECDSA":
            signed = handle_of(key).sign(data, *_how(key, asked))
            size = _half(key)
            return b"".join(n.to_bytes(size, "big") for n in decode_dss_signature(signed))
        made: bytes = handle_of(key).sign(data, *_how(key, asked))
    except (ValueError, UnsupportedAlgorithm):
        raise failed(TOO_SMALL) from None
    return made


def verified(key: CryptoKey, asked: Algorithm, signed: bytes, data: bytes) -> bool:
    """Whether a signature belongs to these bytes."""
    if key.name == "Ed25519" and len(signed) != ED25519_BYTES:
        raise failed(f"Invalid Ed25519 signature length {len(signed)}")
    how = _how(key, asked)
    if key.name == "ECDSA":
        size = _half(key)
        if len(signed) != 2 * size:
            return False
        r, s = (int.from_bytes(part, "big") for part in (signed[:size], signed[size:]))
        signed = encode_dss_signature(r, s)
    try:
        handle_of(key).verify(signed, data, *how)
    except (InvalidSignature, ValueError):
        return False
    return True


def _how(key: CryptoKey, asked: Algorithm) -> tuple[Any, ...]:
    """Return the arguments that `cryptography` needs for a signature beside the data."""
    match key.name:
        case "Ed25519":
            return ()
        case "ECDSA":
            if asked.members.get("hash") is None:
                raise JsTypeError(NO_HASH)
            return (ec.ECDSA(HASHES[hash_name(asked.members["hash"])]),)
    hash = HASHES[key.algorithm["hash"]["name"]]
    if key.name == "RSA-PSS":
        return padding.PSS(padding.MGF1(hash), _salt_bytes(asked)), hash
    return padding.PKCS1v15(), hash


def _salt_bytes(asked: Algorithm) -> int:
    given = asked.members.get("saltLength")
    if given is None:
        raise bad_data("Failed to provide salt for RSA-PSS key operation which requires a salt")
    size = whole(given)
    if size < 0:
        raise bad_data(f"SaltLength for RSA-PSS must be non-negative (provided {size}).")
    return size


def _half(key: CryptoKey) -> int:
    bits: int = handle_of(key).key_size
    return (bits + 7) // 8
