"""A process of a test's own, so that its cost is not the test's: a JSON array a line in, an object a line out."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

import uvloop


class Child:
    """A module run as a program; it is told a setting, then asked one thing after another."""

    def __init__(self, module: str, *setting: object) -> None:
        self._module = module
        self._setting = setting

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def __aenter__(self) -> Child:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20
        )
        await self._tell(self._setting)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        await self._process.communicate()

    async def ask(self, verb: str, *arguments: object) -> dict[str, Any]:
        """Has it do something; its answer."""
        await self._tell([verb, *arguments])
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer

    async def _tell(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()


def obey(make: Callable[..., Any]) -> None:
    """What the child does: makes something of its setting, and has it do what it is asked until nobody asks."""
    uvloop.run(_obey(make))


async def _obey(make: Callable[..., Any]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    made = make(*json.loads(sys.stdin.readline()))
    while line := await asyncio.to_thread(sys.stdin.readline):
        verb, *arguments = json.loads(line)
        print(json.dumps(await getattr(made, verb)(*arguments)), flush=True)
