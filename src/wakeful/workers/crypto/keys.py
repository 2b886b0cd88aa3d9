"""Keys as code sees them, and what each may be used for.

Invariants: what a key is made of is in no attribute that code reads, in no text and in no log; it
            leaves only by exportKey and wrapKey, and only if the key is extractable.
Source:     Web Cryptography API, section CryptoKey; the texts are workerd's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from wakeful.workers.crypto.algorithms import (
    Algorithm,
    bad_usage,
    no_access,
    not_supported,
    wrong_argument,
)
from wakeful.workers.proxies import JsArray, JsDict, JsProxy
from wakeful.workers.values import js_string

USAGES: Final = (
    *("encrypt", "decrypt", "sign", "verify"),
    *("deriveKey", "deriveBits", "wrapKey", "unwrapKey"),
)
SIGNING: Final = frozenset({"sign", "verify"})
CIPHERING: Final = frozenset({"encrypt", "decrypt", "wrapKey", "unwrapKey"})
DERIVING: Final = frozenset({"deriveKey", "deriveBits"})
WRAPPING: Final = frozenset({"wrapKey", "unwrapKey"})
# By the name of the algorithm: what its keys may be for.
ALLOWED: Final = {
    **dict.fromkeys(("HMAC", "RSASSA-PKCS1-v1_5", "RSA-PSS", "ECDSA", "Ed25519"), SIGNING),
    **dict.fromkeys(("AES-GCM", "AES-CBC", "AES-CTR", "RSA-OAEP"), CIPHERING),
    **dict.fromkeys(("PBKDF2", "HKDF", "ECDH", "X25519"), DERIVING),
    "AES-KW": WRAPPING,
}
NAMES: Final = {name.upper(): name for name in ALLOWED}
FOR_PUBLIC: Final = frozenset({"verify", "encrypt", "wrapKey"})


class CryptoKey(JsProxy):
    """A key.

    Attributes:
        type: "secret", "private" or "public".
        algorithm: what it is for: its `name`, and what belongs to that.
        extractable: it may be exported.
        usages: what may be done with it.
    """

    js_name = "CryptoKey"

    def __init__(
        self,
        kind: str,
        handle: Any,
        algorithm: JsDict,
        usages: Iterable[str],
        *,
        extractable: bool,
    ) -> None:
        self._handle = handle
        self.type = kind
        self.algorithm = algorithm
        self.extractable = extractable
        self.usages = JsArray(usages)

    def __repr__(self) -> str:
        return f"<CryptoKey {self.type} {self.algorithm.name}>"

    @property
    def name(self) -> str:
        """The name of its algorithm."""
        return str(self.algorithm["name"])


def handle_of(key: CryptoKey) -> Any:
    """Return the key material: bytes of a secret key, otherwise an object of `cryptography`."""
    return key._handle


def key_for(key: Any, asked: Algorithm, usage: str, position: int = 2) -> CryptoKey:
    """Check a key that code has given for a use.

    Raises:
        JsTypeError: it is no key.
        JsDomException: it is not for this algorithm, or not for this use.
    """
    given = key_given(key, usage, position)
    if asked.key != given.name.upper():
        raise no_access(
            f'Requested algorithm "{asked.name}" does not match this CryptoKey\'s algorithm '
            f'"{given.name}".'
        )
    if usage not in given.usages:
        raise no_access(
            f'Requested key usage "{usage}" does not match any usage listed in this CryptoKey.'
        )
    return given


def key_given(key: Any, method: str, position: int) -> CryptoKey:
    """Check that a value is a key.

    Raises:
        JsTypeError: the value is not a key.
    """
    if not isinstance(key, CryptoKey):
        raise wrong_argument(method, position, "CryptoKey")
    return key


def key_name(asked: Algorithm, doing: str) -> str:
    """Return the name of an algorithm that has keys.

    Raises:
        JsDomException: the algorithm has no keys.
    """
    name = NAMES.get(asked.key)
    if name is None:
        raise not_supported(f'Unrecognized key {doing} algorithm "{asked.name}" requested.')
    return name


def usages_given(usages: Any, method: str, position: int) -> list[str]:
    """Read usages that code has given.

    Raises:
        JsTypeError: the value is not a list.
    """
    if isinstance(usages, str) or not hasattr(usages, "__iter__"):
        raise wrong_argument(method, position, "Array")
    return [js_string(usage) for usage in usages]


def usages_of(usages: list[str], name: str, kind: str) -> list[str]:
    """Return the usages of an imported key, each once, in WebCrypto's order.

    Raises:
        JsDomException: a key of this kind cannot be for that.
    """
    allowed = ALLOWED[name]
    if kind != "secret":
        allowed = allowed & FOR_PUBLIC if kind == "public" else allowed - FOR_PUBLIC
    _check(usages, allowed, f"import {kind} {name} key")
    return in_order(usages)


def usages_of_new(usages: list[str], name: str) -> list[str]:
    """Return the usages of a new key."""
    _check(usages, ALLOWED[name], f"generate {name} key")
    return in_order(usages)


def check_some(usages: Iterable[str], kind: str) -> None:
    """Refuse a secret or private key without usages.

    Raises:
        JsDomException: the key has no usages.
    """
    if kind != "public" and not list(usages):
        raise bad_usage("Secret/private CryptoKeys must have at least one usage.")


def pair(private: Any, algorithm: JsDict, usages: list[str], *, extractable: bool) -> JsDict:
    """The two keys of a new pair.

    Args:
        private: the private key, an object of `cryptography`.
        algorithm: of both keys.
        usages: of both together.
        extractable: the private key may be exported; the public one always may.

    Raises:
        JsDomException: nothing could be done with the private key.
    """
    public = [usage for usage in usages if usage in FOR_PUBLIC]
    own = [usage for usage in usages if usage not in FOR_PUBLIC]
    if not own:
        raise bad_usage("Attempt to generate asymmetric keys with no valid private key usages.")
    key = CryptoKey("private", private, algorithm, own, extractable=extractable)
    return JsDict(
        publicKey=CryptoKey("public", private.public_key(), algorithm, public, extractable=True),
        privateKey=key,
    )


def in_order(usages: Iterable[str]) -> list[str]:
    """Sort usages in WebCrypto's order, each once."""
    given = set(usages)
    return [usage for usage in USAGES if usage in given]


def _check(usages: list[str], allowed: frozenset[str], doing: str) -> None:
    for usage in usages:
        if usage not in allowed:
            raise bad_usage(f'Attempt to {doing} with invalid usage "{usage}".')
