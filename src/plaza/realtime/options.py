"""What the server may be told; every default is safe to run behind nothing."""

from collections.abc import Callable, Mapping

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and times of one server; times in seconds, sizes in bytes."""

    path: str = "/socket.io/"
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    connect_timeout: float = 10.0
    """How long a client may stay outside every namespace, or take over its upgrade to WebSocket."""
    close_timeout: float = 0.5
    """How long a closed WebSocket may take to answer the close frame before it is cut."""
    max_payload: int = 262_144
    """Of one message, its fragments joined, and of one long-polling request or answer (one packet of any size)."""
    head_bytes: int = 32_768
    head_lines: int = 100
    """Of one HTTP request: all that is not its body, so its trailers and the framing of chunks too."""
    head_seconds: float = 10.0
    """From the start of a connection, or the first byte of a later request, to the end of the head."""
    body_bytes: int = 262_144
    """What is read of a body that no application takes."""
    body_seconds: float = 30.0
    """For a body, or the rest of a WebSocket message, and a second more for each 64 KiB that came."""
    write_seconds: float = 30.0
    """For a client to take an HTTP response, and a second more for each 64 KiB that it took."""
    linger_seconds: float = 2.0
    """How long what comes behind an early answer is dropped, so that the client can read the answer."""
    connections: int = 0
    """Open at once in this process; 0: any number. The one that has been silent longest makes room."""
    connections_per_address: int = 100
    """Of one address, those whose head or body is incomplete; the oldest makes room."""
    trusted: Callable[[str], bool] | None = None
    """Whether an address is a proxy's, for whose connections `connections_per_address` does not hold."""
    queue_events: int = 256
    queue_bytes: int = 1_048_576
    """What one client may leave unread before it is closed as `slow_consumer`; half of it for volatile events."""
    kernel_bytes: int = 131_072
    """The kernel's send buffer of a connection (0: the system's); left to grow it hides a slow client in megabytes."""
    inbound_events: int = 64
    inbound_bytes: int = 262_144
    """What one client may have waiting for its handlers before it is no longer read from."""
    origins: tuple[str, ...] | None = None
    """Origins that browsers may come from (`https://shop.example`), beside the server's own; None for any.

    Its own is that of the `Host` which the browser asked for, as it is for REST.
    """
    originless: bool = False
    """With `origins`: whether clients without an Origin (not browsers) come in."""
    max_handshakes: int = 200
    """Clients on their way in at once, the others get 503."""
    per_address: int = 50
    """Clients of one address outside every namespace, the others get 429."""
    retry_after: int = 2
    """Seconds in the `Retry-After` of those."""
    slice: int = 256
    """A room of more sockets is written in slices of this many, with other work in between."""
    headers: tuple[str, ...] = ()
    """Names, in lower case, of the handshake's headers that sockets show; the others are not kept."""
    address: Callable[[str, Mapping[str, str]], str] | None = None
    """The client's address from the peer's and the headers; for those who trust a proxy. None: the peer's."""
    network: Callable[[str], str] | None = None
    """What `per_address` counts of an address, for those to whom a network is one client. None: the address."""
    admit: Callable[[str], int | None] | None = None
    """Asked with the address before a handshake: None lets in, a number of seconds answers 429."""
