"""One's own profile and preferences (contract, section 1.14), as far as direct messages need them."""

from __future__ import annotations

from tests.world import World


async def test_what_is_left_out_of_a_change_stays(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    changed = await alice.put("people/me", {"firstName": "Alice", "company": "Acme"})
    assert (changed["firstName"], changed["company"], changed["lastName"]) == ("Alice", "Acme", "")
    preferences = {"communityProfile": {"connectionPreferences": {"sendReadReceipts": False}}}
    changed = await alice.put("people/me", preferences)
    assert changed["firstName"] == "Alice"
    assert changed["communityProfile"]["connectionPreferences"] == {
        "autoAcceptQrScans": False,
        "allowMessagesFromNonConnections": True,
        "sendReadReceipts": False,
    }
    assert await alice.get("people/me") == changed
    assert (await world.south.person("alice").get("people/me"))["firstName"] == ""


async def test_a_profile_takes_nothing_that_is_not_the_persons_own(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    for body in (
        {"email": "x@mail.test"},
        {"id": "1"},
        {"status": "active"},
        {"image": "javascript:x"},
        {"firstName": 5},
    ):
        assert (await alice.refused("PUT", "people/me", body))[0] == 400
    assert (await alice.get("people/me"))["email"] == alice.email


async def test_a_suspended_person_is_refused_at_the_next_request_and_cut_from_sockets(world: World) -> None:
    from plaza.domains.people import service as people
    from plaza.kernel.clock import system_clock

    (alice,) = await world.north.people("alice")
    (twin,) = await world.south.people("alice")
    socket, other = await alice.socket(), await twin.socket()
    person = await people.suspend(world.store, world.north.org, alice.email, system_clock())
    world.server.loop.call_soon_threadsafe(
        lambda: world.server.plaza.switchboard.forget(world.north.org.id, person=person)
    )
    await socket.closed.wait()
    assert await alice.refused("GET", "people/me") == (403, "person.suspended")
    assert other.client.connected
    await people.suspend(world.store, world.north.org, alice.email, system_clock(), lift=True)
    assert (await alice.get("people/me"))["email"] == alice.email
