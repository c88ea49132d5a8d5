"""Durable direct messages: senders that each wait for the acknowledgement before they send the next one.

Every sender has a recipient of its own with an open socket, who must get every message: a round is over when all have
arrived, and at the end the database must hold as many messages as were acknowledged, numbered without gaps.
"""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import Any

from bench import machine, processes
from bench.options import Options
from bench.report import Report, Table, ratio
from bench.senders import TEXT, Failed, Load, Round
from bench.servers import differences, peer, pinned, plaza


async def run(options: Options) -> Report:
    """Both sides at once in memory, one at a time at work: A B A B."""
    people = 2 * max(options.senders)
    with machine.folder(options) as folder, processes.on_cores({options.load_core}):
        async with plaza(options, folder, people) as one, peer(options, folder, people) as other:
            if different := await differences(one, other):
                raise Failed(f"the two databases differ in {', '.join(different)}")
            loads = Load(one), Load(other)
            for load in loads:
                await load.connect()
                await load.warm(options)
            rounds = await _rounds(loads, options)
            stored = {load.side.name: await load.check() for load in loads}
            missing = {load.side.name: load.missing for load in loads if load.missing}
            for load in loads:
                load.leave()
            described = await machine.described(options, folder, one, other, packages=("socket.io", "ws", "pg"))
            return _report(options, rounds, stored, missing, described)


async def _rounds(loads: tuple[Load, Load], options: Options) -> list[Round]:
    done = []
    for senders in options.senders:
        for number in range(1, options.rounds + 1):
            for load, resting in (loads, loads[::-1]):
                result = await load.round(senders, options, resting.side)
                machine.say(
                    f"{senders:>3} senders, round {number}: {load.side.name:<5} {result.sent:>8,.0f}/s, "
                    f"ack {result.ack_p50:.2f} ms, p99 {result.ack_p99:.2f} ms"
                )
                done.append(result)
    return done


def _report(
    options: Options, rounds: list[Round], stored: dict[str, int], missing: dict[str, int], described: dict[str, Any]
) -> Report:
    figures = Table(
        "Durable direct messages",
        ["senders", "figure", "Plaza", "peer", "Plaza : peer"],
        [row for senders in options.senders for row in _figures(rounds, senders)],
    )
    shares = Table(
        "Who had how much of a core",
        ["senders", "side", "server", "PostgreSQL", "load", "resting side", "others"],
        [_shares(rounds, senders, side) for senders in options.senders for side in ("Plaza", "peer")],
    )
    warnings = machine.warning(max(one.others for one in rounds))
    warnings += [
        f"{side}: {count:,} messages had not arrived at an open socket at the end." for side, count in missing.items()
    ]
    return Report(
        "direct-messages",
        "Durable direct messages",
        [figures, shares],
        [*warnings, *_notes(options, stored)],
        described,
        {"stored": stored, "missing": missing, "rounds": [asdict(one) for one in rounds]},
    )


_SHOWN = (
    ("messages/s", "sent", "{:,.0f}"),
    ("ack p50, ms", "ack_p50", "{:.2f}"),
    ("ack p99, ms", "ack_p99", "{:.2f}"),
    ("arrived at the recipient p50, ms", "delivery_p50", "{:.2f}"),
    ("arrived at the recipient p99, ms", "delivery_p99", "{:.2f}"),
)


def _figures(rounds: list[Round], senders: int) -> list[list[str]]:
    rows = []
    for label, name, form in _SHOWN:
        ours, theirs = (_median(rounds, senders, side, name) for side in ("Plaza", "peer"))
        rows.append([str(senders), label, form.format(ours), form.format(theirs), ratio(ours, theirs)])
    return rows


def _shares(rounds: list[Round], senders: int, side: str) -> list[str]:
    names = ("server", "postgres", "load", "resting", "others")
    return [str(senders), side, *(f"{_median(rounds, senders, side, name):.0%}" for name in names)]


def _median(rounds: list[Round], senders: int, side: str, name: str) -> float:
    values: list[float] = [getattr(one, name) for one in rounds if (one.senders, one.side) == (senders, side)]
    return median(values)


def _notes(options: Options, stored: dict[str, int]) -> list[str]:
    return [
        f"Rounds of each side: {options.rounds}, of {options.seconds:g} s; medians. Each came after {options.lead:g} s "
        f"that do not count; the sides took turns, warmed up for {options.warm:g} s and analysed (ANALYZE) before.",
        pinned(options),
        f"Each sender waits for the acknowledgement before it sends the next message, of {len(TEXT)} characters, to a "
        "recipient of its own whose socket is open. Acknowledged means committed: fsync, full_page_writes and "
        "synchronous_commit are on, and no setting of the two databases differs.",
        "Every message acknowledged was found in the database, numbered without gaps, and those that arrived were in "
        f"order: {stored['Plaza']:,} of Plaza, {stored['peer']:,} of the peer.",
        "The peer is socket.io and pg on Node: one prepared statement and one commit for block check, thread, message "
        "and outbox row, on a pool of ten. It does less: no retry by client id, no rule about suspended or "
        "unconnected people, nothing that reads its outbox. Plaza also writes the recipient's notification and the "
        "log that a client which was away catches up from.",
    ]
