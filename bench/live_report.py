"""What `bench live` found, in tables: the targets and whether they hold, then the figures they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from bench import machine
from bench.audience import CONNECTING_AT_ONCE, TIMED
from bench.doors import FEW, NEWCOMERS, OTHERS, SOCKETS_EACH, TURNS, WHOLE, Entry
from bench.doors import SIDES as AT_THE_DOOR
from bench.flow import FULL, HIGH, LEAD_SECONDS, LOW, SWEEP_MICROSECONDS, TEXT, WINDOW, Flow
from bench.hosts import NEST, PLAZA, SOCKET_IO
from bench.options import Options
from bench.report import Table, ratio

_TARGETS = ["operation", "against", "target", "measured", "holds?"]
_FLOWS = ["members", "asked", "side", "deliveries/s", "Plaza : it", "p50, ms", "p99, ms", "server, µs each"]
_CORES = ["members", "asked", "side", "server", "broker", "load", "resting", "others", "load, µs each", "remark"]
_DOORS = ["side", "connects/s", f": {NEST}", "tokens known", f": {NEST}", "memory each, kB", f": {NEST}"]
_DOOR_CORES = ["side", "server", "load", "server, µs each", "tokens known: server", "load", "server, µs each"]


def told(
    options: Options, one: Sequence[Flow], two: Sequence[Flow], entries: Sequence[Entry]
) -> tuple[list[Table], list[str]]:
    """The tables and the words of a report."""
    tables = [
        Table("Targets", _TARGETS, [*_targets(options, one, two), *_door_targets(entries)]),
        Table("Deliveries, one process", _FLOWS, _flows(one)),
        Table("Deliveries, two processes and a Redis", _FLOWS, _flows(two)),
        Table("Who had how much of a core, one process", _CORES, _shares(one)),
        Table("Who had how much of a core, two processes and a Redis", _CORES, _shares(two)),
        Table("Coming in", _DOORS, _doors(entries)),
        Table("Who had how much of a core while they came in", _DOOR_CORES, _door_shares(entries)),
    ]
    warnings = machine.warning(max(flow.others for flow in (*one, *two)))
    return tables, [*warnings, *_notes(options)]


def _median(found: Sequence[Any], name: str) -> float:
    """Of a figure, over rounds."""
    return float(median(getattr(one, name) for one in found))


def _of(flows: Sequence[Flow], side: str, members: int, asked: str) -> list[Flow]:
    return [flow for flow in flows if (flow.side, flow.members, flow.asked) == (side, members, asked)]


# The targets.


def _targets(options: Options, one: Sequence[Flow], two: Sequence[Flow]) -> list[list[str]]:
    size = options.middle

    def quotient(flows: Sequence[Flow], against: str, asked: str, name: str) -> float:
        ours, theirs = (_median(_of(flows, side, size, asked), name) for side in (PLAZA, against))
        return ours / theirs

    return [
        _least(f"fan-out, {size:,} members, saturation", NEST, 5, quotient(one, NEST, FULL, "deliveries")),
        _most(f"{LOW}, processor time per delivery", SOCKET_IO, 0.7, quotient(one, SOCKET_IO, LOW, "cost")),
        _most(f"{HIGH}, p99", SOCKET_IO, 0.6, quotient(one, SOCKET_IO, HIGH, "p99")),
        _least("fan-out, two processes and a broker", SOCKET_IO, 1.8, quotient(two, SOCKET_IO, FULL, "deliveries")),
    ]


def _door_targets(entries: Sequence[Entry]) -> list[list[str]]:
    def quotient(name: str) -> float:
        return _median(_turns(entries, PLAZA), name) / _median(_turns(entries, NEST), name)

    return [
        _least("connects/s, new tokens", NEST, 5, quotient("fresh")),
        _least("connects/s, tokens known", NEST, 5, quotient("known")),
        _most("memory of an idle connection", NEST, 0.125, quotient("bytes_each")),
    ]


def _least(operation: str, against: str, target: float, measured: float) -> list[str]:
    return [operation, against, f"≥ {target:g} ×", f"{measured:.2f} ×", "yes" if measured >= target else "NO"]


def _most(operation: str, against: str, target: float, measured: float) -> list[str]:
    return [operation, against, f"≤ {target:g} ×", f"{measured:.2f} ×", "yes" if measured <= target else "NO"]


# Deliveries.


def _cases(flows: Sequence[Flow]) -> list[tuple[int, str, str]]:
    """Members, what was asked, and the side, in the order in which they were measured."""
    return list(dict.fromkeys((flow.members, flow.asked, flow.side) for flow in flows))


def _flows(flows: Sequence[Flow]) -> list[list[str]]:
    rows = []
    for members, asked, side in _cases(flows):
        ours, found = (_of(flows, name, members, asked) for name in (PLAZA, side))
        rows.append(
            [
                f"{members:,}",
                asked,
                side,
                f"{_median(found, 'deliveries'):,.0f}",
                ratio(_median(ours, "deliveries"), _median(found, "deliveries")),
                f"{_median(found, 'p50'):.1f}",
                f"{_median(found, 'p99'):.1f}",
                f"{_median(found, 'cost'):.2f}",
            ]
        )
    return rows


def _shares(flows: Sequence[Flow]) -> list[list[str]]:
    rows = []
    for members, asked, side in _cases(flows):
        found = _of(flows, side, members, asked)
        names = ("server", "broker", "load", "resting", "others")
        shares = [f"{_median(found, name):.0%}" for name in names]
        rows.append([f"{members:,}", asked, side, *shares, f"{_median(found, 'load_cost'):.2f}", _remark(found)])
    return rows


def _remark(found: Sequence[Flow]) -> str:
    remarks = []
    if any(flow.starved for flow in found):
        remarks.append("REFUSED: the load generator may be what was measured")
    if any(flow.late for flow in found):
        remarks.append("did not keep up")
    return "; ".join(remarks)


# Coming in.


def _turns(entries: Sequence[Entry], side: str) -> list[Entry]:
    return [entry for entry in entries if entry.side == side]


def _doors(entries: Sequence[Entry]) -> list[list[str]]:
    rows = []
    for side in AT_THE_DOOR:
        found, theirs = _turns(entries, side), _turns(entries, NEST)
        row = [side]
        for name, unit, form in (("fresh", 1, "{:,.0f}"), ("known", 1, "{:,.0f}"), ("bytes_each", 1000, "{:.1f}")):
            ours = _median(found, name)
            row += [form.format(ours / unit), ratio(ours, _median(theirs, name))]
        rows.append(row)
    return rows


def _door_shares(entries: Sequence[Entry]) -> list[list[str]]:
    rows = []
    for side in AT_THE_DOOR:
        found = _turns(entries, side)
        rows.append(
            [
                side,
                f"{_median(found, 'server'):.0%}",
                f"{_median(found, 'load'):.0%}",
                f"{_median(found, 'cost'):.0f}",
                f"{_median(found, 'server_known'):.0%}",
                f"{_median(found, 'load_known'):.0%}",
                f"{_median(found, 'cost_known'):.0f}",
            ]
        )
    return rows


def _notes(options: Options) -> list[str]:
    return [
        f"Rounds of each side: {options.rounds}, of {options.seconds:g} s; medians. Each came after {LEAD_SECONDS:g} s "
        f"that do not count; the sides took turns, each warmed up for {options.warm / 2:g} s at saturation before.",
        f"Servers, and the Redis, on core {options.server_core}, the load generator on core {options.load_core}.",
        f"{PLAZA} is here `plaza.realtime` with Plaza's token check, and the switchboard's way over the Redis bus, "
        "under a group chat of one room (bench/live_server.py): Plaza has none yet. The peers do the same on Node, "
        "WebSocket only, without compression, tokens checked with a key object (bench/peer).",
        f"One member says {len(TEXT)} characters, everybody hears an event of about 200 bytes. At saturation {WINDOW} "
        "broadcasts are on their way, a new one is said when one has reached everybody. At a fixed rate they leave "
        "evenly, and the delay counts from when they should have left. Every delivery that was due was waited for "
        f"after each round: none was lost. {PLAZA} joins what one turn of its loop writes to a socket; `one at a time` "
        "leaves nothing to be joined.",
        f"The load generator is one thread on plain epoll, the same code for all sides. It learns the frame of the "
        f"broadcasts once, and then counts bytes; {TIMED} sockets evenly among all read the time that each frame "
        "carries. Whether it costs less than the servers is seen beside each figure, in its processor time per "
        "delivery and its share of its core. A row in which it had more than 80 % of its core while the server had "
        "not filled its own is marked REFUSED. At fixed rates the timed sockets are read as it comes to them, the "
        f"others every {SWEEP_MICROSECONDS / 1000:g} ms, when several broadcasts may have come: for each read the "
        "kernel sends an acknowledgement, which is most of what a delivery costs there and one at a time.",
        f"Coming in: {options.lives} lives, of {TURNS} turns of each side; medians of all turns. First "
        f"{max(options.sockets):,} come in and stay, which gives the memory (proportional set size, the peers after "
        f"collecting garbage) and warms everything up; when they have left, {OTHERS:,} of them come and go once more, "
        "uncounted, since collecting garbage cools a side down. In a turn "
        f"{OTHERS:,} ({NEWCOMERS} to {WHOLE}) come in with tokens that the side has not seen: one in {FEW} before "
        "the others and uncounted, since the other sides' turns have cooled it down as well. They leave, and come "
        f"back with the same. {CONNECTING_AT_ONCE} come at once, whose sockets and CONNECT frames were made before.",
        "The peers verify a token each time; Plaza does so once and remembers it until it expires or is taken back. "
        "All clients send the same head of a request, which Plaza reads once; where each has one of its own (a cookie, "
        "what a proxy adds) it is read anew, and a connect costs more than here.",
        f"{WHOLE} is `plaza serve` with its PostgreSQL on the same core: it finds or enrols people, keeps their "
        "presence and tells everybody of it, which the peers do not; no target is set for it. Those who stay are "
        f"{SOCKETS_EACH} sockets a person.",
    ]
