"""The samples of README and /docs do what they say, run by Node with the official client."""

from __future__ import annotations

import asyncio
import html
import json
import re
from pathlib import Path

import pytest

from tests.node import FOLDER, node
from tests.world import Person, World

README = Path(__file__).parents[2] / "README.md"
ADDRESS = "http://127.0.0.1:8000"
AFTER = """
socket.on("connect", () => console.log("connected"));
socket.on("newMessage", (message) => { console.log(message.content); socket.disconnect(); });
"""


async def sample(world: World, place: str) -> str:
    """The code of a socket that comes back."""
    if place == "README":
        blocks = re.findall(r"```js\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    else:
        page = (await world.http.get("/docs")).text
        blocks = [html.unescape(block) for block in re.findall(r"<code>([^<]*)</code></pre>", page)]
    (found,) = [block for block in blocks if "await freshToken()" in block]
    return str(found)


@pytest.mark.parametrize("place", ["README", "/docs"])
async def test_a_socket_that_stays_comes_back_with_a_fresh_token(world: World, place: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    code = (await sample(world, place)).replace(ADDRESS, world.url).replace('"demo"', f'"{world.north.slug}"')
    process = await asyncio.create_subprocess_exec(
        node(), "--input-type=module", "-", cwd=FOLDER, stdin=-1, stdout=-1, stderr=-1
    )
    assert process.stdin is not None
    assert process.stdout is not None
    tokens = [Person(world.north, alice.email, seconds=3).token, alice.token]
    process.stdin.write(f"const freshToken = async () => {json.dumps(tokens)}[given++];\nlet given = 0;\n".encode())
    process.stdin.write(f"{code}\n{AFTER}".encode())
    process.stdin.close()
    async with asyncio.timeout(20):
        heard = [(await process.stdout.readline()).decode().strip() for _ in range(3)]
        if heard[0] != "connected":  # Node took so long that the first token had lapsed when it came
            heard = ["connected", *heard[:1], (await process.stdout.readline()).decode().strip()]
        assert heard == ["connected", "away: transport close", "connected"]
        await bob.send(alice, "welcome back")
        assert (await process.stdout.readline()).decode().strip() == "welcome back"
        assert (await process.stdout.readline()).decode().strip() == "away: io client disconnect"
        assert await process.wait() == 0
