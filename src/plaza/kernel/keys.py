"""Public keys that verify signatures, whoever fetched them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class PublicKey(msgspec.Struct, frozen=True):
    """A public key with the one algorithm that it verifies."""

    name: str
    """Of its own: another key never has it, whatever the signer calls it."""
    kid: str | None
    """What the signer calls it."""
    algorithm: str
    verify: Callable[[bytes, bytes], bool]
    """Whether the key made a signature: of (what was signed, the signature)."""
