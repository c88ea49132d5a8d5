"""Whom a viewer may see; `:me` is the viewer, null for a reader without a token."""

from __future__ import annotations

from plaza.kernel import policies


def seen(person: str) -> str:
    """Whether the row `person` exists for the viewer; binds `:staff`.

    Who has left the directory is there for staff, and for whoever is acquainted with them.
    """
    return f"""({person}.status = 'active' and {person}.claimed_at is not null
        and not {policies.blocked(":me", f"{person}.id")}
        and ({person}.unlisted_at is null or {person}.id = :me or :staff::boolean or {acquainted(person)}))"""


def acquainted(person: str) -> str:
    """Whether somebody who has left the directory took part in a tie to the viewer, or was followed before they left.

    A tie that the viewer alone has made since does not count: else whoever guesses an address could look them up.
    """
    pair = f"low = least(:me, {person}.id) and high = greatest(:me, {person}.id)"
    return f"""(exists (
            select 1 from follow where org = :org and follower = {person}.id and following = :me
        ) or exists (
            select 1 from follow
            where org = :org and follower = :me and following = {person}.id and created_at < {person}.unlisted_at
        ) or exists (
            select 1 from connection
            where org = :org and {pair} and (status = 'accepted' or status = 'pending' and requester = {person}.id)
        ) or exists (
            select 1 from thread t join message m on m.org = t.org and m.thread = t.id and m.sender = {person}.id
            where t.org = :org and t.{pair.replace("high =", "t.high =")}
        ))"""
