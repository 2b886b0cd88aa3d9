"""RSA keys: read, made and written.

Source:  RFC 8017, RFC 7518 section 6.3; the texts are workerd's.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from wakeful.workers.crypto.algorithms import (
    Algorithm,
    bad_data,
    exponent,
    failed,
    hash_member,
    not_supported,
)
from wakeful.workers.crypto.encodings import export_encoded, private_of, public_of
from wakeful.workers.crypto.jwk import Jwk, check_use, decoded, encoded, jwk_given, written
from wakeful.workers.crypto.keys import CryptoKey, handle_of, pair, usages_of, usages_of_new
from wakeful.workers.crypto.secret_keys import raw_data
from wakeful.workers.proxies import JsBytes, JsDict
from wakeful.workers.values import js_string

JWK_NAMES: Final = {
    "RSASSA-PKCS1-v1_5": {"SHA-1": "RS1", "SHA-256": "RS256", "SHA-384": "RS384"}
    | {"SHA-512": "RS512"},
    "RSA-PSS": {"SHA-1": "PS1", "SHA-256": "PS256", "SHA-384": "PS384", "SHA-512": "PS512"},
    "RSA-OAEP": {"SHA-1": "RSA-OAEP", "SHA-256": "RSA-OAEP-256", "SHA-384": "RSA-OAEP-384"}
    | {"SHA-512": "RSA-OAEP-512"},
}
# What a JSON Web Key calls an algorithm, and the digest that it means.
JWK_HASHES: Final = {
    jwk_name: hash for names in JWK_NAMES.values() for hash, jwk_name in names.items()
}
PRIMES: Final = ("p", "q", "dp", "dq", "qi")
BITS_LEAST: Final = 1024  # that cryptography makes
NOT_ALL: Final = (
    "Invalid RSA private key in JSON Web Key; if one Prime Factor or CRT Exponent/Coefficient "
    'parameter is present, then they must all be present ("p", "q", "dp", "dq", "qi").'
)


def import_rsa(
    name: str, format: str, data: Any, asked: Algorithm, usages: list[str], *, extractable: bool
) -> CryptoKey:
    """A key from pkcs8, spki or a JSON Web Key."""
    hash = asked.hash()
    if format == "jwk":
        jwk = jwk_given(data, name, extractable=extractable)
        kind = "public" if jwk.get("d") is None else "private"
        for_ = usages_of(usages, name, kind)
        handle = _of_jwk(name, jwk, hash, for_)
    elif format in ("pkcs8", "spki"):
        kind = "private" if format == "pkcs8" else "public"
        for_ = usages_of(usages, name, kind)
        handle = (private_of if kind == "private" else public_of)(raw_data(data))
    else:
        raise not_supported(f'Unrecognized key import format "{format}".')
    if not isinstance(handle, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        raise bad_data("Input was not an RSA key.")
    about = _about(name, handle, hash)
    return CryptoKey(kind, handle, about, for_, extractable=extractable)


def generate_rsa(name: str, asked: Algorithm, usages: list[str], *, extractable: bool) -> JsDict:
    """A new pair of keys.

    Raises:
        JsDomException: of a size or with an exponent that there is not.
    """
    for_ = usages_of_new(usages, name)
    hash, bits = asked.hash(), asked.number("modulusLength")
    public = int.from_bytes(asked.data("publicExponent"), "big")
    if bits % 8 or not 256 <= bits <= 16384:
        raise failed(
            "The modulus length must be a multiple of 8 and between 256 and 16k, but "
            f"{bits} was requested."
        )
    if bits < BITS_LEAST:
        raise failed(f"wakeful makes RSA keys of {BITS_LEAST} bits and more, not of {bits}.")
    if public not in (3, 65537):
        raise failed(f'The "publicExponent" must be either 3 or 65537, but got {public}.')
    private = rsa.generate_private_key(public, bits)
    return pair(private, _about(name, private, hash), for_, extractable=extractable)


def export_rsa(key: CryptoKey, format: str) -> JsBytes | JsDict:
    """A key as pkcs8, spki or a JSON Web Key."""
    if format != "jwk":
        return export_encoded(key, format)
    handle = handle_of(key)
    alg = JWK_NAMES[key.name].get(key.algorithm["hash"]["name"])
    if key.type == "public":
        public = handle.public_numbers()
        return written(key, kty="RSA", alg=alg, n=_text(public.n), e=_text(public.e))
    own = handle.private_numbers()
    return written(
        key,
        kty="RSA",
        alg=alg,
        n=_text(own.public_numbers.n),
        e=_text(own.public_numbers.e),
        **{"d": _text(own.d), "p": _text(own.p), "q": _text(own.q)},
        **{"dp": _text(own.dmp1), "dq": _text(own.dmq1), "qi": _text(own.iqmp)},
    )


def _about(name: str, handle: Any, hash: str) -> JsDict:
    public = handle.public_key() if isinstance(handle, rsa.RSAPrivateKey) else handle
    return JsDict(
        name=name,
        modulusLength=handle.key_size,
        publicExponent=exponent(public.public_numbers().e),
        hash=hash_member(hash),
    )


def _of_jwk(name: str, jwk: Jwk, hash: str, usages: list[str]) -> Any:
    if jwk.get("kty") != "RSA":
        raise bad_data(
            'RSASSA-PKCS1-v1_5 "jwk" key import requires a JSON Web Key with Key Type parameter '
            f'"kty" ("{js_string(jwk.get("kty"))}") equal to "RSA".'
        )
    check_use(jwk, usages, "enc" if name == "RSA-OAEP" else "sig")
    _check_alg(jwk.get("alg"), hash)
    wrong = 'Invalid RSA key in JSON Web Key; missing or invalid {} parameter ("{}").'
    n = _number(jwk, "n", wrong.format("Modulus", "n"))
    public = rsa.RSAPublicNumbers(_number(jwk, "e", wrong.format("Exponent", "e")), n)
    try:
        if jwk.get("d") is None:
            return public.public_key()
        return _private_numbers(jwk, public).private_key()
    except ValueError:
        raise bad_data("Invalid RSA key in JSON Web Key.") from None


def _check_alg(said: Any, hash: str) -> None:
    if said is None:
        return
    said = js_string(said)
    if said not in JWK_HASHES:
        raise not_supported(
            f'Unrecognized or unimplemented algorithm "{said}" listed in JSON Web Key '
            "Algorithm parameter."
        )
    if JWK_HASHES[said] != hash:
        raise bad_data(
            f'JSON Web Key Algorithm parameter "alg" ("{said}") does not match requested hash '
            f'algorithm "{said}".'
        )


def _private_numbers(jwk: Jwk, public: rsa.RSAPublicNumbers) -> rsa.RSAPrivateNumbers:
    d = _number(jwk, "d", "Invalid RSA key in JSON Web Key; missing or invalid Private Exponent.")
    if not any(jwk.get(member) is not None for member in PRIMES):
        p, q = rsa.rsa_recover_prime_factors(public.n, public.e, d)
        dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    else:
        p, q, dp, dq, qi = (_number(jwk, member, NOT_ALL) for member in PRIMES)
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public)


def _number(jwk: Jwk, member: str, text: str) -> int:
    return int.from_bytes(decoded(jwk, member, text), "big")


def _text(number: int) -> str:
    return encoded(number.to_bytes((number.bit_length() + 7) // 8, "big"))
