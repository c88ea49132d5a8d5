"""Statements of organisations."""

from __future__ import annotations

from typing import Any

import msgspec

from plaza.domains.organisations.facts import KeyRetired, OrganisationCreated
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class OrgRow(msgspec.Struct, frozen=True):
    """An organisation as stored."""

    id: int
    slug: str
    name: str
    settings: dict[str, Any]


class KeyRow(msgspec.Struct, frozen=True):
    """A key that may verify tokens: `secret` of an HS256 key, or the address of a key set."""

    kid: str
    algorithm: str
    secret: bytes | None
    jwks_url: str | None


class HeldKey(msgspec.Struct, frozen=True):
    """A key that is not retired."""

    org: int
    kid: str
    jwks_url: str | None


class Summary(msgspec.Struct, frozen=True):
    """An organisation in a list."""

    slug: str
    name: str
    people: int
    created_at: str


_CREATED = announce(OrganisationCreated, "made").replace(":origin", "null").replace(":org", "id")

FIND = Statement(
    "organisations.find", OrgRow, "select id, slug, name, settings from org where slug = :slug", hot=True, tenant=False
)
KEYS = Statement(
    "organisations.keys",
    KeyRow,
    """
    select kid, algorithm, secret, jwks_url from org_key
    where org = :org and retired_at is null order by created_at desc, kid
    """,
    hot=True,
)
CREATE = Statement(
    "organisations.create",
    OrgRow,
    f"""
    with made as (
        insert into org (slug, name, settings, created_at) values (:slug, :name, :settings, :now)
        on conflict (slug) do nothing
        returning id, slug, name, settings
    ),
    announced as ({_CREATED})
    select id, slug, name, settings from made
    """,
    tenant=False,
)
ADD_KEY = Statement(
    "organisations.add_key",
    str,
    """
    insert into org_key (org, kid, algorithm, secret, jwks_url, created_at)
    values (:org, :kid, :algorithm, :secret, :jwks_url, :now)
    returning kid
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
    "update org set settings = settings || :changes where id = :org returning id, slug, name, settings",
)
LIST = Statement(
    "organisations.list",
    Summary,
    """
    select o.slug, o.name, (select count(*) from person where org = o.id), o.created_at
    from org o order by o.slug
    """,
    tenant=False,
)
