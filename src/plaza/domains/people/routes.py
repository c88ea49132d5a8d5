"""Routes of people."""

from __future__ import annotations

from plaza.domains.people import service
from plaza.kernel.routes import Route, Table

TABLE = Table(
    "people",
    routes=(
        Route("GET", "people/me", service.me),
        Route("PUT", "people/me", service.change_me),
    ),
)
