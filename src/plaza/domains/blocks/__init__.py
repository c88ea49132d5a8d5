"""Blocks: two people who do not want to meet; neither sees or reaches the other, groups excepted.

Table: `block`. The rule itself is `kernel/policies.blocked`.
"""
