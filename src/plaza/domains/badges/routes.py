"""Routes of badges; what is staff's is below their prefix alone (contract, section 1.17)."""

from __future__ import annotations

from plaza.domains.badges import service
from plaza.domains.people import NoSuchPerson
from plaza.kernel.errors import StaffOnly
from plaza.kernel.routes import Route, Table

TABLE = Table(
    "badges",
    routes=(
        Route("GET", "badges", service.badges, errors=(StaffOnly,)),
        Route("GET", "badges/mine", service.mine),
        Route("GET", "badges/:badgeId", service.badge, errors=(service.NoSuchBadge,)),
        Route(
            "POST",
            "badges",
            service.create,
            status=201,
            auth="staff",
            errors=(service.NameTaken, service.NoCriterion),
            again=service.badge,
        ),
        Route(
            "PUT",
            "badges/:badgeId",
            service.change,
            auth="staff",
            errors=(service.NoSuchBadge, service.NoCriterion, service.BadgeChanged),
            again=service.badge,
        ),
        Route("DELETE", "badges/:badgeId", service.retire, auth="staff", errors=(service.NoSuchBadge,)),
        Route(
            "POST",
            "badges/:badgeId/award",
            service.award,
            status=201,
            auth="staff",
            errors=(service.NoSuchBadge, NoSuchPerson, service.BadgeRetired),
            again=service.awarded,
        ),
        Route(
            "DELETE",
            "badges/:badgeId/award/:email",
            service.take_back,
            auth="staff",
            errors=(service.NoSuchBadge,),
        ),
    ),
)
