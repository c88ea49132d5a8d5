"""Who may see and reach whom: SQL fragments, defined once and composed into statements at import.

Each takes SQL expressions and gives an SQL condition; those that take no row of a person speak of `:org`.
"""

from __future__ import annotations


def blocked(one: str, other: str) -> str:
    """Whether either of two people blocks the other (contract, decision 33); a block hides both ways."""
    return f"""(exists (select 1 from block where org = :org and blocker = {one} and blocked = {other})
        or exists (select 1 from block where org = :org and blocker = {other} and blocked = {one}))"""


def hidden_from(person: str) -> str:
    """The ids of those whom a person does not meet: the same rule as `blocked`, as a set to read once for a list."""
    return f"""(select blocked from block where org = :org and blocker = {person}
        union select blocker from block where org = :org and blocked = {person})"""


def connected(one: str, other: str) -> str:
    """Whether two people have an accepted connection."""
    return f"""exists (select 1 from connection where org = :org and status = 'accepted'
        and low = least({one}, {other}) and high = greatest({one}, {other}))"""


def acquainted(viewer: str, person: str) -> str:
    """Whether somebody who has left the directory goes on showing themselves; `person` is their row.

    They took part in a tie to the viewer, or the viewer followed them before they left. A tie that the viewer alone has
    made since does not count: else whoever guesses an address could look them up.
    """
    org, low, high = f"{person}.org", f"least({viewer}, {person}.id)", f"greatest({viewer}, {person}.id)"
    return f"""(exists (
            select 1 from follow where org = {org} and follower = {person}.id and following = {viewer}
        ) or exists (
            select 1 from follow
            where org = {org} and follower = {viewer} and following = {person}.id
                and created_at < {person}.unlisted_at
        ) or exists (
            select 1 from connection where org = {org} and low = {low} and high = {high}
                and (status = 'accepted' or status = 'pending' and requester = {person}.id)
        ) or exists (
            select 1 from thread
            join message on message.org = {org} and message.thread = thread.id and message.sender = {person}.id
            where thread.org = {org} and thread.low = {low} and thread.high = {high}
        ))"""


def shown_to(viewer: str, person: str) -> str:
    """Whether the row `person` shows the viewer who they are; anybody else is for the viewer an address that is unused.

    Somebody has claimed it, and has not left the directory or is acquainted with the viewer.
    """
    return f"""({person}.claimed_at is not null and ({person}.unlisted_at is null or {person}.id = {viewer}
        or {acquainted(viewer, person)}))"""
