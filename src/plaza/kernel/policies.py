"""Who may see and reach whom: SQL fragments, defined once and composed into statements at import.

Each takes SQL expressions and gives an SQL condition; all speak of the organisation `:org`.
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
    low, high = f"least({viewer}, {person}.id)", f"greatest({viewer}, {person}.id)"
    return f"""(exists (
            select 1 from follow where org = :org and follower = {person}.id and following = {viewer}
        ) or exists (
            select 1 from follow
            where org = :org and follower = {viewer} and following = {person}.id
                and created_at < {person}.unlisted_at
        ) or exists (
            select 1 from connection where org = :org and low = {low} and high = {high}
                and (status = 'accepted' or status = 'pending' and requester = {person}.id)
        ) or exists (
            select 1 from thread t join message m on m.org = t.org and m.thread = t.id and m.sender = {person}.id
            where t.org = :org and t.low = {low} and t.high = {high}
        ))"""
