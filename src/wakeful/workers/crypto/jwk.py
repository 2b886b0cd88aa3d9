"""JSON Web Keys: their members read, checked and written.

Source:  RFC 7517, RFC 7518; the texts are workerd's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from wakeful.workers.crypto.algorithms import bad_data
from wakeful.workers.crypto.keys import CryptoKey
from wakeful.workers.proxies import JsArray, JsDict, JsTypeError
from wakeful.workers.values import js_string

# The order in which they are written.
MEMBERS: Final = (
    *("kty", "use", "key_ops", "alg", "ext", "crv", "x", "y", "d", "n", "e", "p", "q"),
    *("dp", "dq", "qi", "k"),
)

Jwk = Mapping[str, Any]


def jwk_given(data: Any, name: str, *, extractable: bool) -> Jwk:
    """Read a JSON Web Key that code has given.

    Raises:
        JsTypeError: the value is not a JSON Web Key.
        JsDomException: the key is to be extractable, but says that it may not be exported.
    """
    if not isinstance(data, dict):
        raise JsTypeError('Import data provided for "jwk" import format must be a JsonWebKey.')
    if data.get("ext") is False and extractable:
        raise bad_data(f'JWK ext field for "{name}" is set to false but extractable is true')
    return data


def check_use(jwk: Jwk, usages: list[str], use: str) -> None:
    """Check that the key may be used as asked, if it names its uses.

    Raises:
        JsDomException: the key may not be used as asked.
    """
    said = jwk.get("use")
    if usages and said is not None and said != use:
        raise bad_data(
            'Asymmetric "jwk" key import with usages requires a JSON Web Key with Public Key Use '
            f'parameter "use" ("{js_string(said)}") equal to "sig".'
        )
    operations = jwk.get("key_ops")
    if operations is None:
        return
    if not isinstance(operations, list | tuple):
        raise JsTypeError('"key_ops" of a JSON Web Key is an array.')
    operations = [js_string(operation) for operation in operations]
    if len(set(operations)) != len(operations):
        raise bad_data(
            'A JSON Web Key\'s Key Operations parameter ("key_ops") must not contain duplicates.'
        )
    if not set(usages) <= set(operations):
        raise bad_data(
            "All specified key usages must be present in the JSON Web Key's Key Operations "
            'parameter ("key_ops").'
        )


def decoded(jwk: Jwk, member: str, text: str) -> bytes:
    """Decode a member that holds bytes.

    Raises:
        JsDomException: with the text; it is missing, or no base64url.
    """
    value = jwk.get(member)
    try:
        if not isinstance(value, str) or not value:
            raise ValueError
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise bad_data(text) from None


def encoded(data: bytes) -> str:
    """Bytes as a member."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def written(key: CryptoKey, **members: str | None) -> JsDict:
    """Write a JSON Web Key, with its members in order; members that are None are left out."""
    all_: dict[str, Any] = {**members, "key_ops": JsArray(key.usages), "ext": key.extractable}
    return JsDict((name, all_[name]) for name in MEMBERS if all_.get(name) is not None)
