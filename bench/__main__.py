"""`python -m bench [scenario ...]`: runs scenarios one after the other, prints their tables, writes their results."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from rich.console import Console

from bench import against, direct_messages, footprint, idle, live, people
from bench.options import Options
from bench.report import Report, show, write
from bench.servers import ROOT

SCENARIOS: dict[str, Callable[[Options], Awaitable[Report]]] = {
    "footprint": footprint.run,
    "direct-messages": direct_messages.run,
    "people": people.run,
    "live": live.run,
    "idle": idle.run,
}
AGAINST = "against"
LONGEST_SECONDS = 1800
"""No scenario may last longer, whatever it was told."""
_WIDTH = 140
"""Columns where no terminal says how many there are."""


def main() -> None:
    """Runs what the command line names; every scenario when it names none."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    default = Options()
    parser.add_argument("scenario", nargs="*", help=f"{', '.join(SCENARIOS)} (all)")
    parser.add_argument(
        "--rounds", type=int, default=default.rounds, help="of each side and number of senders (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=default.seconds, help="measured of a round (%(default)s)")
    parser.add_argument("--senders", type=int, nargs="+", default=default.senders, help="at once (1 16 64)")
    parser.add_argument("--starts", type=int, default=default.starts, help="of the footprint (%(default)s)")
    parser.add_argument(
        "--sockets", type=int, nargs="+", default=default.sockets, help="in the room of live (100 1000 5000)"
    )
    parser.add_argument("--lives", type=int, default=default.lives, help="of each side's doors in live (%(default)s)")
    parser.add_argument("--idle", type=float, default=default.idle, help="seconds of the idle sockets (%(default)s)")
    parser.add_argument(
        "--postgres", choices=("server", "load", "free"), default=default.postgres, help="its core (%(default)s)"
    )
    parser.add_argument("--node", help="the Node that runs the peer (the machine's)")
    parser.add_argument("--folder", type=Path, help="where data folders are made (the system's for temporary files)")
    parser.add_argument("--against", metavar="REV", help="this tree beside another revision: messages and connects")
    parser.add_argument("--dry", action="store_true", help="write no results")
    given = vars(parser.parse_args())
    names, dry = given.pop("scenario") or list(SCENARIOS), given.pop("dry")
    if given["against"] is not None:
        names = [AGAINST]
    if unknown := [name for name in names if name not in SCENARIOS and name != AGAINST]:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    options = Options(**given | {name: tuple(given[name]) for name in ("senders", "sockets")})
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # which ends what was started
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name in names:
            report = runner.run(asyncio.wait_for(_run(name, options), LONGEST_SECONDS))
            show(report, Console(width=None if sys.stdout.isatty() else _WIDTH))
            if not dry:
                print(f"written: {write(report).relative_to(ROOT)}", file=sys.stderr)


async def _run(name: str, options: Options) -> Report:
    return await (against.run if name == AGAINST else SCENARIOS[name])(options)


if __name__ == "__main__":
    main()
