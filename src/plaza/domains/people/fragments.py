"""Who sees what of a person: the one place that says it, as pieces of SQL.

Members name each other by address (threads, presence, follows are lists of addresses), so a signed-in member sees the
address of whomever they may see at all. A reader without a token sees it where the person shows it and the
organisation does not mask it, and their id in its place everywhere else; either names the person in a path. Phone,
company and location are shown to everybody who sees the profile, or, where the person has switched them off, to nobody
but the person and staff.
"""

from __future__ import annotations

from plaza.kernel import badges, policies


def card(person: str, viewer: str) -> str:
    """The SQL of a `PersonCard` of the row `person`, as the signed-in `viewer` sees it."""
    return f"""case when {policies.shown_to(viewer, person)} then {open_card(person)}
        else row(null::text, {person}.email, '', '', null::text, null::text, null::text) end"""


def open_card(person: str) -> str:
    """The SQL of a `PersonCard` of somebody who shows themselves to whoever reads it."""
    company = f"case when {person}.show_company then {person}.company end"
    return f"row({_named(person, f'{person}.email')}, {company}, {person}.job_title)"


def named() -> str:
    """SQL of the row of `person` that `:email` or `:person` names for `:me`: an id names only whom they may see."""
    seen = f"(:staff::boolean or {policies.shown_to(':me', 'p')})"
    return f"(select p.* from person p where p.org = :org and (p.email = :email or p.id = :person and {seen}))"


def met() -> str:
    """SQL of the row of `person` that `:email` or `:person` names for everybody, or that `meet` has found: `:met`."""
    return """(
        select p.* from person p
        where p.org = :org and (
            p.id = :met or (p.email = :email or p.id = :person) and p.claimed_at is not null and p.unlisted_at is null
        )
    )"""


def address(person: str) -> str:
    """How a person is named to somebody who may have no token: `:me` is who looks, `:unmasked` the organisation's."""
    return f"""case when :me::bigint is not null or (:unmasked::boolean and {person}.show_email)
        then {person}.email else {person}.id::text end"""


def public_profile(person: str, profile: str) -> str:
    """The columns of a `PublicProfile`; `profile` may be a row of nulls; binds `:me`, `:unmasked`, `:staff`."""
    company, phone, location = (
        f"case when {person}.show_{name} or :staff::boolean or {person}.id = :me then {row}.{name} end"
        for name, row in (("company", person), ("phone", profile), ("location", profile))
    )
    return f"""{_named(person, address(person))}, {company}, {person}.job_title, {profile}.about, {phone}, {location},
        row({person}.unlisted_at is null, {described(profile)}), {person}.created_at"""


def described(profile: str) -> str:
    """What people say of themselves in the community, in the order of its schema."""
    lists = (f"coalesce({profile}.{name}, '{{}}')" for name in ("expertise", "interests", "looking_for"))
    return f"""{profile}.headline, {profile}.bio, {", ".join(lists)},
        coalesce({profile}.social_links, '{{}}'::jsonb)"""


def own_profile(person: str, profile: str) -> str:
    """The columns of a `Profile`: a person as they see themselves."""
    shown = ", ".join(f"{person}.show_{name}" for name in ("email", "phone", "company", "location"))
    return f"""{_named(person, f"{person}.email")}, {person}.company, {person}.job_title,
        {profile}.about, {profile}.phone, {profile}.location,
        row(
            {person}.unlisted_at is null, {described(profile)}, row({shown}),
            row({person}.auto_accept_qr_scans, {person}.messages_from = 'everyone', {person}.read_receipts)
        ),
        {badges.earned(person)}, {person}.version, {person}.created_at, {person}.updated_at"""


def _named(person: str, email: str) -> str:
    return f"{person}.id::text, {email}, {person}.first_name, {person}.last_name, {person}.image"
