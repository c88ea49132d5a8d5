"""Notifications: what happened to a person, kept until they have seen it.

Table: `notification`. It hears the facts of lower domains; a row has a unique cause, so hearing twice changes nothing.
"""
