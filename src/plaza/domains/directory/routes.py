"""Routes of the directory; readable without a token while the organisation's `publicReads` is on."""

from __future__ import annotations

from plaza.domains.directory import service
from plaza.domains.people import NoSuchPerson
from plaza.kernel.routes import Route, Table

TABLE = Table(
    "directory",
    routes=(
        Route("GET", "people", service.people, auth="optional"),
        Route("GET", "people/suggestions", service.suggestions),
        Route("GET", "people/:email", service.person, auth="optional", errors=(NoSuchPerson,)),
    ),
)
