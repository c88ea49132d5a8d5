"""The load of direct messages on one side: senders that wait for each acknowledgement, and their recipients."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench import processes
from bench.client import Socket, event
from bench.options import Options
from bench.servers import ORG, Member, Side

TEXT = "Hello! Your parcel left our house this morning and will be with you tomorrow before noon. " * 2
SETTLE_SECONDS = 20.0
"""How long after a round the next one waits for messages that have not arrived."""
_CONNECTING_AT_ONCE = 16
_DONE = b'"success":true'
_NEW = b'["newMessage",'
_SEQ = b'"seq":'


class Failed(Exception):  # noqa: N818 — what the run has
    """A figure of this run would be worth nothing; the text says why."""


@dataclass
class Round:
    """What one side did in one round: per second, in milliseconds, in shares of a core."""

    side: str
    senders: int
    sent: float
    delivered: float
    ack_p50: float
    ack_p99: float
    delivery_p50: float
    delivery_p99: float
    server: float
    postgres: float
    load: float
    resting: float
    others: float

    @property
    def cost(self) -> float:
        """Microseconds of processor time, PostgreSQL's included, for a message."""
        return (self.server + self.postgres) / self.sent * 1e6


@dataclass
class Tally:
    """What happened while it was counted, in seconds."""

    counting: bool = False
    sending: bool = False
    acks: list[float] = field(default_factory=list)
    deliveries: list[float] = field(default_factory=list)
    trouble: str | None = None


class Sender(Socket):
    """Sends to one recipient, one message at a time."""

    def __init__(self, port: int, member: Member, to: str, tally: Tally) -> None:
        super().__init__(port, member.token, ORG)
        self._member, self._to, self._tally = member, to, tally
        self._at = 0.0
        self.count = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.flying: dict[int, float] = {}
        """When each message left that has not arrived at the recipient, by its number, which is its `seq` as well."""

    def send(self) -> None:
        """Sends the next message."""
        self.count += 1
        body = {"to": self._to, "content": TEXT, "clientId": f"{self._member.email}-{self.count}"}
        data = event(self.count, "sendMessage", body)
        self.idle.clear()
        self._at = time.perf_counter()
        self.flying[self.count] = self._at
        self.transport.write(data)

    def acknowledged(self, payload: bytes) -> None:
        """Counts, and sends the next one."""
        tally = self._tally
        if _DONE not in payload or not payload.startswith(b"%d[" % self.count):
            self.lost(f"message {self.count} was answered with {payload[:300]!r}")
        elif tally.counting:
            tally.acks.append(time.perf_counter() - self._at)
        if tally.sending and tally.trouble is None:
            self.send()
        else:
            self.idle.set()

    def lost(self, reason: str) -> None:
        """Ends the run."""
        self._tally.trouble = reason
        self.idle.set()


class Recipient(Socket):
    """Gets what one sender sends."""

    def __init__(self, port: int, member: Member, sender: Sender, tally: Tally) -> None:
        super().__init__(port, member.token, ORG)
        self._sender, self._tally = sender, tally
        self._newest = 0

    def heard(self, payload: bytes) -> None:
        """Counts a message; other events pass."""
        if not payload.startswith(_NEW):
            return
        now, at = time.perf_counter(), payload.index(_SEQ) + len(_SEQ)
        number = int(payload[at : payload.index(b",", at)])
        left = self._sender.flying.pop(number, None)
        if left is None or number < self._newest:
            self.lost(f"message {number} arrived after {self._newest}: twice, late or out of order")
            return
        self._newest = number
        if self._tally.counting:
            self._tally.deliveries.append(now - left)

    def lost(self, reason: str) -> None:
        """Ends the run."""
        self._tally.trouble = reason


