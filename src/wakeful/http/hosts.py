"""What a Host header says: a name, whether it is well formed, and whether it is this machine's.

Source: RFC 9112 3.2, RFC 6761 6.3 (everything below .localhost is loopback).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

# Other characters would make a URL parser see a user, a path or a query.
HOST: Final = re.compile(r"([\w.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII)
LOCALHOST: Final = "localhost"


def name_of(host: str) -> str | None:
    """The name in a Host header, in lower case, without the port; None if it is malformed."""
    found = HOST.fullmatch(host)
    return found[1].lower() if found else None


def is_address(name: str) -> bool:
    """Whether a name is an IP address (IPv6 in brackets); DNS rebinding cannot use an address."""
    return _address(name) is not None


def is_here(name: str) -> bool:
    """Whether a name means the machine that looks it up (localhost, loopback addresses)."""
    if name == LOCALHOST or name.endswith("." + LOCALHOST):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return IPv6Address(name[1:-1]) if name.startswith("[") else IPv4Address(name)
    except ValueError:
        return None
