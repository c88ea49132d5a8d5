"""Where a client is when reverse proxies stand before the server, and whether one does (decisions 13 and 17)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import structlog

log = structlog.get_logger("plaza.proxies")
HEADER = "x-forwarded-for"
LONGEST_CHAIN = 16
"""Entries read of the header: more proxies than that stand before nobody."""
ADVICE = "If this is your reverse proxy, name it in PLAZA_TRUSTED_PROXIES: until then all its clients count as one."
REMEMBERED = 4_096
"""Addresses that need not be read again, which takes as long as all the rest: of proxies, and of who came last."""
FORWARDING = frozenset(
    b"""client-ip do-connecting-ip fly-client-ip forwarded forwarded-for front-end-https incap-client-ip proxy-client-ip
    true-client-ip via wl-proxy-client-ip x-amzn-trace-id x-client-ip x-cloud-trace-context x-cluster-client-ip x-host
    x-nf-client-connection-ip x-original-forwarded-for x-original-host x-originating-ip x-proxyuser-ip x-real-ip
    x-real-port x-remote-addr x-remote-ip x-scheme x-sucuri-clientip x-url-scheme""".split()
)
"""Headers that reverse proxies and content delivery networks add."""
FORWARDING_PREFIXES = (
    b"cdn-",
    b"cf-",
    b"fastly-",
    b"ngrok-",
    b"tailscale-",
    b"x-amz-cf-",
    b"x-appengine-",
    b"x-arr-",
    b"x-azure-",
    b"x-envoy-",
    b"x-forwarded",
    b"x-vercel-",
)
_WITH_PORT = re.compile(r"(?:\[([^]]+)\]|([^:]*))(?::\d{1,5})?")
"""203.0.113.7:4711, [2001:db8::7]:4711, and both without the port; a bare IPv6 address has no such form."""


class Proxies:
    """The proxies whose word counts, by their addresses and networks; with none of them, nobody's does."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = [ip_network(entry) for entry in trusted]
        self._noticed = False

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

    def client_of_handshake(self, peer: str, headers: Mapping[str, str]) -> str:
        """The client's address, from all headers of a handshake; a proxy that is not trusted is noticed."""
        self.notice(peer, (name.encode("latin-1") for name in headers))
        return self.client(peer, headers) if self._networks else peer

    def notice(self, peer: str, headers: Iterable[bytes]) -> None:
        """Logs one warning in the life of the process when a proxy that is not trusted brings a client in."""
        if not self._noticed and forwarded(headers) and not self.trusts(peer):
            self._noticed = True
            log.warning("proxy.unnamed", peer=peer, advice=ADVICE)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def forwarded(headers: Iterable[bytes]) -> bool:
    """Whether a header of that name, in lower case, says that a request came through a proxy."""
    return any(name in FORWARDING or name.startswith(FORWARDING_PREFIXES) for name in headers)


def is_loopback(peer: str) -> bool:
    """Whether a peer is on this computer; an IPv4 address mapped into IPv6 counts as the IPv4 address."""
    found = _address(peer)
    return found is not None and found.is_loopback


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
