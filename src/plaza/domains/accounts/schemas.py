"""Shapes of built-in accounts (contract, section 1.18 and decision 23)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plaza.kernel.wire import Address, Body, Count, Email, Id, Name, Record, Url, exactly_one

Password = Annotated[str, Meta(min_length=1, max_length=200)]
NewPassword = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=200,
        description="At least a letter and a digit; none of the commonest, and not the address.",
        # Said, not checked here: it is simpler than `passwords.check_strength`, which takes any script's letters.
        extra_json_schema={"pattern": r"[A-Za-z][\s\S]*[0-9]|[0-9][\s\S]*[A-Za-z]"},
    ),
]
Phone = Annotated[str, Meta(max_length=40)]
Code = Annotated[str, Meta(min_length=1, max_length=64, description="The code of the mail; good once.")]
RefreshToken = Annotated[str, Meta(min_length=1, max_length=200)]
Role = Literal["customer", "staff", "admin"]


class SignUp(Body):
    """A new account."""

    email: Address
    password: NewPassword
    first_name: Name = ""
    last_name: Name = ""
    phone: Phone | None = None


class SignIn(Body):
    """An address and its password."""

    email: Address
    password: Password


class Verification(Body):
    """The proof that an address is yours, and a password of your choice.

    `password` may be left out by whoever signed up and sends the token of the sign-up: that password holds then.
    """

    email: Address
    code: Code
    password: NewPassword | None = None


class Refreshing(Body, rename=None):
    """A refresh token, under either of the names that clients use."""

    rules = exactly_one("refresh_token", "refreshToken")

    refresh_token: RefreshToken | None = None
    refreshToken: RefreshToken | None = None  # noqa: N815 — the other name on the wire


class PasswordChange(Body):
    """The password that holds, and the one that shall."""

    current_password: Password
    new_password: NewPassword


class Forgotten(Body):
    """Whose password is forgotten."""

    email: Address


class PasswordReset(Body):
    """The code of the mail, and a password of your choice."""

    email: Address
    code: Code
    new_password: NewPassword


class User(Record):
    """Who is signed in; without an `id` until the address is verified."""

    id: Id | None
    email: Email
    roles: Annotated[list[Role], Meta(max_length=3)]
    first_name: Name
    last_name: Name
    image: Url | None
    phone: Phone | None
    verified: bool


class SignedIn(Record):
    """A token for an hour, and what gets the next one; `expiresIn` is in seconds."""

    token: Annotated[str, Meta(max_length=8_192)]
    refresh_token: RefreshToken
    expires_in: Count
    user: User


class Verified(SignedIn):
    """Signed in with a verified address; without a password the next sign-in needs a new one ("forgot")."""

    has_password: bool
