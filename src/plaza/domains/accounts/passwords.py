"""Passwords: argon2id in threads of its own, never on the event loop, never more at once than the machine bears."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from plaza.kernel.errors import Invalid, Waiting

T = TypeVar("T")

MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
"""The first choice of the OWASP password storage cheat sheet."""
THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Half of the processors at most: the others go on serving."""
MOST_WAITING = 200
"""Jobs that wait for a thread; about five seconds of work."""

UNSEEN = ("Cf", "Mn")
"""Categories of characters that show nothing by themselves."""
COMMON = Path(__file__).parent / "common_passwords.txt"
"""The first of Django's list that would be taken otherwise, by how common they are; its licence stands beside it."""
_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
_THREADS = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
_LETTER_AND_DIGIT = re.compile(r"(?s)(?=.*[^\W\d_])(?=.*\d)")


class Busy(Waiting):
    """More people sign in at this moment than the server can check."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "server.busy"
    message = "Too many people are signing in at this moment; try again shortly."


def _plain(length: int) -> str:
    return base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")


_NOBODYS = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${_plain(16)}${_plain(32)}"
"""The digest of nothing that anybody knows: to verify against it takes as long as against a real one."""
_waiting = 0


def check_strength(password: str, field: str, email: str | None) -> None:
    """`Invalid` for a password without a letter and a digit, a common one, and the owner's address or its local part.

    Its length is the schema's.
    """
    if _LETTER_AND_DIGIT.match(password) is None:
        raise Invalid.field(field, "needs at least a letter and a digit")
    folded = _folded(password)
    if folded in _common():
        raise Invalid.field(field, "is one of the commonest passwords, which are tried first")
    if email is not None and folded in _names(_folded(email)):
        raise Invalid.field(field, "is your e-mail address, which others know")


@cache
def _common() -> frozenset[str]:
    """The 3,000 commonest passwords of eight characters or more with a letter and a digit, folded."""
    return frozenset(COMMON.read_text("utf-8").split())


def _folded(text: str) -> str:
    """A text without what a reader does not see: case, width, marks, invisible characters, space around it."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(letter for letter in folded if unicodedata.category(letter) not in UNSEEN).strip()


def _names(email: str) -> tuple[str, ...]:
    """The address, its local part, and that without a tag."""
    local = email.rpartition("@")[0]
    return email, local, local.partition("+")[0]


async def digest(password: str) -> str:
    """The argon2id digest of a password, with a salt of its own."""
    return await _run(lambda: _HASHER.hash(_bytes(password)))


async def check(password: str, *digests: str | None) -> tuple[bool, ...]:
    """Whether the password is that of each digest: one whole run for each, also for None, which is nobody's."""
    return await _run(lambda: tuple([_fits(password, known) for known in digests]))


def is_outdated(known: str) -> bool:
    """Whether a digest was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(known)


def _fits(password: str, known: str | None) -> bool:
    try:
        return _HASHER.verify(known or _NOBODYS, _bytes(password)) and known is not None
    except (VerificationError, InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    """The same bytes for what looks the same, however a keyboard composes it."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


async def _run(job: Callable[[], T]) -> T:
    global _waiting  # noqa: PLW0603 — one machine, one queue
    if _waiting >= MOST_WAITING:
        raise Busy
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, job)
    finally:
        _waiting -= 1
