"""crypto.subtle: published vectors, what workerd has signed and encrypted, keys out and in."""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.workers.environments import Recorded

from wakeful.workers.proxies import JsException
from wakeful.workers.shims.workers_module import shim_modules

# Keys made for this file by workerd 1.20261117.1, and what it said with them.
BY_WORKERD = json.loads((Path(__file__).parent / "crypto_by_workerd.json").read_text())
SAID = b"said by workerd"

# RFC 7515, appendix A.1 to A.3
CLAIMS = (
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)
HS256 = {
    "kty": "oct",
    "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
}
RS256 = {
    "kty": "RSA",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0"
    "Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5r"
    "exMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXF"
    "vUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e": "AQAB",
    "d": "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2"
    "NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V5"
    "1gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3cc"
    "PDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
}
RS256_SIGNED = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5juj"
    "Gbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7"
    "K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np"
    "6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
ES256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}
ES256_SIGNED = (
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
# RFC 8032, section 7.1, test 1
ED25519 = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
ED25519_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
ED25519_SIGNED = (
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
    "d25bf5f0595bbe24655141438e7a100b"
)
# RFC 7748, section 6.1
X25519_ALICE = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
X25519_BOB = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
X25519_SHARED = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
PKCS8_OF = {
    "Ed25519": "302e020100300506032b657004220420",
    "X25519": "302e020100300506032b656e04220420",
}

RSA = {"modulusLength": 1024, "publicExponent": b"\1\0\1", "hash": "SHA-256"}


@pytest.fixture
def subtle() -> Any:
    return shim_modules(Recorded().environment)["js"].crypto.subtle


def of_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- published vectors -----------------------------------------------------------------------


async def test_tokens_of_rfc_7515(subtle: Any) -> None:
    how = {"name": "HMAC", "hash": "SHA-256"}
    key = await subtle.importKey("jwk", HS256, how, False, ["sign"])
    signed = await subtle.sign(
        "HMAC", key, f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}".encode()
    )
    assert signed == of_text("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")

    how = {"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"}
    token = f"eyJhbGciOiJSUzI1NiJ9.{CLAIMS}".encode()
    key = await subtle.importKey("jwk", RS256, how, True, ["sign"])
    assert await subtle.sign(how, key, token) == of_text(RS256_SIGNED)
    whole = await subtle.exportKey("jwk", key)
    assert (whole["d"], whole.alg, whole.key_ops) == (RS256["d"], "RS256", ["sign"])
    again = await subtle.importKey("jwk", whole, how, True, ["sign"])
    assert await subtle.sign(how, again, token) == of_text(RS256_SIGNED)

    how = {"name": "ECDSA", "hash": "SHA-256", "namedCurve": "P-256"}
    token = f"eyJhbGciOiJFUzI1NiJ9.{CLAIMS}".encode()
    public = {name: value for name, value in ES256.items() if name != "d"}
    key = await subtle.importKey("jwk", public, how, False, ["verify"])
    assert await subtle.verify(how, key, of_text(ES256_SIGNED), token)
    private = await subtle.importKey("jwk", ES256, how, False, ["sign"])
    assert await subtle.verify(how, key, await subtle.sign(how, private, token), token)
    assert not await subtle.verify(how, key, of_text(ES256_SIGNED), token + b".")


async def test_a_service_account_signs_with_the_key_of_its_json(subtle: Any) -> None:
    """Google's JSON has pkcs8 in PEM: code cuts off the lines around it and decodes the rest."""
    made = BY_WORKERD["RSASSA-PKCS1-v1_5"]
    how = {"name": "RSASSA-PKCS1-v1_5", "hash": {"name": "SHA-256"}}
    key = await subtle.importKey("pkcs8", of_text(made["pkcs8"]), how, False, ["sign"])
    assert (key.type, key.algorithm.modulusLength, key.algorithm.hash.name) == (
        *("private", 2048, "SHA-256"),
    )
    assert await subtle.sign(how, key, SAID) == of_text(made["made"])


