"""Keys on elliptic curves: ECDSA and ECDH on P-256, P-384 and P-521; Ed25519 and X25519.

Source:  RFC 5480, RFC 8410, RFC 7518 section 6.2, RFC 8037; the texts are workerd's.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wakeful.workers.crypto.algorithms import (
    Algorithm,
    bad_data,
    failed,
    no_access,
    not_supported,
)
from wakeful.workers.crypto.encodings import export_encoded, private_of, public_of
from wakeful.workers.crypto.jwk import Jwk, check_use, decoded, encoded, jwk_given, written
from wakeful.workers.crypto.keys import CryptoKey, handle_of, pair, usages_of, usages_of_new
from wakeful.workers.crypto.secret_keys import raw_data
from wakeful.workers.proxies import JsBytes, JsDict
from wakeful.workers.values import js_string

CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
JWK_NAMES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
POINT_BYTES: Final = 32  # of Ed25519 and X25519


class Kind(NamedTuple):
    """The classes of the private and the public key, and the error text for any other key."""

    private: Any
    public: Any
    not_one: str


KINDS: Final = {
    "ECDSA": Kind(
        ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey, "Input was not an EC key."
    ),
    "ECDH": Kind(
        ec.EllipticCurvePrivateKey,
        ec.EllipticCurvePublicKey,
        "Input was not an EC public key nor a DH key.",
    ),
    "Ed25519": Kind(Ed25519PrivateKey, Ed25519PublicKey, "Input was not an Ed25519 key."),
    "X25519": Kind(X25519PrivateKey, X25519PublicKey, "Input was not an X25519 key."),
}


def import_curve(
    name: str, format: str, data: Any, asked: Algorithm, usages: list[str], *, extractable: bool
) -> CryptoKey:
    """A key from pkcs8, spki, a JSON Web Key, or, if it is public, its point."""
    curve = _curve(name, asked)
    if format == "jwk":
        jwk = jwk_given(data, name, extractable=extractable)
        half = "public" if jwk.get("d") is None else "private"
        for_ = usages_of(usages, name, half)
        handle = _of_ec_jwk(name, jwk, curve, for_) if curve else _of_okp_jwk(name, jwk, for_)
    elif format in ("pkcs8", "spki", "raw"):
        half = "private" if format == "pkcs8" else "public"
        for_ = usages_of(usages, name, half)
        handle = _of_bytes(name, format, raw_data(data), curve)
    else:
        raise not_supported(f'Unrecognized key import format "{format}".')
    if not isinstance(handle, KINDS[name].private | KINDS[name].public):
        raise bad_data(KINDS[name].not_one)
    if curve and handle.curve.name != CURVES[curve].name:
        comma = "," if name == "ECDH" else ""  # as workerd writes it
        raise bad_data(
            f'"algorithm.namedCurve" "{curve}"{comma} does not match the curve specified by the '
            "input key data."
        )
    return CryptoKey(half, handle, _about(name, curve), for_, extractable=extractable)


def generate_curve(name: str, asked: Algorithm, usages: list[str], *, extractable: bool) -> JsDict:
    """A new pair of keys."""
    for_ = usages_of_new(usages, name)
    curve = _curve(name, asked)
    if curve:
        private: Any = ec.generate_private_key(CURVES[curve])
    else:
        private = KINDS[name].private.generate()
    return pair(private, _about(name, curve), for_, extractable=extractable)


def export_curve(key: CryptoKey, format: str) -> JsBytes | JsDict:
    """A key as pkcs8, spki, a JSON Web Key, or, if it is public, its point.

    Raises:
        JsDomException: the point of a private key was asked for.
    """
    curve = key.algorithm.get("namedCurve")
    if format == "raw":
        if key.type != "public":
            kind = "elliptic curve" if curve else key.name
            raise no_access(f"Raw export of {kind} keys is only allowed for public keys.")
        return JsBytes(_point(handle_of(key), curve))
    if format != "jwk":
        return export_encoded(key, format)
    handle = handle_of(key)
    public = handle if key.type == "public" else handle.public_key()
    if curve:
        size = _size(curve)
        x, y = (encoded(n.to_bytes(size, "big")) for n in _numbers(public))
        d = None
        if key.type == "private":
            d = encoded(handle.private_numbers().private_value.to_bytes(size, "big"))
        return written(key, kty="EC", crv=curve, x=x, y=y, d=d)
    d = encoded(handle.private_bytes_raw()) if key.type == "private" else None
    alg = "EdDSA" if key.name == "Ed25519" else None
    return written(key, kty="OKP", crv=key.name, alg=alg, x=encoded(_point(public, None)), d=d)


def _about(name: str, curve: str | None) -> JsDict:
    return JsDict(name=name, namedCurve=curve) if curve else JsDict(name=name)


def _curve(name: str, asked: Algorithm) -> str | None:
    if name not in ("ECDSA", "ECDH"):
        return None
    given = js_string(asked.member("namedCurve"))
    if given.upper() not in CURVES:
        raise not_supported(f'Unrecognized or unimplemented EC curve "{given}" requested.')
    return given.upper()


def _of_bytes(name: str, format: str, data: bytes, curve: str | None) -> Any:
    if format == "pkcs8":
        return private_of(data)
    if format == "spki":
        return public_of(data)
    if curve is None:
        if len(data) != POINT_BYTES:
            raise bad_data(
                f"{name} raw keys must be exactly {POINT_BYTES}-bytes (provided {len(data)})."
            )
        return KINDS[name].public.from_public_bytes(data)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[curve], data)
    except ValueError:
        whole = data[:1] == b"\4" and len(data) == 1 + 2 * _size(curve)
        told = "Point is not on curve." if whole else "Invalid point encoding."
        raise bad_data(f"Failed to import raw EC key data: {told}.") from None


def _of_ec_jwk(name: str, jwk: Jwk, curve: str, usages: list[str]) -> Any:
    if jwk.get("kty") != "EC":
        raise bad_data(
            'Elliptic curve "jwk" key import requires a JSON Web Key with Key Type parameter "kty" '
            f'("{js_string(jwk.get("kty"))}") equal to "EC".'
        )
    check_use(jwk, usages, "sig" if name == "ECDSA" else "enc")
    said = jwk.get("alg")
    if name == "ECDSA" and said is not None and said != JWK_NAMES[curve]:
        raise bad_data(
            f'JSON Web Key Algorithm parameter "alg" ("{js_string(said)}") does not match '
            "requested curve."
        )
    x, y = (
        int.from_bytes(decoded(jwk, m, f'Invalid EC key in JSON Web Key; missing "{m}".'), "big")
        for m in ("x", "y")
    )
    public = ec.EllipticCurvePublicNumbers(x, y, CURVES[curve])
    try:
        handle = public.public_key()
    except ValueError:
        raise failed(
            'Invalid EC key; public key coordinates "x" and "y" are invalid: Point is not on '
            "curve.."
        ) from None
    return handle if jwk.get("d") is None else _ec_private(jwk, public, curve)


def _ec_private(jwk: Jwk, public: ec.EllipticCurvePublicNumbers, curve: str) -> Any:
    wrong = 'Invalid EC key; private key component "d" is invalid.'
    d = decoded(jwk, "d", wrong)
    if len(d) != _size(curve):
        raise failed(wrong)
    try:
        return ec.EllipticCurvePrivateNumbers(int.from_bytes(d, "big"), public).private_key()
    except ValueError:
        raise bad_data("Invalid EC key in JSON Web Key.") from None


def _of_okp_jwk(name: str, jwk: Jwk, usages: list[str]) -> Any:
    if jwk.get("kty") != "OKP":
        raise bad_data(
            f'{name} "jwk" key imports requires a JSON Web Key with Key Type parameter "kty" '
            f'("{js_string(jwk.get("kty"))}") equal to "OKP".'
        )
    check_use(jwk, usages, "sig" if name == "Ed25519" else "enc")
    said = jwk.get("crv")
    if said is None:
        raise bad_data(f'Missing field "crv" for {name} key.')
    if said != name:
        raise not_supported(f'Only {name} is supported but "{js_string(said)}" was requested.')
    alg = jwk.get("alg")
    if name == "Ed25519" and alg not in (None, "EdDSA", "Ed25519"):
        raise bad_data(
            f'JSON Web Key Algorithm parameter "alg" ("{js_string(alg)}") does not match '
            "requested Ed25519 curve."
        )
    x = _okp_half(name, jwk, "x", "public")
    if jwk.get("d") is None:
        return KINDS[name].public.from_public_bytes(x)
    return KINDS[name].private.from_private_bytes(_okp_half(name, jwk, "d", "private"))


def _okp_half(name: str, jwk: Jwk, member: str, half: str) -> bytes:
    data = decoded(
        jwk,
        member,
        f'Invalid {name} key in JSON WebKey; missing or invalid {half} key component ("{member}").',
    )
    if len(data) != POINT_BYTES:
        raise bad_data(f"Invalid length {len(data)} for {half} key")
    return data


def _point(public: Any, curve: str | None) -> bytes:
    if curve:
        point: bytes = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:
        point = public.public_bytes_raw()
    return point


def _numbers(public: ec.EllipticCurvePublicKey) -> tuple[int, int]:
    numbers = public.public_numbers()
    return numbers.x, numbers.y


def _size(curve: str) -> int:
    return (CURVES[curve].key_size + 7) // 8
