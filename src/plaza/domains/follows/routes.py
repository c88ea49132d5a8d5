"""Routes of follows."""

from __future__ import annotations

from plaza.domains.follows import service
from plaza.domains.people import NoSuchPerson
from plaza.kernel.limits import APPROACHES
from plaza.kernel.routes import Route, Table

TABLE = Table(
    "follows",
    routes=(
        Route(
            "POST",
            "follow",
            service.follow,
            status=201,
            errors=(service.SelfFollow, service.Blocked, NoSuchPerson, service.NoSuchPage, service.NotFollowed),
            limits=(APPROACHES,),
            again=service.found,
        ),
        Route("PUT", "follow/:followingId", service.change, errors=(service.NotFollowed,), again=service.found),
        Route("DELETE", "follow/:followingId", service.unfollow),
        Route("GET", "followers", service.followers),
        Route("GET", "following", service.following),
    ),
)
