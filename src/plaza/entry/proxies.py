"""Where a client is when reverse proxies stand before the server (decision 13)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

HEADER = "x-forwarded-for"
LONGEST_CHAIN = 16
"""Entries read of the header: more proxies than that stand before nobody."""
REMEMBERED = 4_096
"""Addresses that need not be read again, which takes as long as all the rest: of proxies, and of who came last."""
_WITH_PORT = re.compile(r"(?:\[([^]]+)\]|([^:]*))(?::\d{1,5})?")
"""203.0.113.7:4711, [2001:db8::7]:4711, and both without the port; a bare IPv6 address has no such form."""


class Proxies:
    """The proxies whose word counts, by their addresses and networks; with none of them, nobody's does."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = [ip_network(entry) for entry in trusted]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """The client's address: of the peer and those it came through, from here outwards, the first not trusted.

        What is no address ends the way: then whoever wrote it counts as the client.
        """
        found = _address(peer)
        if found is None or not self._trusts(found):
            return peer
        for entry in reversed(headers.get(HEADER, "").rsplit(",", LONGEST_CHAIN)[-LONGEST_CHAIN:]):
            before = _address(entry.strip())
            if before is None:
                break
            found = before
            if not self._trusts(found):
                break
        return str(found)

    def trusts(self, peer: str) -> bool:
        """Whether a peer is one of them."""
        found = _address(peer)
        return found is not None and self._trusts(found)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


@lru_cache(REMEMBERED)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as peers and proxies write it, that of IPv4 where it is mapped into IPv6; None for what is none."""
    written = _WITH_PORT.fullmatch(text)
    bare = (written[1] or written[2]) if written else text
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