class Load:
    """The senders and recipients of one side, connected once for all rounds."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._given_up = 0
        self._tally = Tally()
        writers, readers = side.members[0::2], side.members[1::2]
        pairs = list(zip(writers, readers, strict=True))
        self._senders = [Sender(side.port, one, other.email, self._tally) for one, other in pairs]
        self._recipients = [
            Recipient(side.port, reader, sender, self._tally)
            for reader, sender in zip(readers, self._senders, strict=True)
        ]

    @property
    def missing(self) -> int:
        """Messages that have not arrived at the recipient's open socket."""
        return sum(len(sender.flying) for sender in self._senders)

    async def connect(self) -> None:
        """Opens every socket, some at a time."""
        gate = asyncio.Semaphore(_CONNECTING_AT_ONCE)

        async def enter(one: Socket) -> None:
            async with gate:
                await one.connect()

        await asyncio.gather(*map(enter, [*self._recipients, *self._senders]))

    def leave(self) -> None:
        """Closes every socket."""
        for one in [*self._senders, *self._recipients]:
            one.leave()

    async def round(self, senders: int, options: Options, resting: Side) -> Round:
        """Runs a lead that does not count and then what counts, and waits until everything has arrived."""
        await self.side.ask("checkpoint")  # so that none begins by itself in the middle of a round
        with self._sending(senders):
            await asyncio.sleep(options.lead)
            before, began = _used(self.side, resting), time.perf_counter()
            self._tally.counting = True
            await asyncio.sleep(options.seconds)
            self._tally.counting = False
            after, seconds = _used(self.side, resting), time.perf_counter() - began
        await self._settle()
        used = {name: (after[name] - before[name]) / seconds for name in after}
        used["others"] = max(0.0, used.pop("machine") - sum(used.values()))
        return self._result(senders, seconds, used)

    async def warm(self, options: Options) -> None:
        """Runs everything for a while, for compilers, caches and pools, then gathers statistics on the tables.

        Autovacuum does that by itself within a minute or two; until then a database plans as for empty tables.
        """
        with self._sending(len(self._senders)):
            await asyncio.sleep(options.warm)
        await self._settle()
        await self.side.ask("analyze")

    async def check(self) -> int:
        """Raises `Failed` unless the database has what was acknowledged; how many messages that is."""
        sent = sum(one.count for one in self._senders)
        ((stored, numbered, gapless),) = await self.side.ask(
            """
            select (select count(*) from message), (select coalesce(sum(last_seq), 0)::bigint from thread),
                (select coalesce(bool_and(n = top), true)
                from (select count(*) n, max(seq) top from message group by org, thread) t)
            """
        )
        if (stored, numbered, gapless) != (sent, sent, True):
            raise Failed(f"{self.side.name}: {sent} acknowledged, {stored} stored, numbered up to {numbered} in all")
        return sent

    @contextlib.contextmanager
    def _sending(self, senders: int) -> Iterator[None]:
        """So many send meanwhile, each one message after the other."""
        tally = self._tally
        gc.collect()
        gc.disable()
        tally.acks, tally.deliveries, tally.sending = [], [], True
        for sender in self._senders[:senders]:
            sender.send()
        try:
            yield
        finally:
            tally.sending = tally.counting = False
            gc.enable()

    async def _settle(self) -> None:
        """Waits until everything is acknowledged and has arrived; what stays away is not waited for again."""
        async with asyncio.timeout(SETTLE_SECONDS):
            for sender in self._senders:
                await sender.idle.wait()
        since = time.perf_counter()
        while self.missing > self._given_up and time.perf_counter() - since < SETTLE_SECONDS:
            await asyncio.sleep(0.01)
            if self._tally.trouble:
                break
        self._given_up = self.missing
        if self._tally.trouble:
            raise Failed(f"{self.side.name}: {self._tally.trouble}")

    def _result(self, senders: int, seconds: float, used: dict[str, float]) -> Round:
        acks = sorted(self._tally.acks)
        # Where nothing arrived in time, the time that was measured is the least that it may have taken.
        deliveries = sorted(self._tally.deliveries) or [seconds]
        if not acks:
            raise Failed(f"{self.side.name}: nothing was acknowledged")
        return Round(
            self.side.name,
            senders,
            sent=len(acks) / seconds,
            delivered=len(self._tally.deliveries) / seconds,
            ack_p50=_at(acks, 0.5),
            ack_p99=_at(acks, 0.99),
            delivery_p50=_at(deliveries, 0.5),
            delivery_p99=_at(deliveries, 0.99),
            **used,
        )


def _used(side: Side, resting: Side) -> dict[str, float]:
    """Seconds of processor time so far, by who had them."""
    return {
        "server": processes.cpu_seconds(side.server_pids()),
        "postgres": processes.cpu_seconds(side.postgres_pids()),
        "load": time.process_time(),
        "resting": processes.cpu_seconds({*resting.server_pids(), *resting.postgres_pids()}),
        "machine": processes.busy_seconds(),
    }


def _at(ordered: Sequence[float], share: float) -> float:
    """A quantile in milliseconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000
