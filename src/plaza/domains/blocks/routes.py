"""Routes of blocks."""

from __future__ import annotations

from plaza.domains.blocks import service
from plaza.domains.people import NoSuchPerson
from plaza.kernel.routes import Route, Table

TABLE = Table(
    "blocks",
    routes=(
        Route(
            "POST",
            "blocks",
            service.block,
            status=201,
            errors=(service.SelfBlock, NoSuchPerson, service.NoSuchBlock),
            again=service.found,
        ),
        Route("DELETE", "blocks/:userId", service.unblock),
        Route("GET", "blocks", service.blocks),
    ),
)
