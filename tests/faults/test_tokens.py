"""A right that has ended ends on open sockets too, and loudly (guarantee G11)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.length import length
from tests.faults.people import Community, community
from tests.faults.rights import (
    ME,
    PASSWORD,
    Device,
    account,
    all_closed,
    ask,
    chatter,
    command,
    devices,
    get,
    refused,
    signed_in,
)
from tests.faults.servers import Served, serving
from tests.faults.wire import KeptOut
from tests.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]


async def test_a_socket_whose_token_expires_is_told_and_closed_and_hears_nothing_more(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-1: token expires while socket is open: `token_expired` then closed <= 2 s after `exp`; no event after."""
    async with serving(Served(tmp_path / "plaza", database_url=fresh_database_url)) as (served,):
        faults = await community(fresh_database_url)
        anna, dora = faults.people("anna", "dora")
        expires = int(time.time()) + 4
        bert = faults.person("bert", seconds=4)
        device, other = [await Device(person, served.port).open() for person in (bert, dora)]
        async with chatter(served.port, anna, bert, dora):
            await asyncio.wait_for(device.line.closed.wait(), 8)
            closed = time.time()
            assert await get(served.port, ME, bert) == (401, "auth.token_expired")
            with pytest.raises(KeptOut) as kept_out:
                await device.open()
            await asyncio.sleep(0.5)
        (told,) = device.at("token_expired")
        print(f"told {told - expires:+.2f} s, closed {closed - expires:+.2f} s after exp")
        assert expires <= told <= closed <= expires + 2
        assert kept_out.value.args[1]["code"] == "auth.token_expired"
        assert device.heard[-1][1] == "token_expired"
        assert device.line.reason == "token_expired"
        assert len(device.at("newMessage")) > 5
        assert max(other.at("newMessage")) > closed
        assert not other.line.closed.is_set()
        await other.line.close()
        assert served.broken() == []


