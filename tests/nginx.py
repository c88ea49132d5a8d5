"""An nginx of a test's own: on a socket in a folder, before a server, with the lines that a test sets."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import httpx2

PROGRAM = shutil.which("nginx") or next(filter(os.path.exists, ("/usr/sbin/nginx",)), None)
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen unix:{folder}/socket;
        location / {{ proxy_pass http://127.0.0.1:{port}; {lines} }}
    }}
}}
"""


class Nginx:
    """Passes requests on to a port of this computer while it is entered."""

    def __init__(self, port: int, lines: str) -> None:
        # A path to a socket is short (108 bytes), that of a test's folder may not be.
        self._folder = Path(tempfile.mkdtemp(prefix="nginx-"))
        text = CONFIGURATION.format(folder=self._folder, port=port, lines=lines)
        (self._folder / "nginx.conf").write_text(text, "utf-8")

    def __enter__(self) -> Nginx:
        assert PROGRAM is not None
        words = [PROGRAM, "-e", "stderr", "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        self._child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        for _ in range(500):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self._folder / "socket"))
                except OSError:
                    time.sleep(0.01)
                else:
                    return self
        raise TimeoutError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def client(self, name: str) -> httpx2.AsyncClient:
        """A client that comes through it, and asks for the host `name`."""
        way = httpx2.AsyncHTTPTransport(uds=str(self._folder / "socket"))
        return httpx2.AsyncClient(base_url=f"http://{name}", transport=way, timeout=20)
