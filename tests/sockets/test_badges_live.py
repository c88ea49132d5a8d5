"""What badges say on sockets: the notification of one that was earned, at once and to those who were away."""

from __future__ import annotations

from typing import Any

from tests.api.test_badges import connect
from tests.world import Socket, World


def earned(socket: Socket) -> list[Any]:
    """The notifications of badges, without their places in the log."""
    told = [payload for payload in socket.all("notification") if payload["type"] == "badge_earned"]
    return [{name: value for name, value in payload.items() if name != "cursor"} for payload in told]


async def test_whoever_earns_a_badge_is_told_once_on_every_socket_what_they_would_fetch(world: World) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    (elsewhere,) = await world.south.people("bob")
    phone, laptop = await bob.socket(), await bob.socket()
    strangers = [await carol.socket(), await elsewhere.socket()]
    for _ in range(2):
        connection = await connect(alice, bob)
        await world.server_idle()
        await alice.delete(f"connections/{connection['id']}")
    for socket in (phone, laptop, *strangers):
        await socket.settles()
    (fetched,) = (await bob.get("notifications?type=badge_earned"))["data"]
    assert earned(phone) == earned(laptop) == [fetched]
    assert earned(strangers[0]) == earned(strangers[1]) == []


async def test_a_badge_that_staff_give_is_heard_and_one_taken_back_meanwhile_is_not_told_to_who_was_away(
    world: World,
) -> None:
    (bob,) = await world.north.people("bob")
    sam = await world.north.person("sam", role="staff").arrive()
    kept, lost = [
        await sam.post("/community/badges", {"name": name, "title": name}, status=201) for name in ("kept", "lost")
    ]
    here = await bob.socket()
    since = (await here.ask("sync", {}))["cursor"]
    for badge in (kept, lost):
        await sam.post(f"/community/badges/{badge['id']}/award", {"email": bob.email}, status=201)
    await here.hears("notification", 2)
    assert [item["target"] for item in earned(here)] == [kept["id"], lost["id"]]
    assert await sam.delete(f"/community/badges/{lost['id']}/award/{bob.email}") == {"success": True}
    await world.server_idle()
    back = await bob.socket()
    await back.ask("sync", {"since": since})
    await back.settles()
    assert [item["target"] for item in earned(back)] == [kept["id"]]
