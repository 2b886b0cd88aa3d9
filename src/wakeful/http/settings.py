"""The settings of the HTTP side, each with its unit, default and reason.

Errors: ConfigError names the setting, the value, and what would be right.
"""

from __future__ import annotations

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

    def __post_init__(self) -> None:
        for name in ("connections", "header_seconds", "body_bytes", "close_seconds"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"http.{name} must be more than 0, not {value!r}")
        if self.header_bytes < 8192:
            raise ConfigError(f"http.header_bytes must be at least 8192, not {self.header_bytes}")
        if self.admin_token is not None and len(self.admin_token) < 16:
            raise ConfigError("http.admin_token must have at least 16 characters")
