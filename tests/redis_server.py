"""A redis-server of a test's own: on a socket in a folder, killed, stopped and started again as a fault demands."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """One server, without persistence; `more` are further words for its command line."""

    def __init__(self, folder: Path, *more: str) -> None:
        self._socket = folder / "redis.sock"
        self._more = more
        self._child: subprocess.Popen[bytes] | None = None

    def url(self, number: int = 0) -> str:
        """Where it is; the number keeps those apart who share it."""
        return f"unix://{self._socket}?db={number}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        assert PROGRAM is not None
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"]
        self._child = subprocess.Popen(
            [PROGRAM, *options, *self._more], stdout=subprocess.DEVNULL, cwd=self._socket.parent
        )
        for _ in range(500):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self._socket))
                    probe.sendall(b"PING\r\n")
                    assert probe.recv(5) in (b"+PONG", b"-NOAU")
                    return
                except OSError:
                    time.sleep(0.01)
        raise TimeoutError

    def tell(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> None:
        """The end, at once; a second time it does no harm."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


@pytest.fixture
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running one; skipped where there is no package with one."""
    if PROGRAM is None:
        pytest.skip("redis-server is not on this machine: install the package redis-server (or valkey)")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()
