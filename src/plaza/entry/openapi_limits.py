"""The limits of the document, under `x-limits`, and as the tables of docs/limits.md: read from what declares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plaza.entry.openapi_sockets import spoken
from plaza.entry.rest import mounted
from plaza.kernel.limits import CONNECTS, EXPIRED_TOKENS, STRANGERS, Limit
from plaza.kernel.routes import Table

TIMES = {1: "a second", 60: "a minute", 3_600: "an hour", 86_400: "a day"}
SCOPES: Mapping[str, str] = {
    "person": "each person",
    "account": "each account",
    "token": "each token",
    "network": "each network address, in one organisation",
    "organisation": "each organisation",
    "server": "each network address",
}


def every(tables: Sequence[Table]) -> list[Limit]:
    """Every limit once, in the order in which it is met; `ValueError` where two have one name."""
    found = {STRANGERS.name: STRANGERS}
    for limit in (limit for _, limits in _bounded(tables) for limit in limits):
        if found.setdefault(limit.name, limit) != limit:
            raise ValueError(f"two limits are called {limit.name}")
    return list(found.values())


def described(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """The value of `x-limits`; routes and events name those that bound them."""
    return [
        {
            "name": limit.name,
            "about": _about(limit),
            "scope": limit.scope,
            "for": SCOPES[limit.scope],
            "amount": limit.amount,
            "seconds": limit.seconds,
            "burst": limit.capacity,
            "rate": rate(limit),
            "reason": limit.refusal.reason,
        }
        for limit in every(tables)
    ]


def rate(limit: Limit) -> str:
    """`20 a second`."""
    return f"{limit.amount:,} {TIMES.get(int(limit.seconds), f'in {limit.seconds:,.0f} seconds')}"


def page(tables: Sequence[Table]) -> str:
    """The two tables of docs/limits.md, in Markdown."""
    limits = [
        (f"`{limit.name}`", rate(limit), f"{limit.capacity:,}", SCOPES[limit.scope], _reason(limit), _about(limit))
        for limit in every(tables)
    ]
    bounded = [
        (f"`{asked}`", ", ".join(f"`{limit.name}`" for limit in limits) or "—") for asked, limits in _bounded(tables)
    ]
    heads = ("limit", "rate", "at once", "for", "refusal", "what counts")
    return f"{_table(heads, limits)}\n\n{_table(('route or event', 'limits'), bounded)}\n"


def _about(limit: Limit) -> str:
    return limit.about if limit.setting is None else f"{limit.about} A setting: `{limit.setting}`."


def _reason(limit: Limit) -> str:
    return f"`{limit.refusal.reason}`"


def _bounded(tables: Sequence[Table]) -> Iterable[tuple[str, Sequence[Limit]]]:
    """Every route once, below the first prefix that has it, and every event."""
    seen = set()
    for path, route in mounted(tables):
        if route not in seen:
            seen.add(route)
            yield f"{route.method} /{path}", route.limits
    yield "connect", (STRANGERS, EXPIRED_TOKENS, CONNECTS)
    for event in spoken(tables):
        yield f"emit {event.name}", event.limits


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))
