"""Organisations: the tenants, their settings and the keys that sign their members' tokens.

Tables: `org`, `org_key`. Facts: `organisation.created`, `organisation.suspended`,
`key.retired`.
"""

from plaza.domains.organisations.facts import KeyRetired, OrganisationCreated, OrganisationSuspended

__all__ = ["KeyRetired", "OrganisationCreated", "OrganisationSuspended"]
