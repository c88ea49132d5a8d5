"""Whom a viewer may see; `:me` is the viewer, null for a reader without a token."""

from __future__ import annotations

from plaza.kernel import policies


def seen(person: str) -> str:
    """Whether the row `person` exists for the viewer; binds `:staff`.

    Who has left the directory is there for staff, and for whoever is acquainted with them. Whom the viewer blocks is
    there, so that the block can be lifted; who blocks the viewer is not.
    """
    return f"""({person}.status = 'active' and {person}.claimed_at is not null
        and not exists (select 1 from block where org = :org and blocker = {person}.id and blocked = :me)
        and (:staff::boolean or {policies.shown_to(":me", person)}))"""
