"""The settings of the HTTP side, each with its unit, default and reason.

Errors: ConfigError names the setting, the value, and what would be right.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec

from wakeful.errors import ConfigError


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may call over HTTP, and what a connection may cost.

    Attributes:
        allowed_origins: web origins whose pages may call actors from a browser, as browsers write
            them: "https://app.example". Pages of other sites are refused (403).
        allowed_hosts: names in the Host header that are ours, without ports. Listening on loopback,
            localhost, names below .localhost and the loopback addresses are always ours and all
            other names are refused (403), so that a foreign page cannot reach actors by pointing
            its own name here (DNS rebinding). Listening elsewhere, every name is accepted unless
            there is a list; addresses are, even if there is one.
        own_hosts_only: other names than those are refused wherever it listens, list or not:
            what `wakeful dev` does.
        admin_token: with it, `Authorization: Bearer <token>` opens /_wakeful/actors on every
            address; without, that is open on loopback and closed elsewhere.
        connections: open connections; more wait in the operating system's queue.
        header_seconds: how long a client may take to send the head of a request, and how long a
            connection may be idle between two (nginx: client_header_timeout 60 s).
        header_bytes: the largest head of a request (431); there are at most 100 headers.
        body_bytes: bodies of more than 16 KiB, together, until they are answered; one more is
            refused (503), so that many large ones at once cannot fill the memory. Of those that a
            Worker gets chunk by chunk counts what it has read whole.
        close_seconds: how long `close` waits for requests under way; when the runtime closes, no
            longer than `limits.shutdown_seconds`.
        tls_cert: a file with the server's certificate and those it is signed by, PEM; with it and
            `tls_key` the built-in server speaks HTTPS (TLS 1.2 and 1.3) and nothing else.
        tls_key: a file with the certificate's private key, PEM, not encrypted.
    """

    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    own_hosts_only: bool = False
    admin_token: str | None = None
    connections: int = 20_000
    header_seconds: float = 30.0
    header_bytes: int = 64 * 1024
    body_bytes: int = 256 * 1024 * 1024
    close_seconds: float = 10.0
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        for name in ("connections", "header_seconds", "body_bytes", "close_seconds"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"http.{name} must be more than 0, not {value!r}")
        if self.header_bytes < 8192:
            raise ConfigError(f"http.header_bytes must be at least 8192, not {self.header_bytes}")
        if self.admin_token is not None and len(self.admin_token) < 16:
            raise ConfigError("http.admin_token must have at least 16 characters")
        self._check_tls()

    def _check_tls(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = (
                ("tls_key", "tls_cert") if self.tls_cert is None else ("tls_cert", "tls_key")
            )
            raise ConfigError(f"http.{given} is set and http.{missing} is not: TLS needs both")
        if self.tls_cert is None or self.tls_key is None:
            return
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls_cert, self.tls_key, _no_password)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise ConfigError(
                f"http.tls_cert and http.tls_key ({self.tls_cert}, {self.tls_key}) cannot be used: "
                f"{error}"
            ) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted: store it without a password, readable by you alone")
