"""What code asks for: the name of an algorithm and its members, checked as they are read.

Errors:  JsTypeError for members that are missing or of a wrong type, JsDomException for the rest.
Source:  Web Cryptography API; the texts are workerd's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from wakeful.workers.buffers import BINARY
from wakeful.workers.proxies import JsBytes, JsDict, JsDomException, JsTypeError
from wakeful.workers.values import js_string

# WebCrypto's names of digests, and hashlib's.
HASHES: Final = {
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
    "MD5": "md5",
}
INT_MAX: Final = 2**31 - 1
OUT_OF_RANGE: Final = "Value out of range. Must be between -2147483648 and 2147483647 (inclusive)."
NO_MEMBERS: Final = "Cannot initialize {} with required members from an undefined or null value."

RandomBytes = Callable[[int], bytes]


class Algorithm(NamedTuple):
    """An algorithm as code has asked for it.

    Attributes:
        name: as it was written.
        members: those of the object it was given as; none for a text.
        where: what errors call the object.
    """

    name: str
    members: Mapping[str, Any]
    where: str

    @property
    def key(self) -> str:
        """The name in upper case: its case does not matter."""
        return self.name.upper()

    def member(self, name: str) -> Any:
        """A member that must be there."""
        value = self.members.get(name)
        if value is None:
            raise JsTypeError(f'Missing field "{name}" in "{self.where}".')
        return value

    def number(self, name: str) -> int:
        """A member that is a whole number."""
        return whole(self.member(name))

    def data(self, name: str) -> bytes:
        """A member that is bytes."""
        return self._bytes(name, self.member(name))

    def optional_data(self, name: str) -> bytes:
        """A member that is bytes, and may be missing."""
        value = self.members.get(name)
        return b"" if value is None else self._bytes(name, value)

    def hash(self) -> str:
        """The name of the digest that it uses."""
        return hash_name(self.member("hash"))

    def _bytes(self, name: str, value: object) -> bytes:
        if not isinstance(value, BINARY):
            raise JsTypeError(
                f"Incorrect type for the '{name}' field on '{self.where}': the provided value is "
                "not of type 'BufferSource'."
            )
        return bytes(value)


def asked_for(given: object, where: str = "algorithm") -> Algorithm:
    """An algorithm: a name, or an object with `name` and more."""
    if given is None:
        raise JsTypeError(NO_MEMBERS.format("an algorithm"))
    if isinstance(given, dict):
        return Algorithm(js_string(given.get("name")), given, where)
    return Algorithm(js_string(given), {}, where)


def hash_name(given: object) -> str:
    """WebCrypto's name of a digest.

    Raises:
        JsDomException: there is no such digest.
    """
    name = asked_for(given).key
    if name not in HASHES:
        raise not_supported("Unrecognized or unimplemented digest algorithm requested.")
    return name


def hash_member(name: str) -> JsDict:
    """`hash` of a key's algorithm."""
    return JsDict(name=name)


def whole(given: Any) -> int:
    """A number as JavaScript has it, without its fraction; 0 for what is none.

    Raises:
        JsTypeError: it has more than 32 bits.
    """
    try:
        number = int(given)
    except (TypeError, ValueError, OverflowError):
        return 0
    if not -INT_MAX - 1 <= number <= INT_MAX:
        raise JsTypeError(OUT_OF_RANGE)
    return number


def buffer(given: object, method: str, position: int) -> bytes:
    """Read an argument that must be bytes."""
    if not isinstance(given, BINARY):
        raise wrong_argument(method, position, "BufferSource")
    return bytes(given)


def wrong_argument(method: str, position: int, wanted: str) -> JsTypeError:
    """Make the error for an argument of a wrong type."""
    return JsTypeError(
        f"Failed to execute '{method}' on 'SubtleCrypto': parameter {position} is not of type "
        f"'{wanted}'."
    )


def exponent(value: int) -> JsBytes:
    """Encode `publicExponent` of a key's algorithm."""
    return JsBytes(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def not_supported(text: str) -> JsDomException:
    """Make the error for an algorithm or format that is not supported."""
    return JsDomException(text, "NotSupportedError")


def bad_data(text: str) -> JsDomException:
    """Make the error for a key that cannot be read."""
    return JsDomException(text, "DataError")


def failed(text: str) -> JsDomException:
    """Make the error for an operation that failed."""
    return JsDomException(text, "OperationError")


def no_access(text: str) -> JsDomException:
    """Make the error for a key that does not allow this use."""
    return JsDomException(text, "InvalidAccessError")


def bad_usage(text: str) -> JsDomException:
    """Make the error for a usage that this kind of key cannot have."""
    return JsDomException(text, "SyntaxError")
