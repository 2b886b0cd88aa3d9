"""crypto.subtle: what it refuses, in the names and texts of workerd 1.20261117.1."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.workers.environments import Recorded

from wakeful.workers.proxies import JsException, JsTypeError
from wakeful.workers.shims.workers_module import shim_modules

DATA = b"x"
HMAC = {"name": "HMAC", "hash": "SHA-256"}
GCM = {"name": "AES-GCM", "iv": bytes(12)}
ECDSA = {"name": "ECDSA", "namedCurve": "P-256"}
ECDH = {"name": "ECDH", "namedCurve": "P-256"}
RSA = {
    "name": "RSASSA-PKCS1-v1_5",
    "hash": "SHA-256",
    "modulusLength": 1024,
    "publicExponent": b"\1\0\1",
}
PBKDF2 = {"name": "PBKDF2", "hash": "SHA-256", "salt": b"salt", "iterations": 2}
HKDF = {"name": "HKDF", "hash": "SHA-256", "salt": b"salt", "info": b""}

NO_USE = "SyntaxError: Secret/private CryptoKeys must have at least one usage."
NO_PRIVATE_USE = (
    "SyntaxError: Attempt to generate asymmetric keys with no valid private key usages."
)
NO_DIGEST = "NotSupportedError: Unrecognized or unimplemented digest algorithm requested."
NOT_DECRYPTED = (
    "OperationError: Decryption failed. This could be due to a ciphertext authentication failure, "
    "bad padding, incorrect CryptoKey, or another algorithm-specific reason. Input length was {}, "
    "output length expected to be {} for {}"
)


@pytest.fixture
def subtle() -> Any:
    return shim_modules(Recorded().environment)["js"].crypto.subtle


def raw(how: Any, usages: list[str], data: bytes = bytes(16), out: bool = False) -> Any:
    return lambda s: s.importKey("raw", data, how, out, usages)


def jwk(how: Any, usages: list[str], **members: Any) -> Any:
    return lambda s: s.importKey("jwk", members, how, True, usages)


def made(how: Any, usages: list[str]) -> Any:
    return lambda s: s.generateKey(how, True, usages)


def with_key(key: Any, use: Callable[[Any, Any], Any]) -> Any:
    async def call(s: Any) -> Any:
        return await use(s, await key(s))

    return call


MAC = raw(HMAC, ["sign", "verify"])
SECRET = raw("PBKDF2", ["deriveBits", "deriveKey"])
INPUT = raw("HKDF", ["deriveBits"])
EC_PAIR, DH_PAIR, RSA_PAIR = made(ECDSA, ["sign"]), made(ECDH, ["deriveBits"]), made(RSA, ["sign"])


def ciphered(what: str, how: dict[str, Any], data: bytes = DATA) -> Any:
    key = raw(how["name"], ["encrypt", "decrypt"])
    return with_key(key, lambda s, k: getattr(s, what)(how, k, data))


def again(pair: Any, half: str, how: Any, usages: list[str], **members: Any) -> Any:
    """A JSON Web Key of a pair, with members changed, imported."""

    async def call(s: Any, pair: Any) -> Any:
        told = {**await s.exportKey("jwk", pair[half]), **members}
        return await s.importKey("jwk", told, how, True, usages)

    return with_key(pair, call)


def exported(pair: Any, half: str, format: str) -> Any:
    return with_key(pair, lambda s, it: s.exportKey(format, it[half]))


def bits(key: Any, how: Any, length: int | None) -> Any:
    return with_key(key, lambda s, k: s.deriveBits(how, k, length))


def agreed(length: int | None, how: Any = ECDH, half: str = "publicKey") -> Any:
    async def call(s: Any, pair: Any) -> Any:
        other = await s.generateKey(
            how, True, ["sign" if "ECDSA" in how.values() else "deriveBits"]
        )
        return await s.deriveBits({**ECDH, "public": other[half]}, pair.privateKey, length)

    return with_key(DH_PAIR, call)


REFUSED: list[tuple[str, Any]] = [
    # --- algorithms and arguments
    (
        'NotSupportedError: Unrecognized key import algorithm "FOO" requested.',
        raw("FOO", []),
    ),
    (
        'NotSupportedError: Unrecognized key import algorithm "undefined" requested.',
        raw({}, []),
    ),
    ('NotSupportedError: Unrecognized key generation algorithm "FOO" requested.', made("FOO", [])),
    (
        'NotSupportedError: Unrecognized key generation algorithm "PBKDF2" requested.',
        made("PBKDF2", ["deriveBits"]),
    ),
    (
        "TypeError: Failed to execute 'sign' on 'SubtleCrypto': parameter 2 is not of type "
        "'CryptoKey'.",
        lambda s: s.sign("HMAC", "key", DATA),
    ),
    (
        "TypeError: Failed to execute 'sign' on 'SubtleCrypto': parameter 3 is not of type "
        "'BufferSource'.",
        with_key(MAC, lambda s, k: s.sign("HMAC", k, "text")),
    ),
    (
        "TypeError: Failed to execute 'importKey' on 'SubtleCrypto': parameter 5 is not of type "
        "'Array'.",
        lambda s: s.importKey("raw", DATA, HMAC, False, None),
    ),
    (NO_DIGEST, lambda s: s.digest("SHA-3", b"")),
    # --- secret keys
    ('TypeError: Missing field "hash" in "algorithm".', raw("HMAC", ["sign"])),
    (NO_DIGEST, raw({"name": "HMAC", "hash": "x"}, ["sign"])),
    (
        'SyntaxError: Attempt to import secret HMAC key with invalid usage "encrypt".',
        raw(HMAC, ["encrypt"]),
    ),
    (NO_USE, raw(HMAC, [])),
    (
        "DataError: Imported HMAC key length (0) must be a non-zero value up to 7 bits less than, "
        "and no greater than, the bit length of the raw key data (0).",
        raw(HMAC, ["sign"], b""),
    ),
    (
        'NotSupportedError: Unrecognized key import format "pkcs8".',
        lambda s: s.importKey("pkcs8", DATA, HMAC, False, ["sign"]),
    ),
    (
        "InvalidAccessError: Attempt to export non-extractable HMAC key.",
        with_key(MAC, lambda s, k: s.exportKey("raw", k)),
    ),
    (
        'NotSupportedError: Unimplemented key export format "pkcs8".',
        with_key(raw(HMAC, ["sign"], out=True), lambda s, k: s.exportKey("pkcs8", k)),
    ),
    (
        "OperationError: HMAC key length must be a non-zero unsigned long integer (requested 0).",
        made({**HMAC, "length": 0}, ["sign"]),
    ),
    (
        'DataError: HMAC "jwk" key import requires a JSON Web Key with Key Type parameter ("kty") '
        'equal to "oct" (encountered "RSA").',
        jwk(HMAC, ["sign"], kty="RSA", k="AAAA"),
    ),
    (
        'DataError: HMAC "jwk" key import specifies "alg" that is incompatible with the hash name '
        '(encountered "HS384", expected "HS256").',
        jwk(HMAC, ["sign"], kty="oct", k="AAAA", alg="HS384"),
    ),
    (
        'DataError: HMAC "jwk" key import requires a base64Url encoding of the key',
        jwk(HMAC, ["sign"], kty="oct", k="$$$"),
    ),
    (
        'DataError: JWK ext field for "HMAC" is set to false but extractable is true',
        jwk(HMAC, ["sign"], kty="oct", k="AAAA", ext=False),
    ),
    (
        'TypeError: Import data provided for "jwk" import format must be a JsonWebKey.',
        lambda s: s.importKey("jwk", DATA, HMAC, True, ["sign"]),
    ),
    (
        "TypeError: Import data provided for buffer-based import formats must be a buffer source.",
        raw(HMAC, ["sign"], {}),  # type: ignore[arg-type]
    ),
    (
        "DataError: Imported AES key length must be 128, 192, or 256 bits but provided 136.",
        raw("AES-GCM", ["encrypt"], bytes(17)),
    ),
    (
        "OperationError: Generated AES key length must be 128, 192, or 256 bits but requested 100.",
        made({"name": "AES-CBC", "length": 100}, ["encrypt"]),
    ),
    (
        'DataError: Symmetric "jwk" key contains invalid "alg" value "A256GCM", expected '
        '"A128CTR".',
        jwk("AES-CTR", ["encrypt"], kty="oct", k="A" * 22, alg="A256GCM"),
    ),
    (
        'SyntaxError: Attempt to generate AES-KW key with invalid usage "sign".',
        made({"name": "AES-KW", "length": 128}, ["sign"]),
    ),
    (NO_USE, made({"name": "AES-GCM", "length": 128}, [])),
    (
        "SyntaxError: PBKDF2 key cannot be extractable.",
        raw("PBKDF2", ["deriveBits"], out=True),
    ),
    (
        'NotSupportedError: HKDF key must be imported in "raw" format (requested "pkcs8")',
        lambda s: s.importKey("pkcs8", DATA, "HKDF", False, ["deriveBits"]),
    ),
    # --- uses
    (
        'InvalidAccessError: Requested algorithm "ECDSA" does not match this CryptoKey\'s '
        'algorithm "HMAC".',
        with_key(MAC, lambda s, k: s.sign("ECDSA", k, DATA)),
    ),
    (
        'InvalidAccessError: Requested key usage "verify" does not match any usage listed in this '
        "CryptoKey.",
        with_key(raw(HMAC, ["sign"]), lambda s, k: s.verify("HMAC", k, DATA, DATA)),
    ),
    (
        'InvalidAccessError: Requested key usage "encrypt" does not match any usage listed in this '
        "CryptoKey.",
        with_key(MAC, lambda s, k: s.encrypt("HMAC", k, DATA)),
    ),
    # --- ciphers
    ('TypeError: Missing field "iv" in "algorithm".', ciphered("encrypt", {"name": "AES-GCM"})),
    ("OperationError: AES-GCM IV must not be empty.", ciphered("encrypt", {**GCM, "iv": b""})),
    (
        "OperationError: Invalid AES-GCM tag length 100.",
        ciphered("encrypt", {**GCM, "tagLength": 100}),
    ),
    (NOT_DECRYPTED.format(16, 16, "AES-GCM"), ciphered("decrypt", GCM, bytes(32))),
    (
        "OperationError: Ciphertext length of 64 bits must be greater than or equal to the size of "
        "the AES-GCM tag length of 128 bits.",
        ciphered("decrypt", GCM, bytes(8)),
    ),
    (
        "OperationError: AES-CBC IV must be 16 bytes long (provided 12 bytes).",
        ciphered("encrypt", {"name": "AES-CBC", "iv": bytes(12)}),
    ),
    *(
        (
            NOT_DECRYPTED.format(size, out, "AES-CBC"),
            ciphered("decrypt", {"name": "AES-CBC", "iv": bytes(16)}, bytes(size)),
        )
        for size, out in ((0, 0), (15, 0), (16, 0), (32, 16), (33, 32))
    ),
    (
        "OperationError: Counter must have length of 16 bytes (provided 12).",
        ciphered("encrypt", {"name": "AES-CTR", "counter": bytes(12), "length": 64}),
    ),
    (
        "OperationError: Invalid counter of 129 bits length provided.",
        ciphered("encrypt", {"name": "AES-CTR", "counter": bytes(16), "length": 129}),
    ),
    (
        "OperationError: Counter block values will repeat.",
        ciphered("encrypt", {"name": "AES-CTR", "counter": bytes(16), "length": 1}, bytes(40)),
    ),
    (
        'TypeError: Missing "length" member in "algorithm".',
        ciphered("encrypt", {"name": "AES-CTR", "counter": bytes(16)}),
    ),
    # --- bits
    (
        "OperationError: PBKDF2 requires a derived key length that is a multiple of eight "
        "(requested 7).",
        bits(SECRET, PBKDF2, 7),
    ),
    (
        "OperationError: PBKDF2 cannot derive a key with null length.",
        bits(SECRET, PBKDF2, None),
    ),
    (
        "OperationError: PBKDF2 requires a positive iteration count (requested 0).",
        bits(SECRET, {**PBKDF2, "iterations": 0}, 128),
    ),
    (
        "TypeError: Value out of range. Must be between -2147483648 and 2147483647 (inclusive).",
        bits(SECRET, {**PBKDF2, "iterations": 2**31}, 128),
    ),
    (
        "OperationError: PBKDF2 requires a positive iteration count (requested 0).",
        bits(SECRET, {**PBKDF2, "iterations": "many"}, 128),
    ),
    ('TypeError: Missing field "salt" in "algorithm".', bits(INPUT, {**HKDF, "salt": None}, 128)),
    ("OperationError: HKDF deriveBits failed.", bits(INPUT, HKDF, 255 * 256 + 8)),
    (
        "OperationError: Derived AES key must be 128, 192, or 256 bits in length but provided 100.",
        with_key(
            SECRET,
            lambda s, k: s.deriveKey(PBKDF2, k, {"name": "AES-GCM", "length": 100}, True, []),
        ),
    ),
    (
        'NotSupportedError: Unrecognized derived key type "FOO" requested.',
        with_key(SECRET, lambda s, k: s.deriveKey(PBKDF2, k, "FOO", True, [])),
    ),
    (
        'TypeError: Missing field "length" in "derivedKeyParams".',
        with_key(SECRET, lambda s, k: s.deriveKey(PBKDF2, k, "AES-GCM", True, ["encrypt"])),
    ),
    (
        "OperationError: Derived key length (257 bits) is too long (should be at most 256 bits).",
        agreed(257),
    ),
    (
        'InvalidAccessError: The provided key has type "private", not "public"',
        agreed(128, half="privateKey"),
    ),
    (
        'InvalidAccessError: Private key for derivation is using "ECDH" while public key is using '
        '"ECDSA".',
        agreed(128, ECDSA),
    ),
    (
        'InvalidAccessError: Private key for derivation is using curve "P-256" while public key is '
        'using "P-384".',
        agreed(128, {"name": "ECDH", "namedCurve": "P-384"}),
    ),
    (
        'TypeError: Missing field "public" in "derivedKeyParams".',
        with_key(DH_PAIR, lambda s, it: s.deriveBits(ECDH, it.privateKey, 128)),
    ),
    # --- pairs
    (NO_PRIVATE_USE, made(ECDSA, ["verify"])),
    (NO_PRIVATE_USE, made(RSA, [])),
    (
        'SyntaxError: Attempt to generate ECDH key with invalid usage "encrypt".',
        made(ECDH, ["encrypt"]),
    ),
    (
        'NotSupportedError: Unrecognized or unimplemented EC curve "foo" requested.',
        made({"name": "ECDSA", "namedCurve": "foo"}, ["sign"]),
    ),
    ('TypeError: Missing field "namedCurve" in "algorithm".', made("ECDSA", ["sign"])),
    (
        "OperationError: The modulus length must be a multiple of 8 and between 256 and 16k, but "
        "1025 was requested.",
        made({**RSA, "modulusLength": 1025}, ["sign"]),
    ),
    (
        'OperationError: The "publicExponent" must be either 3 or 65537, but got 4.',
        made({**RSA, "publicExponent": b"\4"}, ["sign"]),
    ),
    (
        'InvalidAccessError: Asymmetric pkcs8 export requires private key (not "public").',
        exported(RSA_PAIR, "publicKey", "pkcs8"),
    ),
    (
        'InvalidAccessError: Asymmetric spki export requires public key (not "private").',
        exported(EC_PAIR, "privateKey", "spki"),
    ),
    (
        'InvalidAccessError: Cannot export "RSASSA-PKCS1-v1_5" in "raw" format.',
        exported(RSA_PAIR, "publicKey", "raw"),
    ),
    (
        "InvalidAccessError: Raw export of elliptic curve keys is only allowed for public keys.",
        exported(EC_PAIR, "privateKey", "raw"),
    ),
    (
        "DataError: Invalid PKCS8 input.",
        lambda s: s.importKey("pkcs8", b"junk", RSA, False, ["sign"]),
    ),
    (
        "DataError: Invalid SPKI input.",
        lambda s: s.importKey("spki", b"junk", "Ed25519", False, ["verify"]),
    ),
    (
        "DataError: Failed to import raw EC key data: Invalid point encoding..",
        raw(ECDSA, ["verify"], bytes(65)),
    ),
    (
        "DataError: Failed to import raw EC key data: Point is not on curve..",
        raw(ECDSA, ["verify"], b"\4" + b"\7" * 64),
    ),
    (
        "DataError: Ed25519 raw keys must be exactly 32-bytes (provided 5).",
        raw("Ed25519", ["verify"], bytes(5)),
    ),
    (
        'SyntaxError: Attempt to import public ECDSA key with invalid usage "sign".',
        raw(ECDSA, ["sign"], bytes(65)),
    ),
    (
        'DataError: Elliptic curve "jwk" key import requires a JSON Web Key with Key Type '
        'parameter "kty" ("RSA") equal to "EC".',
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], kty="RSA"),
    ),
    (
        'DataError: JSON Web Key Algorithm parameter "alg" ("ES384") does not match requested '
        "curve.",
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], alg="ES384"),
    ),
    (
        "DataError: All specified key usages must be present in the JSON Web Key's Key Operations "
        'parameter ("key_ops").',
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], key_ops=["encrypt"]),
    ),
    (
        'TypeError: "key_ops" of a JSON Web Key is an array.',
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], key_ops=5),
    ),
    (
        'DataError: Asymmetric "jwk" key import with usages requires a JSON Web Key with Public '
        'Key Use parameter "use" ("enc") equal to "sig".',
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], use="enc"),
    ),
    (
        'DataError: Invalid EC key in JSON Web Key; missing "x".',
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], x=None),
    ),
    (
        'OperationError: Invalid EC key; public key coordinates "x" and "y" are invalid: Point is '
        "not on curve..",
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], x="AAAA"),
    ),
    (
        'OperationError: Invalid EC key; private key component "d" is invalid.',
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], d="AAAA"),
    ),
    (
        "DataError: Invalid EC key in JSON Web Key.",
        again(EC_PAIR, "privateKey", ECDSA, ["sign"], d="A" * 42 + "E"),
    ),
    (
        'DataError: JSON Web Key Algorithm parameter "alg" ("RS384") does not match requested hash '
        'algorithm "RS384".',
        again(RSA_PAIR, "privateKey", RSA, ["sign"], alg="RS384"),
    ),
    (
        'NotSupportedError: Unrecognized or unimplemented algorithm "" listed in JSON Web Key '
        "Algorithm parameter.",
        again(RSA_PAIR, "privateKey", RSA, ["sign"], alg=[]),
    ),
    (
        'DataError: Invalid RSA key in JSON Web Key; missing or invalid Modulus parameter ("n").',
        again(RSA_PAIR, "privateKey", RSA, ["sign"], n="$$"),
    ),
    (
        "DataError: Invalid RSA private key in JSON Web Key; if one Prime Factor or CRT "
        "Exponent/Coefficient parameter is present, then they must all be present "
        '("p", "q", "dp", "dq", "qi").',
        again(RSA_PAIR, "privateKey", RSA, ["sign"], qi=None),
    ),
    (
        'NotSupportedError: Only Ed25519 is supported but "P-384" was requested.',
        again(made("Ed25519", ["sign"]), "privateKey", "Ed25519", ["sign"], crv="P-384"),
    ),
    (
        "DataError: Invalid length 3 for private key",
        again(made("X25519", ["deriveBits"]), "privateKey", "X25519", ["deriveBits"], d="AAAA"),
    ),
    # --- signatures
    (
        'TypeError: Missing "hash" in AlgorithmIdentifier. (ECDSA requires that the hash algorithm '
        "be specified at call time rather than on the key. This differs from other WebCrypto "
        "algorithms for historical reasons.)",
        with_key(EC_PAIR, lambda s, it: s.sign("ECDSA", it.privateKey, DATA)),
    ),
    (
        "OperationError: Invalid Ed25519 signature length 1",
        with_key(
            made("Ed25519", ["sign", "verify"]),
            lambda s, it: s.verify("Ed25519", it.publicKey, DATA, DATA),
        ),
    ),
    *(
        (
            told,
            with_key(
                made({**RSA, "name": "RSA-PSS"}, ["sign"]),
                lambda s, it, salt=salt: s.sign(
                    {"name": "RSA-PSS", "saltLength": salt}, it.privateKey, DATA
                ),
            ),
        )
        for salt, told in (
            (
                None,
                "DataError: Failed to provide salt for RSA-PSS key operation which requires a salt",
            ),
            (1000, "OperationError: key too small for signing with given digest and salt length"),
            (-1, "DataError: SaltLength for RSA-PSS must be non-negative (provided -1)."),
        )
    ),
    *(
        (
            "OperationError: RSA-OAEP failed encrypt/decrypt.",
            with_key(
                made({**RSA, "name": "RSA-OAEP"}, ["encrypt", "decrypt"]),
                lambda s, it, what=what: getattr(s, what)(
                    "RSA-OAEP", it["publicKey" if what == "encrypt" else "privateKey"], bytes(128)
                ),
            ),
        )
        for what in ("encrypt", "decrypt")
    ),
    # --- wrapping
    (
        "OperationError: AES-KW key unwrapping failed.",
        with_key(
            raw("AES-KW", ["unwrapKey"]),
            lambda s, k: s.unwrapKey("raw", bytes(24), k, "AES-KW", HMAC, True, ["sign"]),
        ),
    ),
    (
        "OperationError: Unwrapped key bit length must be a multiple of 64 bits but unwrapped key "
        "has a length of 24 bits.",
        with_key(
            raw("AES-KW", ["wrapKey"]),
            lambda s, k: with_key(
                raw(HMAC, ["sign"], b"abc", out=True),
                lambda s, it: s.wrapKey("raw", it, k, "AES-KW"),
            )(s),
        ),
    ),
]


@pytest.mark.parametrize(("told", "call"), REFUSED, ids=[told[:60] for told, _ in REFUSED])
async def test_what_is_refused(subtle: Any, told: str, call: Any) -> None:
    with pytest.raises(JsException) as caught:
        await call(subtle)
    assert f"{caught.value.name}: {caught.value.message}" == told


async def test_bytes_behind_a_key(subtle: Any) -> None:
    pair = await subtle.generateKey(ECDSA, True, ["sign"])
    data = await subtle.exportKey("pkcs8", pair.privateKey)
    with pytest.raises(JsException, match="Invalid 1 trailing bytes after PKCS8 input"):
        await subtle.importKey("pkcs8", data + b"\0", ECDSA, False, ["sign"])
    other = {**ECDSA, "namedCurve": "P-384"}
    with pytest.raises(JsException, match='"P-384" does not match the curve specified'):
        await subtle.importKey("pkcs8", data, other, False, ["sign"])
    with pytest.raises(JsException, match="Input was not an RSA key"):
        await subtle.importKey("pkcs8", data, RSA, False, ["sign"])


def test_buffers_of_one_length_are_compared(subtle: Any) -> None:
    assert not subtle.timingSafeEqual(b"a", b"b")
    with pytest.raises(JsTypeError, match="same byte length"):
        subtle.timingSafeEqual(b"a", b"ab")
    with pytest.raises(JsTypeError, match="parameter 1 is not of type 'BufferSource'"):
        subtle.timingSafeEqual("a", b"a")