async def test_ed25519_of_rfc_8032(subtle: Any) -> None:
    data = bytes.fromhex(PKCS8_OF["Ed25519"] + ED25519)
    key = await subtle.importKey("pkcs8", data, "Ed25519", True, ["sign"])
    assert (await subtle.sign("Ed25519", key, b"")).hex() == ED25519_SIGNED
    point = bytes.fromhex(ED25519_PUBLIC)
    public = await subtle.importKey("raw", point, {"name": "Ed25519"}, True, ["verify"])
    assert await subtle.verify("Ed25519", public, bytes.fromhex(ED25519_SIGNED), b"")
    assert not await subtle.verify("Ed25519", public, bytes.fromhex(ED25519_SIGNED), b"x")
    assert await subtle.exportKey("pkcs8", key) == data
    told = await subtle.exportKey("jwk", key)
    assert (told.alg, of_text(told.x).hex()) == ("EdDSA", ED25519_PUBLIC)


async def test_x25519_of_rfc_7748(subtle: Any) -> None:
    data = bytes.fromhex(PKCS8_OF["X25519"] + X25519_ALICE)
    key = await subtle.importKey("pkcs8", data, "X25519", False, ["deriveBits", "deriveKey"])
    bob = await subtle.importKey("raw", bytes.fromhex(X25519_BOB), "X25519", True, [])
    how = {"name": "X25519", "public": bob}
    assert (await subtle.deriveBits(how, key, 256)).hex() == X25519_SHARED
    assert (await subtle.deriveBits(how, key)).hex() == X25519_SHARED
    assert (await subtle.deriveBits(how, key, 12)).hex() == X25519_SHARED[:3] + "0"
    aes = await subtle.deriveKey(how, key, {"name": "AES-GCM", "length": 128}, True, ["encrypt"])
    assert (await subtle.exportKey("raw", aes)).hex() == X25519_SHARED[:32]


async def test_ecdh_of_rfc_7518(subtle: Any) -> None:
    """Appendix C."""
    how = {"name": "ECDH", "namedCurve": "P-256"}
    alice = {
        **{"kty": "EC", "crv": "P-256"},
        "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
        "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
        "d": "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
    }
    bob = {
        **{"kty": "EC", "crv": "P-256"},
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    }
    key = await subtle.importKey("jwk", alice, how, False, ["deriveBits"])
    public = await subtle.importKey("jwk", bob, how, True, [])
    shared = await subtle.deriveBits({**how, "public": public}, key, 256)
    assert shared.hex() == "9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4"


@pytest.mark.parametrize(
    ("how", "key", "plain", "cipher"),
    [
        (  # the GCM specification, test case 2
            {"name": "AES-GCM", "iv": bytes(12)},
            *("00" * 16, "00" * 16),
            "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf",
        ),
        (  # workerd
            {"name": "AES-GCM", "iv": bytes(12), "additionalData": b"aad"},
            *("00" * 16, b"hello".hex(), "6bedb6a20fc4f07856c78e0ae8bac4e0118302f71b"),
        ),
        (  # workerd
            {"name": "AES-GCM", "iv": bytes(12), "tagLength": 32},
            *("00" * 16, b"hello".hex(), "6bedb6a20ffc05f347"),
        ),
        (  # SP 800-38A, F.2.1, and the block of padding
            {"name": "AES-CBC", "iv": bytes(range(16))},
            "2b7e151628aed2a6abf7158809cf4f3c",
            "6bc1bee22e409f96e93d7e117393172a",
            "7649abac8119b246cee98e9b12e9197d8964e0b149c10b7b682e6e39aaeb731c",
        ),
        (  # SP 800-38A, F.5.1
            {"name": "AES-CTR", "counter": bytes(range(240, 256)), "length": 64},
            "2b7e151628aed2a6abf7158809cf4f3c",
            *("6bc1bee22e409f96e93d7e117393172a", "874d6191b620e3261bef6864990db6ce"),
        ),
        (  # workerd: a counter of one bit, which begins again
            {"name": "AES-CTR", "counter": b"\xff" * 16, "length": 1},
            *("00" * 16, "00" * 20, "3f5b8cc9ea855a0afa7347d23e8d664e5c005e72"),
        ),
    ],
)
async def test_aes(subtle: Any, how: Any, key: str, plain: str, cipher: str) -> None:
    usages = ["encrypt", "decrypt"]
    made = await subtle.importKey("raw", bytes.fromhex(key), how["name"], False, usages)
    assert (await subtle.encrypt(how, made, bytes.fromhex(plain))).hex() == cipher
    assert (await subtle.decrypt(how, made, bytes.fromhex(cipher))).hex() == plain


