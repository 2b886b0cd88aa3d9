"""Ciphers: AES in three modes, AES-KW for keys, and RSA-OAEP.

Source:  NIST SP 800-38A and 800-38D, RFC 3394, RFC 8017; the texts are workerd's.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_wrap,
)
from cryptography.hazmat.primitives.padding import PKCS7

from wakeful.workers.crypto.algorithms import Algorithm, failed, whole
from wakeful.workers.crypto.keys import CryptoKey, handle_of
from wakeful.workers.crypto.signing import HASHES
from wakeful.workers.proxies import JsTypeError

BLOCK: Final = 16
TAG_BITS: Final = frozenset({32, 64, 96, 104, 112, 120, 128})
IV_BYTES: Final = range(8, 129)  # that cryptography takes
KW_BYTES_LEAST: Final = 16
NOT_DECRYPTED: Final = (
    "Decryption failed. This could be due to a ciphertext authentication failure, bad padding, "
    "incorrect CryptoKey, or another algorithm-specific reason. Input length was {}, output length "
    "expected to be {} for {}"
)
OAEP_FAILED: Final = "RSA-OAEP failed encrypt/decrypt."


def encrypted(key: CryptoKey, asked: Algorithm, data: bytes) -> bytes:
    """Encrypt bytes."""
    match key.name:
        case "AES-GCM":
            return _gcm_encrypted(key, asked, data)
        case "AES-CBC":
            padder = PKCS7(BLOCK * 8).padder()
            return _run(_cbc(key, asked).encryptor(), padder.update(data) + padder.finalize())
        case "AES-CTR":
            return _counted(key, asked, data)
    return _oaep(key, "encrypt", asked, data)


def decrypted(key: CryptoKey, asked: Algorithm, data: bytes) -> bytes:
    """Decrypt bytes.

    Raises:
        JsDomException: by another key, or the bytes have changed.
    """
    match key.name:
        case "AES-GCM":
            return _gcm_decrypted(key, asked, data)
        case "AES-CBC":
            return _cbc_decrypted(key, asked, data)
        case "AES-CTR":
            return _counted(key, asked, data)
    return _oaep(key, "decrypt", asked, data)


def wrapped(key: CryptoKey, data: bytes) -> bytes:
    """Wrap the bytes of a key with AES-KW."""
    if len(data) % 8:
        raise failed(
            "Unwrapped key bit length must be a multiple of 64 bits but unwrapped key has a length "
            f"of {len(data) * 8} bits."
        )
    if len(data) < KW_BYTES_LEAST:
        raise failed(
            f"Unwrapped key has length {len(data)} bytes but it should be greater than or equal to "
            f"{KW_BYTES_LEAST} and less than or equal to 18446744073709551607"
        )
    return aes_key_wrap(handle_of(key), data)


def unwrapped(key: CryptoKey, data: bytes) -> bytes:
    """Unwrap the bytes of a key that AES-KW has wrapped.

    Raises:
        JsDomException: with another key, or they have changed.
    """
    bits = len(data) * 8
    if len(data) % 8:
        raise failed(
            f"Provided a wrapped key to unwrap that is {bits} bits which isn't a multiple of 64 "
            "bits."
        )
    if len(data) < KW_BYTES_LEAST + 8:
        raise failed(
            f"Provided a wrapped key to unwrap this is {bits} bits that is less than the minimal "
            "length of 192 bits."
        )
    try:
        return aes_key_unwrap(handle_of(key), data)
    except InvalidUnwrap:
        raise failed("AES-KW key unwrapping failed.") from None


def _run(context: Any, data: bytes) -> bytes:
    return bytes(context.update(data) + context.finalize())


# --- AES-GCM ---------------------------------------------------------------------------------


def _gcm_encrypted(key: CryptoKey, asked: Algorithm, data: bytes) -> bytes:
    iv, tag_bytes = _gcm_iv(asked), _tag_bytes(asked)
    context = Cipher(AES(handle_of(key)), modes.GCM(iv)).encryptor()
    context.authenticate_additional_data(asked.optional_data("additionalData"))
    return _run(context, data) + context.tag[:tag_bytes]


def _gcm_decrypted(key: CryptoKey, asked: Algorithm, data: bytes) -> bytes:
    iv, tag_bytes = _gcm_iv(asked), _tag_bytes(asked)
    size = len(data) - tag_bytes
    if size < 0:
        raise failed(
            f"Ciphertext length of {len(data) * 8} bits must be greater than or equal to the size "
            f"of the AES-GCM tag length of {tag_bytes * 8} bits."
        )
    mode = modes.GCM(iv, data[size:], min_tag_length=tag_bytes)
    context = Cipher(AES(handle_of(key)), mode).decryptor()
    context.authenticate_additional_data(asked.optional_data("additionalData"))
    try:
        return _run(context, data[:size])
    except InvalidTag:
        raise failed(NOT_DECRYPTED.format(size, size, key.name)) from None


def _gcm_iv(asked: Algorithm) -> bytes:
    iv = asked.data("iv")
    if not iv:
        raise failed("AES-GCM IV must not be empty.")
    if len(iv) not in IV_BYTES:
        raise failed(f"An AES-GCM IV of wakeful has 8 to 128 bytes (provided {len(iv)} bytes).")
    return iv


def _tag_bytes(asked: Algorithm) -> int:
    given = asked.members.get("tagLength")
    bits = 128 if given is None else whole(given)
    if bits not in TAG_BITS:
        raise failed(f"Invalid AES-GCM tag length {bits}.")
    return bits // 8


# --- AES-CBC and AES-CTR ---------------------------------------------------------------------


def _cbc(key: CryptoKey, asked: Algorithm) -> Cipher[modes.CBC]:
    iv = asked.data("iv")
    if len(iv) != BLOCK:
        raise failed(f"AES-CBC IV must be 16 bytes long (provided {len(iv)} bytes).")
    return Cipher(AES(handle_of(key)), modes.CBC(iv))


def _cbc_decrypted(key: CryptoKey, asked: Algorithm, data: bytes) -> bytes:
    cipher, unpadder = _cbc(key, asked), PKCS7(BLOCK * 8).unpadder()
    try:
        return unpadder.update(_run(cipher.decryptor(), data)) + unpadder.finalize()
    except ValueError:
        out = max(0, len(data) - 1) // BLOCK * BLOCK  # all but the last block, as workerd counts
        raise failed(NOT_DECRYPTED.format(len(data), out, key.name)) from None


def _counted(key: CryptoKey, asked: Algorithm, data: bytes) -> bytes:
    """AES-CTR: only the last bits of the block count, and begin again at 0."""
    counter, bits = _counter(asked)
    first = int.from_bytes(counter, "big")
    space = 1 << bits
    left = space - first % space  # blocks until the counter begins again
    if -(-len(data) // BLOCK) > space:
        raise failed("Counter block values will repeat.")
    begun = _ctr(key, counter, data[: left * BLOCK])
    rest = data[left * BLOCK :]
    again = (first - first % space).to_bytes(BLOCK, "big")
    return begun + _ctr(key, again, rest) if rest else begun


def _ctr(key: CryptoKey, counter: bytes, data: bytes) -> bytes:
    return _run(Cipher(AES(handle_of(key)), modes.CTR(counter)).encryptor(), data)


def _counter(asked: Algorithm) -> tuple[bytes, int]:
    for member in ("counter", "length"):
        if asked.members.get(member) is None:
            raise JsTypeError(f'Missing "{member}" member in "algorithm".')
    counter, bits = asked.data("counter"), asked.number("length")
    if len(counter) != BLOCK:
        raise failed(f"Counter must have length of 16 bytes (provided {len(counter)}).")
    if not 1 <= bits <= BLOCK * 8:
        raise failed(f"Invalid counter of {bits} bits length provided.")
    return counter, bits


# --- RSA-OAEP --------------------------------------------------------------------------------


def _oaep(key: CryptoKey, what: str, asked: Algorithm, data: bytes) -> bytes:
    hash = HASHES[key.algorithm["hash"]["name"]]
    label = asked.optional_data("label") or None
    padding = rsa_padding.OAEP(rsa_padding.MGF1(hash), hash, label)
    try:
        done: bytes = getattr(handle_of(key), what)(data, padding)
    except ValueError:
        raise failed(OAEP_FAILED) from None
    return done
