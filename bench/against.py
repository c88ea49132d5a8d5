"""This tree beside another revision of it: processor time per message and per connect, and the rates.

Both servers run at once from their own sources, on the same interpreter and libraries, and take turns in pairs
(A B, B A, A B …). A figure is the median of its pairs' ratios: the machine changes its pace more than most changes do.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from bench import doors, hosts, machine, processes
from bench.audience import Audience
from bench.doors import Entry, Guests
from bench.live import expect_files
from bench.options import Options
from bench.report import Report, Table
from bench.senders import Load, Round
from bench.servers import ORG, ROOT, THIS, Tree, pinned, plaza

T = TypeVar("T")
COST, RATE = 1.05, 0.9
"""Bounds of the ratios: processor time at most, rates at least."""
MESSAGES, REALTIME, WHOLE = "direct messages", "realtime server", "whole Plaza"
_SPARE_FILES = 500


@dataclass(frozen=True)
class Figure:
    """One measured figure of both sides, pair by pair; `bound` is what its ratio must keep to."""

    job: str
    name: str
    ours: Sequence[float]
    theirs: Sequence[float]
    cost: bool
    """Whether less is better."""

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios, this tree's to the other's."""
        return median(one / other for one, other in zip(self.ours, self.theirs, strict=True))

    @property
    def holds(self) -> bool:
        """Whether the ratio keeps to its bound."""
        return self.ratio <= COST if self.cost else self.ratio >= RATE

    def row(self) -> list[str]:
        """The figure as a row of the report."""
        bound = f"≤ {COST:g}" if self.cost else f"≥ {RATE:g}"
        sides = (f"{median(side):,.0f}" for side in (self.ours, self.theirs))
        return [self.job, self.name, *sides, f"{self.ratio:.2f} ×", bound, "yes" if self.holds else "NO"]


async def run(options: Options) -> Report:
    """Connects to the realtime server alone and to the whole Plaza, then direct messages."""
    assert options.against is not None
    expect_files(2 * max(options.sockets) + _SPARE_FILES)
    with machine.folder(options) as folder, processes.on_cores({options.load_core}):
        trees = THIS, extract(options.against, folder)
        entries = [*await _connects(trees, options, folder), *await _newcomers(trees, options, folder)]
        rounds = await _messages(trees, options, folder)
        described = await machine.described(options, folder)
    figures = [*_connect_figures(entries, trees), *_message_figures(options, rounds, trees)]
    columns = ["job", "figure", "this tree", options.against, "ratio", "bound", "holds?"]
    warnings = machine.warning(max(one.others for one in rounds))
    data = {"figures": [asdict(one) for one in figures]}
    name = f"Against {options.against}"
    table = Table(name, columns, [one.row() for one in figures])
    return Report("against", name, [table], [*warnings, *_notes(options)], described, data)


def extract(revision: str, folder: Path) -> Tree:
    """The files of a revision of this repository, in a folder of their own; raises CalledProcessError for none."""
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    root = folder / "revision"
    root.mkdir()
    subprocess.run(["tar", "-x", "-C", str(root)], input=archive, check=True)
    return Tree(revision, root)


async def _connects(trees: Sequence[Tree], options: Options, folder: Path) -> list[Entry]:
    """Connects to `plaza.realtime` with the token checked and nothing behind it."""
    staying = max(options.sockets)
    people = hosts.members(staying + doors.TURNS * doors.OTHERS)
    entries = []
    for _ in range(options.lives):
        async with AsyncExitStack() as stack:
            sides = []
            for tree in trees:
                host = await stack.enter_async_context(hosts.host(hosts.PLAZA, options, _place(folder), tree=tree))
                guests = Guests(
                    host, Audience(host.ports, ORG), people[:staying], people[staying:], doors.OTHERS, REALTIME
                )
                sides.append(guests)
            entries += _turns(sides)
    return entries


