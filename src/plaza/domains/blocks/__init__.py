"""Blocks: two people who do not want to meet; the rule itself is `kernel/policies.blocked`.

Table: `block`.
"""
