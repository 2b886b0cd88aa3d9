"""Key agreement: the shared secret of two key pairs, by ECDH on the NIST curves, and X25519."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from wakeful.workers.crypto.algorithms import failed


def agreed(private: Any, public: Any) -> bytes:
    """Compute the shared secret of one private key and another party's public key.

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
