"""Organisations: the tenants, their settings and the keys that sign their members' tokens.

Tables: `org`, `org_key`.
"""