@pytest.mark.parametrize("store", ["private", "named"])
async def test_a_person_suspended_by_a_command_is_refused_at_once_and_their_socket_closed(
    store: str, tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-2: user suspended by `plaza person suspend`, another process.

    REST refused at the next request; socket closed within 2 s; no event after; nobody else is touched.
    """
    named = fresh_database_url if store == "named" else None
    async with serving(Served(tmp_path / "plaza", database_url=named)) as (served,):
        faults = await community(served.database_url)
        anna, bert, dora = faults.people("anna", "bert", "dora")
        device, other = [await Device(person, served.port).open() for person in (bert, dora)]
        async with chatter(served.port, anna, bert, dora):
            assert await get(served.port, ME, bert) == (200, None)
            suspended = await command(served, "person", "suspend", bert.email, "--org", bert.org)
            assert await get(served.port, ME, bert) == (403, "person.suspended")
            took = await all_closed([device], suspended, 2)
            closed = time.time()
            await asyncio.sleep(0.5)
        print(f"closed {took:.2f} s after the command had ended")
        assert max(at for at, _, _ in device.heard) <= closed
        assert max(other.at("newMessage")) > closed
        assert not other.line.closed.is_set()
        await other.line.close()
        with pytest.raises(KeptOut) as kept_out:
            await device.open()
        assert kept_out.value.args[1]["code"] == "person.suspended"
        assert served.broken() == []


async def test_an_organisation_suspended_by_a_command_is_closed_to_everybody_of_it_and_nobody_else(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-2: org disabled: refused at the next request, sockets closed within 2 s; lifting it lets them in again."""
    async with serving(*two(tmp_path, fresh_database_url)) as servers:
        faults, others = [await community(fresh_database_url, name) for name in ("faults", "others")]
        bert, dora = faults.person("bert"), others.person("dora")
        going, staying = await devices(bert, servers), await devices(dora, servers)
        suspended = await command(servers[0], "org", "suspend", "faults")
        assert [await get(served.port, ME, bert) for served in servers] == [(403, "org.suspended")] * 2
        took = await all_closed(going, suspended, 2)
        print(f"closed {took:.2f} s after the command had ended")
        with pytest.raises(KeptOut) as kept_out:
            await going[0].open()
        assert kept_out.value.args[1]["code"] == "org.suspended"
        assert [await get(served.port, ME, dora) for served in servers] == [(200, None)] * 2
        assert [device.line.closed.is_set() for device in staying] == [False, False]
        await command(servers[0], "org", "suspend", "faults", "--lift")
        assert [await get(served.port, ME, bert) for served in servers] == [(200, None)] * 2
        await leave(staying)
        assert [served.broken() for served in servers] == [[], []]


async def test_a_session_that_ends_at_one_process_ends_its_sockets_at_both_and_nobody_elses(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-2: session revoked by signing out, by a new password: sockets closed within 2 s on both processes."""
    async with serving(*two(tmp_path, fresh_database_url)) as servers:
        dora = (await community(fresh_database_url)).person("dora")
        first = await account(servers[0], "faults", "greta")
        second, third = [await signed_in(served, first) for served in servers]
        ending, changing, asking, staying = [await devices(one, servers) for one in (first, second, third, dora)]
        status, _ = await ask(servers[0].port, "POST", "/profile/signout", first, {})
        signed_out = time.time()
        assert status == 200
        took = await all_closed(ending, signed_out, 2)
        assert [await refused(served.port, first, signed_out, 2) for served in servers] == ["auth.token_revoked"] * 2
        change = {"currentPassword": PASSWORD, "newPassword": "another horse 2"}
        status, body = await ask(servers[1].port, "PUT", "/profile/password", third, change)
        changed = time.time()
        assert status == 200, body
        took_too = await all_closed([*changing, *asking], changed, 2)
        print(f"closed {took:.2f} s after signing out, {took_too:.2f} s after the new password")
        fresh = third._replace(token=body["token"])
        assert [await get(served.port, ME, fresh) for served in servers] == [(200, None)] * 2
        assert [device.line.closed.is_set() for device in staying] == [False, False]
        await leave(staying)
        assert [served.broken() for served in servers] == [[], []]


async def test_rights_that_end_while_the_bus_is_away_end_on_both_processes(
    tmp_path: Path, fresh_database_url: str, redis_server: RedisServer
) -> None:
    """F-TOK-2, F-TOK-5 with the bus dead: sockets closed within 10 s.

    A person is suspended, a session over, a key retired, an organisation suspended.
    """
    async with serving(*two(tmp_path, fresh_database_url, redis_server.url())) as servers:
        faults, others, third = [await community(fresh_database_url, name) for name in ("faults", "others", "third")]
        suspended, keyed, staying = others.person("bert"), faults.person("bert"), others.person("dora")
        shut = third.person("bert")
        session = await account(servers[0], "others", "greta")
        going = [await devices(person, servers) for person in (suspended, keyed, session, shut)]
        stay = await devices(staying, servers)
        redis_server.kill()
        begun = time.time()
        await asyncio.gather(
            command(servers[0], "person", "suspend", suspended.email, "--org", "others"),
            command(servers[1], "key", "rotate", "--org", "faults"),
            ask(servers[1].port, "POST", "/profile/signout", session, {}),
            command(servers[1], "org", "suspend", "third"),
        )
        done = time.time()
        took = await all_closed([device for some in going for device in some], done, 10)
        print(f"closed {took:.2f} s after the commands had ended, which took {done - begun:.2f} s")
        for served in servers:
            assert await get(served.port, ME, suspended) == (403, "person.suspended")
            assert await get(served.port, ME, keyed) == (401, "auth.invalid_token")
            assert await get(served.port, ME, session) == (401, "auth.token_revoked")
            assert await get(served.port, ME, shut) == (403, "org.suspended")
        assert [device.line.closed.is_set() for device in stay] == [False, False]
        await leave(stay)
        assert [served.broken() for served in servers] == [[], []]


async def test_a_fresh_token_keeps_the_socket_without_a_gap_and_somebody_elses_ends_it(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-3: in-band re-auth: no reconnect, no event lost; other user's token on same socket: refused and closed.

    Tokens of three seconds, a fresh one each second, under way a message each 30 ms.
    """
    async with serving(Served(tmp_path / "plaza", database_url=fresh_database_url)) as (served,):
        faults = await community(fresh_database_url)
        anna, dora = faults.people("anna", "dora")
        device = await Device(faults.person("bert", seconds=3), served.port).open()
        async with chatter(served.port, anna, device.person) as sent:
            for _ in range(length(6, 60)):
                await asyncio.sleep(1)
                fresh = faults.person("bert", seconds=3)
                assert await device.line.ask("authenticate", {"token": fresh.token}) == {"success": True}
        async with asyncio.timeout(2):
            while len(device.all("newMessage")) < len(sent):
                await asyncio.sleep(0.01)
        print(f"{len(sent)} messages beside the fresh tokens, none lost")
        assert [message["seq"] for message in device.all("newMessage")] == list(range(1, len(sent) + 1))
        assert not device.line.closed.is_set()
        answer = await device.line.ask("authenticate", {"token": dora.token})
        assert (answer["success"], answer["code"]) == (False, "auth.other_person")
        await asyncio.wait_for(device.line.closed.wait(), 2)
        assert served.broken() == []


async def test_a_block_ends_what_two_people_hear_of_each_other_and_coming_back_does_not_bring_it_back(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-4, as far as there are rooms: blocked while in conversation: no event of that pair after 1 s.

    Coming back does not replay it; a third person hears both all the while.
    """
    async with serving(*two(tmp_path, fresh_database_url)) as servers:
        faults = await community(fresh_database_url)
        anna, bert, dora = faults.people("anna", "bert", "dora")
        annas, berts, doras = [await devices(person, servers) for person in (anna, bert, dora)]
        async with (
            chatter(servers[0].port, anna, bert, dora) as to_bert,
            chatter(servers[1].port, bert, anna, dora),
        ):
            async with asyncio.timeout(20):
                while len(to_bert) < 5:
                    await asyncio.sleep(0.05)
            status, _ = await ask(servers[1].port, "POST", "/client/community/blocks", bert, {"targetId": anna.email})
            blocked = time.time()
            assert status == 201
            for device in annas:
                await device.line.ask("typing", {"to": bert.email})
            await asyncio.sleep(2)
        for devices_, peer in ((annas, bert), (berts, anna)):
            for device in devices_:
                about = [at for at, _, payload in device.heard if peer.email in str(payload) and at > blocked]
                print(f"last word of the other {max(about, default=blocked) - blocked:.2f} s after the block")
                assert max(about, default=blocked) <= blocked + 1
        assert all(max(device.at("newMessage")) > blocked + 1 for device in doras)
        for person, peer in ((anna, bert), (bert, anna)):
            again = await Device(person, servers[0].port).open()
            answer = await again.line.ask("sync", {"since": berts[0].all("authenticate")[0]["cursor"]})
            assert answer["success"]
            assert not answer["reset"]
            assert [payload for _, _, payload in again.heard if peer.email in str(payload)] == []
            await leave([again])
        await leave([*annas, *berts, *doras])
        assert [served.broken() for served in servers] == [[], []]


async def test_a_retired_key_ends_what_it_signed_at_the_next_request_and_on_sockets(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-5: key rotation: old tokens refused at the next request, sockets closed within 2 s (10 are promised)."""
    async with serving(*two(tmp_path, fresh_database_url)) as servers:
        faults, others = [await community(fresh_database_url, name) for name in ("faults", "others")]
        anna, bert = faults.people("anna", "bert")
        (elsewhere,) = others.people("bert")
        going, stay = await devices(bert, servers), await devices(elsewhere, servers)
        async with chatter(servers[0].port, anna, bert):
            assert [await get(served.port, ME, bert) for served in servers] == [(200, None)] * 2
            rotated = await command(servers[0], "key", "rotate", "--org", "faults")
            assert [await get(served.port, ME, bert) for served in servers] == [(401, "auth.invalid_token")] * 2
            took = await all_closed(going, rotated, 2)
        print(f"closed {took:.2f} s after the command had ended")
        with pytest.raises(KeptOut) as kept_out:
            await going[0].open()
        assert kept_out.value.args[1]["code"] == "auth.invalid_token"
        fresh = (await Community.of(fresh_database_url, "faults")).person("bert")
        assert [await get(served.port, ME, fresh) for served in servers] == [(200, None)] * 2
        await leave(await devices(fresh, servers))
        assert [await get(served.port, ME, elsewhere) for served in servers] == [(200, None)] * 2
        assert [device.line.closed.is_set() for device in stay] == [False, False]
        await leave(stay)
        assert [served.broken() for served in servers] == [[], []]


def two(folder: Path, database_url: str, bus_url: str | None = None) -> list[Served]:
    """Two processes on one database; their bus is PostgreSQL unless another is named."""
    return [Served(folder / name, database_url=database_url, bus_url=bus_url) for name in ("one", "two")]


async def leave(some: list[Device]) -> None:
    """They close themselves."""
    for device in some:
        await device.line.close()