async def test_aes_kw_of_rfc_3394(subtle: Any) -> None:
    by = await subtle.importKey("raw", bytes(range(16)), "AES-KW", False, ["wrapKey", "unwrapKey"])
    data = bytes.fromhex("00112233445566778899aabbccddeeff")
    key = await subtle.importKey("raw", data, "AES-GCM", True, ["encrypt"])
    wrapped = await subtle.wrapKey("raw", key, by, "AES-KW")
    assert wrapped.hex() == "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"
    again = await subtle.unwrapKey("raw", wrapped, by, "AES-KW", "AES-GCM", True, ["decrypt"])
    assert await subtle.exportKey("raw", again) == data


# --- workerd ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in BY_WORKERD if name != "RSA-OAEP"])
async def test_what_workerd_has_signed(subtle: Any, name: str) -> None:
    made, algorithm = BY_WORKERD[name], name.split()[0]
    hash = {"RSA-PSS": "SHA-384", "ECDSA P-384": "SHA-384", "ECDSA P-521": "SHA-512"}.get(name)
    how = {
        **{"name": algorithm, "namedCurve": name[6:], "hash": hash or "SHA-256"},
        "saltLength": 48,
    }
    public = await subtle.importKey("spki", of_text(made["spki"]), how, True, ["verify"])
    assert await subtle.verify(how, public, of_text(made["made"]), SAID)
    assert not await subtle.verify(how, public, of_text(made["made"]), SAID + b"!")
    private = await subtle.importKey("pkcs8", of_text(made["pkcs8"]), how, True, ["sign"])
    assert await subtle.verify(how, public, await subtle.sign(how, private, SAID), SAID)
    assert await subtle.exportKey("pkcs8", private) == of_text(made["pkcs8"])
    assert await subtle.exportKey("spki", public) == of_text(made["spki"])


async def test_what_workerd_has_encrypted(subtle: Any) -> None:
    made, how = BY_WORKERD["RSA-OAEP"], {"name": "RSA-OAEP", "hash": "SHA-256", "label": b"label"}
    key = await subtle.importKey("pkcs8", of_text(made["pkcs8"]), how, False, ["decrypt"])
    assert await subtle.decrypt(how, key, of_text(made["made"])) == SAID
    public = await subtle.importKey("spki", of_text(made["spki"]), how, False, ["encrypt"])
    assert await subtle.decrypt(how, key, await subtle.encrypt(how, public, b"back")) == b"back"


async def test_keys_that_workerd_derives(subtle: Any) -> None:
    key = await subtle.importKey("raw", b"password", "PBKDF2", False, ["deriveKey"])
    how = {"name": "PBKDF2", "hash": "SHA-256", "salt": b"salt", "iterations": 2}
    aes = await subtle.deriveKey(how, key, {"name": "AES-GCM", "length": 256}, True, ["encrypt"])
    assert await subtle.exportKey("raw", aes) == hashlib.pbkdf2_hmac(
        *("sha256", b"password", b"salt", 2, 32)
    )
    mac = {"name": "HMAC", "hash": "SHA-256"}
    made = await subtle.deriveKey(how, key, mac, True, ["sign"])
    assert (made.algorithm.length, len(await subtle.exportKey("raw", made))) == (512, 64)


# --- keys ------------------------------------------------------------------------------------

PAIRS = [
    ({"name": "RSASSA-PKCS1-v1_5", **RSA}, ["sign", "verify"]),
    ({"name": "RSA-PSS", **RSA}, ["sign", "verify"]),
    ({"name": "RSA-OAEP", **RSA}, ["encrypt", "decrypt"]),
    ({"name": "ECDSA", "namedCurve": "P-256"}, ["sign", "verify"]),
    ({"name": "ECDSA", "namedCurve": "P-521"}, ["sign", "verify"]),
    ({"name": "ECDH", "namedCurve": "P-384"}, ["deriveBits"]),
    ({"name": "Ed25519"}, ["sign", "verify"]),
    ({"name": "X25519"}, ["deriveBits"]),
]


