"""A client that vanishes without a word is let go in time, and misses nothing when it is back (guarantee G5)."""

from __future__ import annotations

import asyncio
import functools
import random

import pytest

import plaza.entry.bounds
from plaza.realtime import Options
from tests.faults.checker import Verdict, judge
from tests.faults.length import WHOLE, length
from tests.faults.load import relayed
from tests.faults.people import Person, community
from tests.faults.proxy import BadWay
from tests.faults.readers import Poller, Reader
from tests.faults.records import Recorder
from tests.faults.rights import Device
from tests.faults.senders import Ports, Rest, Sender
from tests.faults.watch import counts, seconds_until
from tests.server import Running

INTERVAL_SECONDS, TIMEOUT_SECONDS = length(2.0, 25.0), length(1.6, 20.0)
"""Of pings; the catalogue's are the defaults."""
FREED_SECONDS = length(6.0, 45.0 + 1.0)
"""Interval and timeout, and a second of sweeping and asking; where they are short, what a busy machine may add."""
OFFLINE_SECONDS = length(8.0, 60.0)


async def test_a_client_behind_a_dead_wire_is_let_go_and_resumes_without_a_gap(
    own_database_url: str, monkeypatch: pytest.MonkeyPatch, dice: random.Random, recorder: Recorder
) -> None:
    """F-NET-2: partition client - app, half-open: server frees the socket <= 45 s (25 + 20), presence offline <= 60 s.

    The client resumes without a gap. Nothing is reset: what the server says goes nowhere, and the client says nothing.
    """
    if not WHOLE:
        quick = functools.partial(Options, ping_interval=INTERVAL_SECONDS, ping_timeout=TIMEOUT_SECONDS)
        monkeypatch.setattr(plaza.entry.bounds, "Options", quick)
    with Running(own_database_url) as server:
        anna, bert, dora = (await community(own_database_url)).people("anna", "bert", "dora")
        async with BadWay(server.port) as way:
            ports = Ports([way.port, server.port])
            reader = Reader("bert", bert, [anna], ports, recorder)
            await reader.open()
            watcher = await Device(dora, server.port).open()
            over = asyncio.Event()
            sender = Sender("anna", anna, [bert], Rest(anna, Ports([server.port]), recorder), recorder)
            sending = asyncio.create_task(sender.run(over, 0.4, dice))
            await asyncio.sleep(1)
            way.set(0)
            freed = await seconds_until(lambda: counts(server.url, 1), FREED_SECONDS)
            offline = await seconds_until(lambda: gone(watcher, bert), OFFLINE_SECONDS - freed)
            print(f"let go after {freed:.1f} s, offline {offline:.2f} s later")
            assert freed >= TIMEOUT_SECONDS - 0.5, "it was let go by its silence, not at once"
            await reader.drop()
            ports.turn()
            await reader.open()
            over.set()
            await sending
        verdict = await the_verdict(own_database_url, server, reader, (anna, bert), recorder)
        print(f"{verdict}; {reader.replayed} replayed")
        assert not verdict.violations, verdict
        assert reader.replayed > 0
        assert reader.resets == 0
        await reader.drop()
        await watcher.line.close()


async def gone(watcher: Device, person: Person) -> bool:
    """Whether somebody has been told that a person is offline."""
    return {"email": person.email} in watcher.all("userOffline")


async def the_verdict(
    database_url: str, server: Running, reader: Reader, pair: tuple[Person, Person], recorder: Recorder
) -> Verdict:
    """When all is quiet."""
    await relayed(database_url)
    await reader.resume()
    history = await Poller("scan", *pair, Ports([server.port]), recorder).all()
    return judge(recorder.records, {pair[0].thread_with(pair[1]): history}, [reader.heard])
