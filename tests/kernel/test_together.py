"""What is asked one at a time and answered many at a time: each gets their own answer, and nobody waits for more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from plaza.kernel import together
from plaza.kernel.together import Together


class Squares:
    """Squares numbers, when it is let to, and notes which came together; -1 cannot be squared."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.go = asyncio.Event()
        self.questions = Together(self.answer)

    async def answer(self, numbers: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(numbers))
        await self.go.wait()
        if -1 in numbers:
            raise ValueError(-1)
        return [number * number for number in numbers]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_goes_at_once_and_the_others_together_each_with_their_own_answer() -> None:
    squares = Squares()
    first = asyncio.create_task(squares.questions.ask(1))
    await settled()
    others = [asyncio.create_task(squares.questions.ask(number)) for number in (2, 3, 2)]
    await settled()
    squares.go.set()
    assert await asyncio.gather(first, *others) == [1, 4, 9, 4]
    assert squares.asked == [[1], [2, 3, 2]]
    assert await squares.questions.ask(5) == 25


async def test_no_more_than_so_many_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST", 4)
    squares = Squares()
    squares.go.set()
    assert await asyncio.gather(*map(squares.questions.ask, range(10))) == [number**2 for number in range(10)]
    assert [len(asked) for asked in squares.asked] == [4, 4, 2]


async def test_what_goes_wrong_is_told_to_those_who_asked_together_and_not_to_the_next() -> None:
    squares = Squares()
    squares.go.set()
    answers = await asyncio.gather(*map(squares.questions.ask, (2, -1)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["-1", "-1"]
    assert await squares.questions.ask(2) == 4


async def test_whoever_gives_up_leaves_the_others_their_answers() -> None:
    squares = Squares()
    asking = [asyncio.create_task(squares.questions.ask(number)) for number in (1, 2, 3)]
    await settled()
    asking[1].cancel()
    await settled()
    squares.go.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert (answers[0], answers[2]) == (1, 9)
