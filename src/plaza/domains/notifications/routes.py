"""Routes of notifications."""

from __future__ import annotations

from plaza.domains.notifications import service
from plaza.domains.notifications.schemas import Notification
from plaza.kernel.routes import Push, Route, Table

TABLE = Table(
    "notifications",
    routes=(
        Route("GET", "notifications", service.notifications),
        Route("POST", "notifications/read", service.mark_read),
        Route("POST", "notifications/read-all", service.mark_all_read),
        Route("GET", "notifications/unread-count", service.unread_count),
    ),
    pushes=(Push("notification", Notification, "the recipient's sockets"),),
)
