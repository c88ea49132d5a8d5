"""Presence: who has a socket open, on which process; true across processes, and after one of them was killed.

Table: `presence`, one row for each person and process; a process renews its rows, and rows nobody renews lapse.
"""

from plaza.domains.presence.service import lapsed, online_now

__all__ = ["lapsed", "online_now"]
