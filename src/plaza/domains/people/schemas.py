"""Shapes of people (contract, section 1.14)."""

from __future__ import annotations

from plaza.kernel.wire import Body, Email, Id, Instant, Name, Record, Url


class PersonCard(Record):
    """A person beside something of theirs."""

    id: Id
    email: Email
    first_name: Name
    last_name: Name
    image: Url | None
    company: Name | None
    job_title: Name | None


class ConnectionPreferences(Record):
    """What a person allows others: to write without a connection, and to see that they have read."""

    allow_messages_from_non_connections: bool
    send_read_receipts: bool


class CommunityProfile(Record):
    """A person's part in the community."""

    connection_preferences: ConnectionPreferences


class Profile(Record):
    """A person as they see themselves."""

    id: Id
    email: Email
    first_name: Name
    last_name: Name
    image: Url | None
    company: Name | None
    job_title: Name | None
    community_profile: CommunityProfile
    created_at: Instant
    updated_at: Instant


class PreferenceChanges(Body):
    """Preferences to change; what is left out stays."""

    allow_messages_from_non_connections: bool | None = None
    send_read_receipts: bool | None = None


class CommunityProfileChanges(Body):
    """The community part to change."""

    connection_preferences: PreferenceChanges | None = None


class ProfileChanges(Body):
    """A profile to change; what is left out stays."""

    first_name: Name | None = None
    last_name: Name | None = None
    image: Url | None = None
    company: Name | None = None
    job_title: Name | None = None
    community_profile: CommunityProfileChanges | None = None
