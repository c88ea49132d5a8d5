"""Live delivery beside Node: broadcasts to rooms, two processes with a broker, coming in, and memory.

The sides stand at once and take turns (A B C A B C); each is at work alone, on the servers' core.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from bench import doors, hosts, live_report, machine, processes
from bench.audience import Audience
from bench.flow import FULL, RATES, SINGLE, Flow, Room, answer
from bench.options import Options
from bench.report import Report
from bench.servers import ORG, NotReady
from plaza.process import raise_open_files

PACKAGES = ("socket.io", "ws", "@nestjs/core", "@nestjs/platform-socket.io", "@socket.io/redis-adapter", "redis")
_SPARE_FILES = 200


async def run(options: Options) -> Report:
    """Fan-out in one process, then in two, then the doors."""
    expect_files(len(hosts.SIDES) * max(options.sockets) + _SPARE_FILES)
    with machine.folder(options) as folder, processes.on_cores({options.load_core}):
        one = await _fan_out(options, folder)
        two = await _two_processes(options, folder)
        entries = await doors.run(options, folder)
        described = await machine.described(options, folder, packages=PACKAGES)
    described["Redis"] = hosts.redis_version()
    data = {
        "one process": [asdict(flow) for flow in one],
        "two processes": [asdict(flow) for flow in two],
        "doors": [asdict(entry) for entry in entries],
    }
    return Report("live", "Live delivery", *live_report.told(options, one, two, entries), described, data)


def expect_files(needed: int) -> None:
    """Raises the limit of open files, or `NotReady` where it is too low for the clients."""
    raise_open_files()
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < needed:
        raise NotReady(f"{needed:,} open files are needed, {limit:,} are allowed: raise `ulimit -Hn`")


async def _fan_out(options: Options, folder: Path) -> list[Flow]:
    """Three sides of one process each; their rooms fill up from one size to the next."""
    people = hosts.members(max(options.sockets))
    flows: list[Flow] = []
    async with AsyncExitStack() as stack:
        rooms = [await _room(stack, name, options, folder) for name in hosts.SIDES]
        for size in options.sockets:
            for room in rooms:
                room.audience.invite(one.token for one in people[len(room.audience) : size])
                room.audience.admit()
                for other in rooms:
                    answer(other.audience)
            flows += await _rounds(rooms, options, FULL)
            if size == options.middle:
                flows += await _rounds(rooms, options, SINGLE)
                for rate in RATES:
                    flows += await _rounds(rooms, options, rate)
    return flows


async def _two_processes(options: Options, folder: Path) -> list[Flow]:
    """Two processes of a side with a Redis between them, all three on the servers' core."""
    people = hosts.members(options.middle)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(hosts.redis(options, folder))
        rooms = [await _room(stack, name, options, folder, 2, broker) for name in (hosts.PLAZA, hosts.SOCKET_IO)]
        for room in rooms:
            room.audience.invite(one.token for one in people)
            room.audience.admit()
        return await _rounds(rooms, options, FULL)


async def _room(
    stack: AsyncExitStack,
    name: str,
    options: Options,
    folder: Path,
    count: int = 1,
    broker: tuple[int, int] | None = None,
) -> Room:
    host = await stack.enter_async_context(hosts.host(name, options, folder, count, broker))
    audience = Audience(host.ports, ORG)
    stack.callback(audience.leave)
    return Room(host, audience)


async def _rounds(rooms: Sequence[Room], options: Options, asked: str) -> list[Flow]:
    """Each side in turn, several times, all sides warmed up before."""
    flows = []
    for room in rooms:
        room.warm(options.warm / 2)
    for number in range(1, options.rounds + 1):
        for room in rooms:
            await asyncio.sleep(0)  # whoever stops the bench is heard between two rounds
            others = [other for other in rooms if other is not room]
            flow = room.round(asked, options, others)
            machine.say(
                f"{len(room.audience):>5} members, {asked}, round {number}: {flow.side:<9} {flow.deliveries:>9,.0f}/s, "
                f"p99 {flow.p99:.1f} ms, server {flow.server:.0%}, load {flow.load:.0%}"
            )
            flows.append(flow)
    return flows
