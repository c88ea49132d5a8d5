"""What a connection leaves behind: nothing that only the collector would find, for which all others would wait."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from plaza.realtime import Socket
from plaza.realtime.client import Client
from plaza.realtime.door import Door
from plaza.realtime.session import Session
from plaza.realtime.websocket import WebSocket

if TYPE_CHECKING:
    from tests.realtime.conftest import Recorder, Serve

pytestmark = pytest.mark.anyio


def alive() -> Counter[type]:
    """What there is of connections in this process."""
    kinds = (Door, WebSocket, Session, Client, Socket)
    return Counter(type(thing) for thing in gc.get_objects() if type(thing) in kinds)


@pytest.mark.parametrize("leave", ["says goodbye", "is cut", "is dismissed"])
async def test_who_is_gone_is_freed_at_once(serve: Serve, raw: Any, recorder: Recorder, soon: Any, leave: str) -> None:
    async with serve({"/": recorder}) as live:
        gc.collect()
        gc.disable()
        others = alive()  # of the server that all tests of this process share
        try:
            client = await raw(live.port)
            await client.join()
            assert alive() - others == {Door: 1, Session: 1, Client: 1, Socket: 1}
            if leave == "is dismissed":
                recorder.sockets[0].disconnect("enough")
                await client.closed()
            elif leave == "says goodbye":
                client.text("41")
                await asyncio.sleep(0.01)
            recorder.sockets.clear()
            client.cut()
            await soon(lambda: not alive() - others)
        finally:
            gc.enable()
