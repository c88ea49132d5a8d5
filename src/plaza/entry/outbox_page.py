"""The page /outbox: mail that waits because no mail system was named; on this computer only, for developing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import jinja2

from plaza.entry.http import Request, Send, respond

FOLDER = Path(__file__).parent / "templates"
Letters = Callable[[], Awaitable[Sequence[Mapping[str, str]]]]
"""The newest mails: `org`, `to`, `subject`, `text`, `at` of each."""


class OutboxPage:
    """Shows the newest mails."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters
        self._style = (FOLDER / "outbox.css").read_text("utf-8")
        environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True)
        self._template = environment.get_template("outbox.html")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        self._policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"

    async def page(self, request: Request, send: Send) -> None:
        """Answers `/outbox`."""
        shown = self._template.render(style=self._style, letters=await self._letters())
        await respond(
            send, request, 200, shown.encode(), media=b"text/html; charset=utf-8", policy=self._policy.encode()
        )
