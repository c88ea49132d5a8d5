"""A subject has so many requests in the store at once; the others wait in order, and not for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plaza.entry.concurrency import MOST_WAITING, Concurrency, Subject, TooManyAtOnce

pytestmark = pytest.mark.anyio
ME, OTHER = Subject((1, 7), 2), Subject((2, 7), 2)


def work(concurrency: Concurrency, whose: Subject, log: list[str], name: str) -> tuple[asyncio.Event, Any]:
    """A request that runs until it is told to end."""
    end = asyncio.Event()

    async def run() -> None:
        async with concurrency.slot(whose):
            log.append(name)
            await end.wait()

    return end, asyncio.create_task(run())


async def turn() -> None:
    """Lets everybody go on who can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_two_run_and_the_third_follows_when_one_ends_in_the_order_of_coming() -> None:
    concurrency, log = Concurrency(), list[str]()
    begun = {name: work(concurrency, ME, log, name) for name in "abcd"}
    other = work(concurrency, OTHER, log, "of another organisation")
    await turn()
    assert log == ["a", "b", "of another organisation"]
    begun["b"][0].set()
    await turn()
    assert log[3:] == ["c"]
    begun["a"][0].set()
    await turn()
    assert log[4:] == ["d"]
    for end, task in (*begun.values(), other):
        end.set()
        await task
    assert (concurrency._running, concurrency._waiting) == ({}, {})


async def test_who_waits_too_long_is_refused_and_takes_no_slot_with_it() -> None:
    concurrency, log = Concurrency(seconds=0.02), list[str]()
    begun = [work(concurrency, ME, log, name) for name in "ab"]
    _, task = work(concurrency, ME, log, "late")
    with pytest.raises(TooManyAtOnce) as refused:
        await task
    assert refused.value.headers == {"Retry-After": "1"}
    for end, running in begun:
        end.set()
        await running
    assert log == ["a", "b"]
    assert (concurrency._running, concurrency._waiting) == ({}, {})


async def test_who_leaves_while_waiting_or_running_frees_what_was_theirs() -> None:
    concurrency, log = Concurrency(), list[str]()
    (_, first), (_, second), (_, third), (end, fourth) = (work(concurrency, ME, log, name) for name in "abcd")
    await turn()
    third.cancel()
    await turn()
    first.cancel()
    await turn()
    assert log == ["a", "b", "d"]
    second.cancel()
    end.set()
    await asyncio.gather(first, second, third, fourth, return_exceptions=True)
    assert (concurrency._running, concurrency._waiting) == ({}, {})


async def test_a_slot_given_in_the_moment_of_leaving_goes_to_the_next() -> None:
    concurrency, log = Concurrency(), list[str]()
    (free, first), (_, second), (_, leaving), (_, following) = (work(concurrency, ME, log, name) for name in "abcd")
    await turn()
    free.set()
    await asyncio.sleep(0)  # `a` ends and hands over to `c`, which has not run yet
    leaving.cancel()
    await turn()
    assert log[:2] == ["a", "b"]
    assert "d" in log
    for task in (first, second, leaving, following):
        task.cancel()
    await asyncio.gather(first, second, leaving, following, return_exceptions=True)
    assert (concurrency._running, concurrency._waiting) == ({}, {})


async def test_more_than_may_wait_are_refused_at_once() -> None:
    concurrency, log = Concurrency(), list[str]()
    begun = [work(concurrency, ME, log, str(number)) for number in range(2 + MOST_WAITING)]
    await turn()
    with pytest.raises(TooManyAtOnce):
        await concurrency.acquire(ME)
    for _, task in begun:
        task.cancel()
    await asyncio.gather(*(task for _, task in begun), return_exceptions=True)
    assert (concurrency._running, concurrency._waiting) == ({}, {})


async def test_a_slot_that_is_left_goes_to_the_next_and_is_waited_for_again() -> None:
    concurrency, log = Concurrency(), list[str]()
    back, end = asyncio.Event(), asyncio.Event()

    async def leave() -> None:
        async with concurrency.slot(ME) as slot:
            async with slot.left():
                await back.wait()
            log.append("back")
            await end.wait()

    leaving = [asyncio.create_task(leave()) for _ in range(3)]
    await turn()
    begun = {name: work(concurrency, ME, log, name) for name in "ab"}
    await turn()
    assert log == ["a", "b"]
    back.set()
    await turn()
    assert log == ["a", "b"]
    leaving[0].cancel()
    begun["a"][0].set()
    await turn()
    assert log == ["a", "b", "back"]
    end.set()
    begun["b"][0].set()
    await asyncio.gather(*leaving, *(task for _, task in begun.values()), return_exceptions=True)
    assert concurrency._running == {}
    assert concurrency._waiting == {}
