"""Routes of one's own profile; `/client-data/profile` is the platform's path to the same (contract, section 1.14)."""

from __future__ import annotations

from plaza.domains.people import profiles
from plaza.kernel.routes import Route, Table

CHANGING = (profiles.ProfileChanged,)

TABLE = Table(
    "people",
    routes=(
        Route("GET", "people/me", profiles.me),
        Route("PUT", "people/me", profiles.change_me, errors=CHANGING, again=profiles.me),
    ),
)
PLATFORM = Table(
    "platform",
    routes=(
        Route("GET", "client-data/profile", profiles.me),
        Route("PUT", "client-data/profile", profiles.change_me, errors=CHANGING, again=profiles.me),
    ),
    root=True,
)
