"""Routes of built-in accounts; `/profile…` lies at the root, as in the documentation."""

from __future__ import annotations

from plaza.domains.accounts import limits, service, sessions
from plaza.domains.accounts.passwords import Busy
from plaza.domains.people import Suspended
from plaza.kernel.limits import SIGN_INS
from plaza.kernel.routes import Route, Table

CODES = (service.InvalidCode, Suspended)
REFRESHING = (sessions.InvalidRefresh, sessions.RefreshReused, Suspended)

TABLE = Table(
    "accounts",
    routes=(
        Route(
            "POST",
            "profile/customer/signup",
            service.sign_up,
            status=201,
            auth="public",
            errors=(Busy,),
            limits=(limits.LETTERS_OF_NETWORK, limits.LETTERS_OF_ORGANISATION, *limits.ALL_TRIES),
        ),
        Route(
            "POST",
            "profile/customer/verify",
            service.verify,
            auth="session",
            errors=(*CODES, Busy),
            limits=limits.ALL_TRIES,
        ),
        Route(
            "POST",
            "profile/customer/signin",
            service.sign_in,
            auth="public",
            errors=(service.InvalidCredentials, Suspended, Busy),
            limits=limits.ALL_TRIES,
        ),
        Route("POST", "profile/customer/refresh", sessions.refresh, auth="public", errors=REFRESHING),
        Route("POST", "customer/refresh", sessions.refresh, auth="public", errors=REFRESHING),
        Route(
            "POST",
            "profile/customer/password/forgot",
            service.forgot_password,
            auth="public",
            limits=(limits.LETTERS_OF_NETWORK, limits.LETTERS_OF_RECOVERY, limits.LETTERS_OF_ORGANISATION),
        ),
        Route(
            "POST",
            "profile/customer/password/reset",
            service.reset_password,
            auth="public",
            errors=(*CODES, Busy),
            limits=limits.ALL_TRIES,
        ),
        Route("GET", "profile", service.profile, auth="account"),
        Route("GET", "profile/whoami", service.profile, auth="account"),
        Route("POST", "profile/signout", sessions.sign_out, auth="account"),
        Route(
            "PUT",
            "profile/password",
            service.change_password,
            auth="account",
            errors=(service.InvalidCredentials, service.NoPassword, Busy),
            limits=(SIGN_INS, limits.PASSWORD_CHANGES, *limits.ALL_TRIES),
        ),
    ),
    root=True,
)
