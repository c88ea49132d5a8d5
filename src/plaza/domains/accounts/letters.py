"""The words of the mails about accounts; nothing that a stranger typed is in them but the address itself.

A letter never tells more than the owner of the address may know, and its links begin with `SITE`, which the postman
replaces by the address of the server: a request's `Host` cannot lead anybody astray.
"""

from __future__ import annotations

from urllib.parse import urlencode

from plaza.kernel.context import Organisation

SITE = "{site}"
Letters = dict[str, dict[str, str]]
"""Subject and text by the letter's name; the statement that posts one chooses which."""


def to_sign_up(org: Organisation, address: str, code: str) -> Letters:
    """What a sign-up may answer to its address: `fresh`, `contested`, `known`, `elsewhere`."""
    name = _name(org)
    link = _link("verify", org, address, code)
    ask = f"""somebody, probably you, signed up at {name} with this e-mail address.

To verify it, open

    {link}

or enter this code: {code}

The code is good once, for 24 hours."""
    own = """Where you signed up, your password holds. Anywhere else choose one when you verify: only the owner of the
address does, so that nobody signs in with a password of somebody else."""
    calm = "If it was not you, do nothing: without the code nobody can use the account."
    often = "Somebody signed up here more than once, with different passwords; only the last one can hold."
    return {
        "fresh": _letter(f"Verify your e-mail address for {name}", ask, own, calm),
        "contested": _letter(f"Verify your e-mail address for {name}", ask, often, own, calm),
        "known": _letter(
            f"You already have an account at {name}",
            f"somebody, probably you, signed up at {name} with this e-mail address, which has an account already.",
            'Sign in with it as always; if the password is lost, choose "Forgot password".',
            "If it was not you, do nothing: nothing has changed.",
        ),
        "elsewhere": _elsewhere(org, "signed up"),
    }


def to_forgotten(org: Organisation, address: str, code: str) -> Letters:
    """What a forgotten password may answer: `reset`, `elsewhere`, `nobody`."""
    name = _name(org)
    return {
        "reset": _letter(
            f"Choose a new password for {name}",
            f"somebody, probably you, has forgotten the password of this address at {name}.",
            f"To choose a new one, open\n\n    {_link('reset', org, address, code)}\n\nor enter this code: {code}",
            "The code is good once, for one hour. If it was not you, do nothing: the password stays as it is.",
        ),
        "elsewhere": _elsewhere(org, "asked for a new password"),
        "nobody": _letter(
            f"No account at {name}",
            f"somebody, probably you, asked for a new password at {name}, where this address has no account.",
            "Perhaps you signed up with another address. If it was not you, do nothing.",
        ),
    }


def to_change(org: Organisation) -> Letters:
    """The word that a password has been changed: `changed`."""
    name = _name(org)
    return {
        "changed": _letter(
            f"Your password for {name} was changed",
            f"your password at {name} has just been changed, and you have been signed out everywhere else.",
            'If it was not you, choose a new one at once with "Forgot password".',
        )
    }


def _elsewhere(org: Organisation, what: str) -> dict[str, str]:
    name = _name(org)
    return _letter(
        f"You are a member of {name} already",
        f"somebody, probably you, {what} at {name} with this e-mail address, which belongs to a member already.",
        "No password is kept here for it: sign in the way you always do. If it was not you, do nothing.",
    )


def _letter(subject: str, *paragraphs: str) -> dict[str, str]:
    return {"subject": subject, "text": "\n\n".join(("Hello,", *paragraphs)) + "\n"}


def _link(page: str, org: Organisation, address: str, code: str) -> str:
    """Behind a `#`, so that the code reaches no server's log and no other site."""
    return f"{SITE}/{page}#{urlencode({'org': org.slug, 'email': address, 'code': code})}"


def _name(org: Organisation) -> str:
    """On one line, whatever is in it."""
    return " ".join(org.name.split()) or org.slug
