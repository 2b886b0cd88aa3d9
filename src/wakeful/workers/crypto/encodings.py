"""Keys of two halves as bytes: pkcs8 for the private one, spki for the public one.

Source:  RFC 5208, RFC 5280; the texts are workerd's.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from wakeful.workers.crypto.algorithms import bad_data, no_access
from wakeful.workers.crypto.keys import CryptoKey, handle_of
from wakeful.workers.proxies import JsBytes

SEQUENCE: Final = 0x30
VERSION: Final = b"\x02\x01\x00"


def private_of(data: bytes) -> Any:
    """Read a private key from pkcs8 bytes.

    Raises:
        JsDomException: the bytes are not pkcs8.
    """
    inner = _inside(data, "PKCS8")
    if not inner.startswith(VERSION + bytes([SEQUENCE])):  # PKCS#1 and SEC 1 are no pkcs8
        raise bad_data("Invalid PKCS8 input.")
    try:
        return load_der_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise bad_data("Invalid PKCS8 input.") from None


def public_of(data: bytes) -> Any:
    """Read a public key from spki bytes.

    Raises:
        JsDomException: the bytes are not spki.
    """
    inner = _inside(data, "SPKI")
    if inner[:1] != bytes([SEQUENCE]):
        raise bad_data("Invalid SPKI input.")
    try:
        return load_der_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise bad_data("Invalid SPKI input.") from None


def export_encoded(key: CryptoKey, format: str) -> JsBytes:
    """A key as pkcs8 or spki.

    Raises:
        JsDomException: it is the other half, or the format is neither.
    """
    if format == "pkcs8":
        _check_half(key, format, "private")
        own = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return JsBytes(handle_of(key).private_bytes(*own))
    if format == "spki":
        _check_half(key, format, "public")
        public = handle_of(key).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return JsBytes(public)
    raise no_access(f'Cannot export "{key.name}" in "{format}" format.')


def _check_half(key: CryptoKey, format: str, wanted: str) -> None:
    if key.type != wanted:
        raise no_access(f'Asymmetric {format} export requires {wanted} key (not "{key.type}").')


def _inside(data: bytes, what: str) -> bytes:
    """Return the content of a DER sequence that fills all of the bytes."""
    head = 2
    size = data[1] if len(data) > 1 else 0
    if size & 0x80:  # the length has bytes of its own
        head += size & 0x7F
        size = int.from_bytes(data[2:head], "big")
    rest = len(data) - head - size
    if data[:1] != bytes([SEQUENCE]) or rest < 0:
        raise bad_data(f"Invalid {what} input.")
    if rest:
        raise bad_data(f"Invalid {rest} trailing bytes after {what} input.")
    return data[head:]
