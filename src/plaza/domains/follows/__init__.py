"""Follows: one-way subscriptions to a person, or later to a page; nobody is asked for approval.

Table: `follow`; the numbers of followers and followed people stand in `tie_count`, changed in the same statement.
Facts: `follow.added`, `follow.removed`. A block hides an edge from both and keeps it.
"""

from plaza.domains.follows.facts import FollowAdded, FollowRemoved
from plaza.domains.follows.queries import followed_by, followers_of

__all__ = ["FollowAdded", "FollowRemoved", "followed_by", "followers_of"]
