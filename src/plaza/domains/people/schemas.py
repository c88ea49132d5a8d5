"""Shapes of people (contract, section 1.14)."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from plaza.kernel.badges import ProfileBadges
from plaza.kernel.wire import Body, Count, Email, Id, Instant, Line, Name, Paragraph, Record, Url

Headline = Annotated[str, Meta(max_length=150)]
Bio = Annotated[str, Meta(max_length=1_000)]
Phone = Annotated[str, Meta(max_length=40)]
Tag = Annotated[str, Meta(min_length=1, max_length=50, examples=["Ceramics"])]
Tags = Annotated[list[Tag], Meta(max_length=30)]
Network = Annotated[str, Meta(min_length=1, max_length=30, examples=["mastodon"])]
SocialLinks = Annotated[dict[Network, Url], Meta(max_length=20, description="Where else they are, by network.")]


class PersonCard(Record):
    """A person beside something of theirs; an address alone where nobody uses it whom you may see."""

    id: Id | None
    email: Email
    first_name: Name
    last_name: Name
    image: Url | None
    company: Name | None
    job_title: Name | None


class Visibility(Record):
    """What others see: `showEmail` is about readers without a token, the rest about everybody but you and staff."""

    show_email: bool
    show_phone: bool
    show_company: bool
    show_location: bool


class ConnectionPreferences(Record):
    """What a person allows others: to connect by a scan, to write without a connection, to see that they have read."""

    auto_accept_qr_scans: bool
    allow_messages_from_non_connections: bool
    send_read_receipts: bool


class Described(Record):
    """What a person says of themselves in the community; `isPublic` is whether the directory lists them."""

    is_public: bool
    headline: Headline | None
    bio: Bio | None
    expertise: Tags
    interests: Tags
    looking_for: Tags
    social_links: SocialLinks


class CommunityProfile(Described):
    """Your part in the community, and what others may see and do."""

    visibility: Visibility
    connection_preferences: ConnectionPreferences


class Profile(Record):
    """A person as they see themselves; `version` is raised by every change."""

    id: Id
    email: Email
    first_name: Name
    last_name: Name
    image: Url | None
    company: Name | None
    job_title: Name | None
    about: Paragraph | None
    phone: Phone | None
    location: Line | None
    community_profile: CommunityProfile
    badges: ProfileBadges
    version: Count
    created_at: Instant
    updated_at: Instant


class PublicProfile(Record):
    """A person as others see them; `email` is their id to readers who may not see the address."""

    id: Id
    email: Email
    first_name: Name
    last_name: Name
    image: Url | None
    company: Name | None
    job_title: Name | None
    about: Paragraph | None
    phone: Phone | None
    location: Line | None
    community_profile: Described
    created_at: Instant


class VisibilityChanges(Body):
    """What to show."""

    show_email: bool | UnsetType = UNSET
    show_phone: bool | UnsetType = UNSET
    show_company: bool | UnsetType = UNSET
    show_location: bool | UnsetType = UNSET


class PreferenceChanges(Body):
    """What to allow."""

    auto_accept_qr_scans: bool | UnsetType = UNSET
    allow_messages_from_non_connections: bool | UnsetType = UNSET
    send_read_receipts: bool | UnsetType = UNSET


class CommunityProfileChanges(Body):
    """The community part to change."""

    is_public: bool | UnsetType = UNSET
    headline: Headline | UnsetType | None = UNSET
    bio: Bio | UnsetType | None = UNSET
    expertise: Tags | UnsetType | None = UNSET
    interests: Tags | UnsetType | None = UNSET
    looking_for: Tags | UnsetType | None = UNSET
    social_links: SocialLinks | UnsetType | None = UNSET
    visibility: VisibilityChanges | UnsetType = UNSET
    connection_preferences: PreferenceChanges | UnsetType = UNSET


class ProfileChanges(Body):
    """A profile to change: what is left out stays, null clears; `version` says which one is meant to be changed."""

    first_name: Name | UnsetType | None = UNSET
    last_name: Name | UnsetType | None = UNSET
    image: Url | UnsetType | None = UNSET
    company: Name | UnsetType | None = UNSET
    job_title: Name | UnsetType | None = UNSET
    about: Paragraph | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    location: Line | UnsetType | None = UNSET
    community_profile: CommunityProfileChanges | UnsetType = UNSET
    version: Count | UnsetType = UNSET
