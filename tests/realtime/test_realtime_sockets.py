"""What an application and its clients see of namespaces, rooms, events and acknowledgements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.realtime.conftest import Recorder, Serve

pytestmark = pytest.mark.anyio


async def test_a_client_comes_in_says_something_and_gets_its_answer(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/chat": recorder}) as live:
        client = await raw(live.port)
        sid = await client.join("/chat", {"token": "t"})
        assert recorder.sockets[0].id == sid
        assert recorder.sockets[0].data == {"token": "t"}
        client.text('42/chat,7["say","hi",{"a":[1]}]')
        assert await client.next() == '43/chat,7["hi",{"a":[1]}]'
        client.text('42/chat,["echo","no answer asked"]')
        assert await client.next() == '42/chat,["echo","no answer asked"]'


async def test_a_room_hears_one_event_and_others_do_not(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/": recorder}) as live:
        clients = [await raw(live.port) for _ in range(4)]
        for client in clients:
            await client.join()
        for socket in recorder.sockets[:3]:
            socket.enter("garden")
        recorder.sockets[2].enter("shed")
        live.server.emit("/", "garden", "seed", 1, but=["shed"])
        live.server.emit("/", None, "end")
        assert [await client.next() for client in clients[:2]] == ['42["seed",1]'] * 2
        for client in clients:
            assert await client.next() == '42["end"]'
        assert set(live.server.sockets("/", "garden")) == set(recorder.sockets[:3])
        recorder.sockets[0].leave("garden")
        assert recorder.sockets[0].rooms == set()
        assert len(live.server.sockets("/", "garden")) == 2
