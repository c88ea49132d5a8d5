"""The recount of what each of the two has hidden of a thread, whose rest is the length of its history."""

from __future__ import annotations

from plaza.kernel.counters import Drift, Recount, drift
from plaza.kernel.sql import Statement

_DRIFTED = """counted as (
        select t.org, t.id, t.low_hidden as kept_low, t.high_hidden as kept_high,
            count(*) filter (where m.sender = t.low and m.sender_hid or m.recipient = t.low and m.recipient_hid)
                as low_hidden,
            count(*) filter (where m.sender = t.high and m.sender_hid or m.recipient = t.high and m.recipient_hid)
                as high_hidden
        from thread t left join message m
            on m.org = t.org and m.thread = t.id and (m.sender_hid or m.recipient_hid)
        group by t.org, t.id
    ),
    drifted as (select * from counted where kept_low <> low_hidden or kept_high <> high_hidden)"""
_PAIRS = (("kept_low", "low_hidden"), ("kept_high", "high_hidden"))

HIDDEN = Recount(
    Statement("messages.differing", Drift, f"with {_DRIFTED} {drift('drifted', 'id', *_PAIRS)}", tenant=False),
    # What changed since it was counted is left alone: it is counted again the next time.
    Statement(
        "messages.repair",
        Drift,
        f"""
        with {_DRIFTED},
        repaired as (
            update thread t set low_hidden = d.low_hidden, high_hidden = d.high_hidden
            from drifted d
            where t.org = d.org and t.id = d.id and t.low_hidden = d.kept_low and t.high_hidden = d.kept_high
            returning t.org, t.id
        )
        {drift("(select d.* from drifted d join repaired using (org, id))", "id", *_PAIRS)}
        """,
        tenant=False,
    ),
)
