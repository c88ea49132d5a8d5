"""The server's own pages: health, readiness, metrics, and the outbox of a computer without a mail system."""

from __future__ import annotations

import asyncio

from tests.world import World


async def test_health_and_readiness_answer_without_an_organisation(world: World) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await world.http.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_metrics_count_requests_by_route_and_never_name_anybody(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob)
    series = 'plaza_request_seconds_count{method="POST",route="client/community/messages",status="201"}'
    async with asyncio.timeout(5):
        while series not in (text := (await world.http.get("/metrics")).text):  # made once a second
            await asyncio.sleep(0.1)
    assert "plaza_statement_seconds_bucket" in text
    assert alice.email not in text
    assert world.north.slug not in text


async def test_mail_that_cannot_be_sent_is_shown_on_this_computer(world: World) -> None:
    body = {"email": "eve<script>@mail.test", "password": "correct horse 1"}
    await world.http.post("/profile/customer/signup", json=body, headers={"orgid": world.north.slug})
    good = {"email": "dora@mail.test", "password": "correct horse 1"}
    answer = await world.http.post("/profile/customer/signup", json=good, headers={"orgid": world.north.slug})
    assert answer.status_code == 201
    page = await world.http.get("/outbox")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "dora@mail.test" in page.text
    assert world.north.slug in page.text
    assert "{site}" not in page.text
    assert "<script" not in page.text