@pytest.mark.parametrize(("how", "usages"), PAIRS, ids=lambda it: str(it)[:45])
async def test_pairs_leave_and_come_back(subtle: Any, how: Any, usages: list[str]) -> None:
    made = await subtle.generateKey(how, True, usages)
    private, public = made.privateKey, made.publicKey
    assert (private.type, public.type, private.algorithm.name) == ("private", "public", how["name"])
    for key, formats in ((private, ("pkcs8", "jwk")), (public, ("spki", "jwk", "raw"))):
        for format in formats:
            if format == "raw" and "modulusLength" in how:
                continue
            data = await subtle.exportKey(format, key)
            again = await subtle.importKey(format, data, how, True, list(key.usages))
            assert (again.type, again.usages) == (key.type, key.usages)
            assert again.algorithm == key.algorithm
            assert await subtle.exportKey(format, again) == data


@pytest.mark.parametrize("name", ["AES-GCM", "AES-CBC", "AES-CTR", "AES-KW", "HMAC"])
async def test_secret_keys_leave_and_come_back(subtle: Any, name: str) -> None:
    how = {"name": name, "length": 256, "hash": "SHA-1"}
    usages = {"AES-KW": ["wrapKey"], "HMAC": ["sign"]}.get(name, ["encrypt"])
    key = await subtle.generateKey(how, True, usages)
    for format in ("raw", "jwk"):
        data = await subtle.exportKey(format, key)
        again = await subtle.importKey(format, data, how, False, usages)
        assert (again.algorithm, again.extractable) == (key.algorithm, False)
    assert list(data) == ["kty", "key_ops", "alg", "ext", "k"]


async def test_a_key_in_a_json_web_key_that_is_encrypted(subtle: Any) -> None:
    made = await subtle.generateKey({"name": "ECDSA", "namedCurve": "P-256"}, True, ["sign"])
    how = {"name": "AES-GCM", "iv": bytes(12)}
    usages = ["wrapKey", "unwrapKey", "decrypt"]
    by = await subtle.importKey("raw", bytes(16), "AES-GCM", False, usages)
    wrapped = await subtle.wrapKey("jwk", made.privateKey, by, how)
    assert json.loads(await subtle.decrypt(how, by, wrapped))["crv"] == "P-256"
    ecdsa = {"name": "ECDSA", "namedCurve": "P-256"}
    again = await subtle.unwrapKey("jwk", wrapped, by, how, ecdsa, True, ["sign"])
    first, second = [await subtle.exportKey("pkcs8", key) for key in (made.privateKey, again)]
    assert first == second


async def test_a_key_is_in_no_text(subtle: Any) -> None:
    key = await subtle.importKey(
        "raw", b"secret!!", {"name": "HMAC", "hash": "SHA-256"}, True, ["sign"]
    )
    assert (repr(key), str(key)) == ("<CryptoKey secret HMAC>", "<CryptoKey secret HMAC>")
    with pytest.raises(JsException) as caught:
        await subtle.encrypt("AES-GCM", key, b"")
    assert "secret!!" not in caught.value.message


# --- without the package ---------------------------------------------------------------------


PARTS = ("agreement", "ciphers", "curve_keys", "encodings", "rsa_keys", "signing")


async def test_without_cryptography_an_error_says_what_to_install(
    subtle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith("cryptography."):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for part in PARTS:
        monkeypatch.delitem(sys.modules, f"wakeful.workers.crypto.{part}", raising=False)
    key = await subtle.importKey("raw", bytes(16), "AES-GCM", False, ["encrypt"])
    for call in (
        subtle.encrypt({"name": "AES-GCM", "iv": bytes(12)}, key, b""),
        subtle.importKey("pkcs8", b"", {"name": "RSA-PSS"}, False, ["sign"]),
        subtle.generateKey("Ed25519", False, ["sign"]),
    ):
        with pytest.raises(JsException, match=r'pip install "wakeful\[crypto\]"') as caught:
            await call
        assert caught.value.name == "NotSupportedError"
