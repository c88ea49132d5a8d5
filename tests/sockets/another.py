"""A process of its own that can be killed: `python -m tests.sockets.another DATABASE_URL LEASE_SECONDS`."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import msgspec

from tests.server import SETTINGS, Running

TWO = msgspec.structs.replace(SETTINGS, workers=2)


class Another:
    """Serves while it is entered, unless it is killed before."""

    def __init__(self, database_url: str, lease_seconds: float) -> None:
        command = [sys.executable, "-m", "tests.sockets.another", database_url, str(lease_seconds)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        self.url = self._child.stdout.readline().strip()
        self._child.stdout.close()

    def __enter__(self) -> Another:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """At once, without a word."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()


if __name__ == "__main__":
    with Running(sys.argv[1], TWO, lease_seconds=float(sys.argv[2])) as running:
        print(running.url, flush=True)
        threading.Event().wait()
