"""Statements of organisations."""

from __future__ import annotations

from typing import Any

import msgspec

from plaza.domains.organisations.facts import KeyRetired, OrganisationCreated, OrganisationSuspended
from plaza.domains.organisations.signers import HOST, Role
from plaza.kernel.outbox import Fact, announce
from plaza.kernel.sql import Statement


class OrgRow(msgspec.Struct, frozen=True):
    """An organisation as stored."""

    id: int
    slug: str
    name: str
    settings: dict[str, Any]
    suspended: bool


class KeyRow(msgspec.Struct, frozen=True):
    """A key that may verify tokens: `secret` of an HS256 key, or the address of a key set."""

    kid: str
    algorithm: str
    secret: bytes | None
    jwks_url: str | None
    signer: str
    roles: list[Role]
    claims: bool

    @property
    def may_claim(self) -> bool:
        """Whether its tokens may claim people who were only named by others so far."""
        return self.claims or self.signer == HOST

    def may_give(self, role: Role) -> bool:
        """Whether its tokens may give a role."""
        return self.signer == HOST or role in self.roles

    def __repr__(self) -> str:
        # It goes wherever its organisation goes; the secret shall be in no log.
        return f"KeyRow({self.kid!r})"


class EntryRow(OrgRow, frozen=True):
    """An organisation as whoever comes in finds it."""

    keys: list[tuple[str, str, bytes | None, str | None, str, list[Role], bool]]
    """Each as a `KeyRow`."""


class HeldKey(msgspec.Struct, frozen=True):
    """A key that is not retired."""

    org: int
    kid: str
    jwks_url: str | None


class SignerRow(msgspec.Struct, frozen=True):
    """A key set that an organisation trusts, or did."""

    signer: str
    jwks_url: str
    roles: list[Role]
    claims: bool
    trusted: bool


class Summary(msgspec.Struct, frozen=True):
    """An organisation in a list."""

    slug: str
    name: str
    people: int
    suspended: bool
    created_at: str


_COLUMNS = "id, slug, name, settings, suspended_at is not null"


def _announced(fact: type[Fact], source: str) -> str:
    """SQL that announces something of organisations: the rows of `source` are theirs."""
    return announce(fact, source, org="id", origin="null")


FIND = Statement("organisations.find", OrgRow, f"select {_COLUMNS} from org where slug = :slug", tenant=False)
_KEY = "kid, algorithm, secret, jwks_url, signer, roles, claims"
_HELD = "retired_at is null order by created_at desc, kid"
KEYS = Statement("organisations.keys", KeyRow, f"select {_KEY} from org_key where org = :org and {_HELD}", hot=True)
ENTER = Statement(
    "organisations.enter",
    EntryRow,
    f"""
    select {_COLUMNS}, array(select row({_KEY}) from org_key where org = org.id and {_HELD}) from org where slug = :slug
    """,
    hot=True,
    tenant=False,
)
CREATE = Statement(
    "organisations.create",
    OrgRow,
    f"""
    with made as (
        insert into org (slug, name, settings, created_at) values (:slug, :name, :settings, :now)
        on conflict (slug) do nothing
        returning *
    ),
    announced as ({_announced(OrganisationCreated, "made")})
    select {_COLUMNS} from made
    """,
    tenant=False,
)
ADD_KEY = Statement(
    "organisations.add_key",
    str,
    """
    insert into org_key (org, kid, algorithm, secret, created_at) values (:org, :kid, 'HS256', :secret, :now)
    returning kid
    """,
)
# The trust in an address is one: said again with other roles, it is given anew, and what it signed before ends.
TRUST = Statement(
    "organisations.trust",
    str,
    f"""
    with held as (
        select kid, roles <@ :roles::text[] and :roles::text[] <@ roles and claims = :claims as same from org_key
        where org = :org and jwks_url = :jwks_url and retired_at is null for update
    ),
    retired as (
        update org_key k set retired_at = :now from held
        where k.org = :org and k.kid = held.kid and not held.same
        returning k.kid
    ),
    told as ({announce(KeyRetired, "retired", key="kid")}),
    added as (
        insert into org_key (org, kid, algorithm, jwks_url, roles, claims, created_at)
        select :org, :kid, 'JWKS', :jwks_url, :roles::text[], :claims, :now
        where not exists (select 1 from held where same)
        returning kid
    )
    select kid from added union all select kid from held where same limit 1
    """,
)
SIGNERS = Statement(
    "organisations.signers",
    SignerRow,
    """
    select distinct on (signer) signer, jwks_url, roles, claims, retired_at is null
    from org_key where org = :org and jwks_url is not null
    order by signer, retired_at is null desc, created_at desc
    """,
)
RETIRE_KEYS = Statement(
    "organisations.retire_keys",
    str,
    f"""
    with retired as (
        update org_key set retired_at = :now
        where org = :org and retired_at is null and kid <> :keep
        returning kid
    ),
    told as ({announce(KeyRetired, "retired", key="kid")})
    select kid from retired
    """,
)
HELD_KEYS = Statement(
    "organisations.held_keys",
    HeldKey,
    "select org, kid, jwks_url from org_key where org = any(:orgs::integer[]) and retired_at is null",
    tenant=False,
)
SET = Statement(
    "organisations.set",
    OrgRow,
    f"update org set settings = settings || :changes where id = :org returning {_COLUMNS}",
)
SUSPEND = Statement(
    "organisations.suspend",
    int,
    f"""
    with done as (
        update org set suspended_at = :now where id = :org and suspended_at is null returning id
    ),
    announced as ({_announced(OrganisationSuspended, "done")})
    select id from done
    """,
)
LIFT = Statement("organisations.lift", int, "update org set suspended_at = null where id = :org returning id")
SUSPENDED = Statement(
    "organisations.suspended",
    int,
    "select id from org where id = any(:orgs::integer[]) and suspended_at is not null",
    tenant=False,
)
LIST = Statement(
    "organisations.list",
    Summary,
    """
    select o.slug, o.name, (select count(*) from person where org = o.id), o.suspended_at is not null, o.created_at
    from org o order by o.slug
    """,
    tenant=False,
)
