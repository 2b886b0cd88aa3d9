"""What the holders of two pairs of keys have in common: ECDH on the curves of NIST, and X25519."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from wakeful.workers.crypto.algorithms import failed


def agreed(private: Any, public: Any) -> bytes:
    """The secret that one's private key and the other's public key give.

    Raises:
        JsDomException: the public key is one that gives no secret.
    """
    try:
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return private.exchange(ec.ECDH(), public)
        secret: bytes = private.exchange(public)
    except ValueError:
        raise failed("Failed to derive EDDH key: public key routines INVALID_PEER_KEY.") from None
    return secret