async def _newcomers(trees: Sequence[Tree], options: Options, folder: Path) -> list[Entry]:
    """Connects to `plaza serve`, which finds or makes the people and sends their presence to everybody."""
    entries = []
    for _ in range(options.lives):
        async with AsyncExitStack() as stack:
            sides = []
            for tree in trees:
                count = doors.NEWCOMERS * (doors.TURNS + 1)
                side = await stack.enter_async_context(plaza(options, _place(folder), count, tree))
                host = hosts.Host(tree.name, [side.port], side.server_pids)
                staying, others = side.members[: doors.NEWCOMERS], side.members[doors.NEWCOMERS :]
                sides.append(Guests(host, Audience(host.ports, ORG), staying, others, doors.NEWCOMERS, WHOLE))
            entries += _turns(sides)
    return entries


def _turns(sides: Sequence[Guests]) -> list[Entry]:
    memory = [doors.stay(guests) for guests in sides]
    entries = []
    for turn in range(doors.TURNS):
        for guests, each in _in_turn(list(zip(sides, memory, strict=True)), turn):
            entry = doors.turn(guests, turn, each)
            machine.say(f"{entry.job}, {entry.side}: {entry.cost:.0f} µs new, {entry.cost_known:.0f} µs known")
            entries.append(entry)
    return entries


async def _messages(trees: Sequence[Tree], options: Options, folder: Path) -> list[Round]:
    """Direct messages on both, every number of senders in pairs."""
    people = 2 * max(options.senders)
    rounds = []
    async with AsyncExitStack() as stack:
        loads = []
        for tree in trees:
            side = await stack.enter_async_context(plaza(options, _place(folder), people, tree))
            loads.append(Load(side))
        for load in loads:
            await load.connect()
            await load.warm(options)
        for senders in options.senders:
            for number in range(options.rounds):
                for load, resting in _in_turn([(loads[0], loads[1]), (loads[1], loads[0])], number):
                    one = await load.round(senders, options, resting.side)
                    machine.say(f"{senders} senders, {one.side}: {one.sent:,.0f}/s, {one.cost:,.0f} µs each")
                    rounds.append(one)
        for load in loads:
            await load.check()
            load.leave()
    return rounds


def _in_turn(pair: list[T], number: int) -> list[T]:
    return pair if number % 2 == 0 else pair[::-1]


def _place(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _connect_figures(entries: Sequence[Entry], trees: Sequence[Tree]) -> list[Figure]:
    figures = []
    for job in (REALTIME, WHOLE):
        for label, name, cost in (
            ("µs of the server per connect, new token", "cost", True),
            ("µs of the server per connect, token known", "cost_known", True),
            ("connects/s, new token", "fresh", False),
            ("connects/s, token known", "known", False),
            ("bytes of an idle connection", "bytes_each", True),
        ):
            ours, theirs = ([getattr(e, name) for e in entries if (e.job, e.side) == (job, t.name)] for t in trees)
            figures.append(Figure(job, label, ours, theirs, cost))
    return figures


def _message_figures(options: Options, rounds: Sequence[Round], trees: Sequence[Tree]) -> list[Figure]:
    figures = []
    for senders in options.senders:
        for label, name, cost in (
            ("µs of server and PostgreSQL per message", "cost", True),
            ("messages/s", "sent", False),
        ):
            ours, theirs = (
                [getattr(one, name) for one in rounds if (one.senders, one.side) == (senders, tree.name)]
                for tree in trees
            )
            figures.append(Figure(MESSAGES, f"{senders} senders: {label}", ours, theirs, cost))
    return figures


def _notes(options: Options) -> list[str]:
    return [
        f"{options.lives} lives of {doors.TURNS} pairs for connects, {options.rounds} pairs of {options.seconds:g} s "
        f"for each number of senders. Ratios are medians of the pairs' ratios; the columns are medians of each side.",
        pinned(options),
        "Both ran on one interpreter, with the libraries of this tree's lock.",
    ]
