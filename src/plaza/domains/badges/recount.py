"""The recount of how many people have each badge."""

from __future__ import annotations

from plaza.kernel.counters import Drift, Recount, drift
from plaza.kernel.sql import Statement

_DRIFTED = """drifted as (
        select b.org, b.id, b.earned_by as kept, coalesce(a.earned_by, 0) as earned_by
        from badge b
        left join (
            select org, badge, count(*) as earned_by from badge_award where revoked_at is null group by org, badge
        ) a on a.org = b.org and a.badge = b.id
        where b.earned_by <> coalesce(a.earned_by, 0)
    )"""
_PAIR = ("kept", "earned_by")

EARNED = Recount(
    Statement("badges.differing", Drift, f"with {_DRIFTED} {drift('drifted', 'id', _PAIR)}", tenant=False),
    # What changed since it was counted is left alone: it is counted again the next time.
    Statement(
        "badges.repair",
        Drift,
        f"""
        with {_DRIFTED},
        repaired as (
            update badge b set earned_by = d.earned_by
            from drifted d
            where b.org = d.org and b.id = d.id and b.earned_by = d.kept
            returning b.org, b.id
        )
        {drift("(select d.* from drifted d join repaired using (org, id))", "id", _PAIR)}
        """,
        tenant=False,
    ),
)
