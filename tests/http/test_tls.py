"""The built-in server with a certificate: HTTPS, and nothing else."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.http.actors import Counter

import wakeful
from wakeful import ConfigError, HttpSettings, Runtime


def certificate(directory: Path, password: bytes | None = None) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wakeful")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    locked = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    return cert_file, key_file


async def test_a_call_over_https(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    settings = HttpSettings(tls_cert=cert, tls_key=key)
    trusted = ssl.create_default_context(cafile=str(cert))
    async with Runtime(tmp_path / "data", actors=[Counter]) as rt:
        async with rt.serve(port=0, settings=settings) as server:
            assert server.url.startswith("https://127.0.0.1:")
            async with httpx2.AsyncClient(verify=trusted) as http:
                answer = await http.post(f"{server.url}/actors/Counter/c/increment")
                assert answer.json() == 1
            with pytest.raises(httpx2.HTTPError):
                async with httpx2.AsyncClient() as http:
                    await http.get(f"http://127.0.0.1:{server.port}/_wakeful/health")
        with pytest.raises(wakeful.Unreachable):
            async with wakeful.connect(server.url) as client:
                await client.get(Counter, "c").get()


@pytest.mark.parametrize("given", ["tls_cert", "tls_key"])
def test_half_of_a_pair_is_refused(tmp_path: Path, given: str) -> None:
    cert, _ = certificate(tmp_path)
    with pytest.raises(ConfigError, match=f"http.{given} is set and .* is not"):
        HttpSettings(**{given: cert})  # type: ignore[arg-type]


def test_files_that_are_no_pair_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (cert, key), (_, other) = certificate(tmp_path / "a"), certificate(tmp_path / "b")
    HttpSettings(tls_cert=cert, tls_key=key)
    for wrong in (other, cert, tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match="cannot be used"):
            HttpSettings(tls_cert=cert, tls_key=wrong)


def test_a_key_with_a_password_is_refused_in_words(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, b"secret")
    with pytest.raises(ConfigError, match="the key is encrypted"):
        HttpSettings(tls_cert=cert, tls_key=key)
