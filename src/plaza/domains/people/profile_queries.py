"""Statements of profiles and of the directory's entries; `p` is the person, `f` the profile."""

from __future__ import annotations

import msgspec

from plaza.domains.people.facts import PersonUnlisted
from plaza.domains.people.fragments import own_profile
from plaza.domains.people.schemas import Profile
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class Due(msgspec.Struct, frozen=True):
    """A person whose entry in the directory is to be written: what others may see, and which version says so."""

    org: int
    person: int
    version: int
    listed: bool
    texts: list[str]
    expertise: list[str]
    interests: list[str]


_DESCRIBED = ("about", "phone", "location", "headline", "bio", "expertise", "interests", "looking_for", "social_links")

PROFILE = Statement(
    "people.profile",
    Profile,
    f"""
    select {own_profile("p", "f")}
    from person p left join profile f on f.org = p.org and f.person = p.id
    where p.org = :org and p.id = :me
    """,
    hot=True,
)
CHANGE = Statement(
    "people.change",
    Profile,
    f"""
    with changed as (
        update person p set
            first_name = :first_name, last_name = :last_name, image = :image, company = :company,
            job_title = :job_title, unlisted_at = case when not :is_public then coalesce(p.unlisted_at, :now) end,
            show_email = :show_email, show_phone = :show_phone, show_company = :show_company,
            show_location = :show_location, auto_accept_qr_scans = :auto_accept_qr_scans,
            messages_from = :messages_from, read_receipts = :read_receipts, entry_due = false,
            version = p.version + 1, updated_at = :now
        where p.org = :org and p.id = :me and p.version = :version
        returning *
    ),
    described as (
        insert into profile (org, person, {", ".join(_DESCRIBED)})
        select :org, id, {", ".join(f":{name}" for name in _DESCRIBED)} from changed
        on conflict (org, person) do update set {", ".join(f"{name} = excluded.{name}" for name in _DESCRIBED)}
        returning *
    ),
    listed as (
        insert into directory_entry (org, person, words, tags, keys)
        select :org, id, :words, :tags, :keys from changed where status = 'active' and unlisted_at is null
        on conflict (org, person) do update set words = excluded.words, tags = excluded.tags, keys = excluded.keys
    ),
    unlisted as (
        delete from directory_entry e using changed
        where e.org = :org and e.person = changed.id and changed.unlisted_at is not null
    ),
    announced as ({announce(PersonUnlisted, "changed where unlisted_at = :now", person="id")})
    select {own_profile("p", "f")} from changed p join described f on true
    """,
)

# What follows is spoken by a job, about people of many organisations at once.
DUE = Statement(
    "people.due",
    Due,
    """
    select p.org, p.id, p.version, p.status = 'active' and p.unlisted_at is null,
        array_remove(array[
            p.first_name, p.last_name, case when p.show_company then p.company end, p.job_title, f.headline
        ], null),
        coalesce(f.expertise, '{}'), coalesce(f.interests, '{}')
    from person p left join profile f on f.org = p.org and f.person = p.id
    where p.entry_due and p.claimed_at is not null
    limit :most
    """,
    tenant=False,
)
# An entry of a version that is not the newest any more is left to whoever wrote the newer one.
ENTER = Statement(
    "people.enter",
    int,
    """
    with given as (
        select * from unnest(:orgs::integer[], :people::bigint[], :versions::integer[], :listed::boolean[],
            :words::text[], :tags::text[], :keys::text[]) as given (org, person, version, listed, words, tags, keys)
    ),
    done as (
        update person p set entry_due = false from given
        where p.org = given.org and p.id = given.person and p.version = given.version and p.entry_due
        returning given.*
    ),
    entered as (
        insert into directory_entry (org, person, words, tags, keys)
        select org, person, words, tags::text[], keys::integer[] from done where listed
        on conflict (org, person) do update set words = excluded.words, tags = excluded.tags, keys = excluded.keys
    ),
    gone as (
        delete from directory_entry e using done where e.org = done.org and e.person = done.person and not done.listed
    )
    select count(*) from done
    """,
    tenant=False,
)
