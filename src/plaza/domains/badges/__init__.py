"""Badges: what an organisation gives for milestones, by itself when a criterion is met or by the hand of staff.

Tables: `badge`, `badge_award`; how many have earned a badge stands beside it, changed in the same statement.
Facts: `badge.earned`, `badge.taken_back`. A badge once earned stays, whatever becomes of what it was earned by; what
staff have taken back comes back by staff alone. `kernel/badges.py` says what a profile shows.
"""

from plaza.domains.badges.facts import BadgeEarned, BadgeTakenBack

__all__ = ["BadgeEarned", "BadgeTakenBack"]
