"""Signers: who vouches for a person; a subject is unique for its signer alone (contract, decision 36)."""

from __future__ import annotations

from typing import Literal

PLAZA = "plaza"
"""This server itself: built-in accounts."""
HOST = "host"
"""All keys of the organisation itself, across rotation. Any other signer is a key set, named as in `org_key.signer`."""
Role = Literal["customer", "staff", "admin"]
ROLES: tuple[Role, ...] = ("customer", "staff", "admin")
RESERVED = ("account:", "plaza:")
"""How the subjects begin that this server alone gives."""


def reserved(subject: str) -> bool:
    """Whether a subject is one that no signer but this server may name, in any capitals."""
    return subject.lstrip()[:8].lower().startswith(RESERVED)
