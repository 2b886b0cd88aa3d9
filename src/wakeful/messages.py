"""What travels to an actor written against the low-level contract: bytes in, bytes out."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True):
    """One message for `ActorBehavior.handle_message`; what the payload means is the actor's."""

    payload: bytes
