"""Routes of connections, and what they say on sockets."""

from __future__ import annotations

from plaza.domains.connections import service
from plaza.domains.connections.schemas import Connection, ConnectionWasRemoved
from plaza.domains.people import NoSuchPerson
from plaza.kernel.limits import APPROACHES
from plaza.kernel.routes import Push, Route, Table

TABLE = Table(
    "connections",
    routes=(
        Route(
            "POST",
            "connections/request",
            service.request,
            status=201,
            errors=(
                service.SelfConnection,
                service.Blocked,
                service.AlreadyTied,
                service.CoolingDown,
                NoSuchPerson,
                service.NoSuchConnection,
            ),
            limits=(APPROACHES,),
            again=service.found,
        ),
        Route(
            "PUT",
            "connections/:id/respond",
            service.respond,
            errors=(service.NoSuchConnection, service.NotYours, service.Blocked, service.NotPending),
            again=service.found,
        ),
        Route("GET", "connections", service.connections),
        Route("GET", "connections/pending", service.pending),
        Route("GET", "connections/sent", service.sent),
        Route("GET", "connections/stats", service.stats),
        Route("GET", "connections/mutual/:email", service.mutual, errors=(NoSuchPerson,)),
        Route("POST", "connections/accept-all", service.accept_all),
        Route("DELETE", "connections/:id", service.end, errors=(service.NoSuchConnection, service.Over)),
    ),
    pushes=(
        Push("connectionRequest", Connection, "the sockets of the person asked"),
        Push("connectionRequestSent", Connection, "the sockets of the person who asks"),
        Push("connectionAccepted", Connection, "the sockets of both"),
        Push("connectionRemoved", ConnectionWasRemoved, "the sockets of both"),
    ),
)
