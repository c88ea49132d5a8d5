"""Organisations: the tenants, their settings and the keys that sign their members' tokens.

Tables: `org`, `org_key`. Facts: `key.retired`.
"""

from plaza.domains.organisations.facts import KeyRetired

__all__ = ["KeyRetired"]
