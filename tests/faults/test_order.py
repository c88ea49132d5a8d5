"""One order for everybody, and nothing appears before a place that somebody has been given (guarantees G3, G4)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from tests.faults.checker import History, Kept, judge
from tests.faults.load import relayed
from tests.faults.people import Person, community
from tests.faults.readers import Follower, Poller, Reader
from tests.faults.records import Draft, Recorder
from tests.faults.senders import Ports, Rest, Sender
from tests.faults.servers import Served, serving
from tests.faults.slow import SlowWay
from tests.faults.wire import Line


async def test_three_hundred_messages_of_one_socket_keep_their_order_though_the_store_is_slow(
    tmp_path: Path, fresh_database_url: str, dice: random.Random, recorder: Recorder
) -> None:
    """F-ORD-1: 300 sends on one socket without waiting, random store delay of 0-5 ms: 0 inversions.

    That the delay would reorder them is shown by ten sockets that take turns: there messages overtake each other.
    """
    async with (
        SlowWay(fresh_database_url, 0.005, dice) as slow,
        serving(Served(tmp_path / "plaza", database_url=slow.url)) as (served,),
    ):
        anna, bert, cleo = (await community(slow.url)).people("anna", "bert", "cleo")
        reader = Reader("bert", bert, [anna], Ports([served.port]), recorder)
        await reader.open()
        delays = slow.delays
        history = await three_hundred(served.port, anna, bert, 1, recorder)
        assert slow.delays - delays >= 300
        await relayed(fresh_database_url)
        async with asyncio.timeout(5):
            while len(reader.heard.ids) < 300:
                await asyncio.sleep(0.01)
        verdict = judge(recorder.records, {anna.thread_with(bert): history}, [reader.heard])
        assert not verdict.violations, verdict
        assert (verdict.acked, reader.replayed) == (300, 0)
        assert [message.number for message in history] == list(range(1, 301))
        await reader.drop()

        history = await three_hundred(served.port, anna, cleo, 10, recorder)
        overtaken = sum(1 for a, b in pairwise(history) if b.number < a.number)
        print(f"{slow.delays} delays; 0 inversions on one socket, {overtaken} of 300 when ten take turns")
        assert overtaken > 0


async def three_hundred(port: int, person: Person, peer: Person, sockets: int, recorder: Recorder) -> list[Kept]:
    """Sends them all before the first answer is waited for, over sockets that take turns; the history after it."""
    lines = [await Line.open(port, person, lambda _event, _payload: None) for _ in range(sockets)]
    drafts = [Draft("anna", number, person.thread_with(peer), peer.email) for number in range(1, 301)]
    answers = []
    for draft in drafts:
        recorder.note("invoke", draft)
        answers.append(await lines[draft.number % sockets].emit("sendMessage", draft.body))
    for draft, answer in zip(drafts, await asyncio.gather(*answers), strict=True):
        assert answer["success"], answer
        recorder.note("ok", draft, id_=answer["message"]["id"], seq=answer["message"]["seq"])
    for line in lines:
        await line.close()
    return await Poller("scan", person, peer, Ports([port]), recorder).all()


async def test_no_cursor_is_given_out_behind_which_something_appears_later(
    tmp_path: Path, fresh_database_url: str, dice: random.Random, recorder: Recorder
) -> None:
    """F-ORD-2: 8 writers with commit delay 0-10 ms, 20 cursor readers polling every 10 ms.

    0 rows missed, 0 late insertions behind a cursor, for the ten who ask `?after=` and for the ten who ask by `sync`.
    The writers' process reaches the database by a slow way, and half of them write in transactions of several
    statements; the readers' process does not.
    """
    url = fresh_database_url
    async with (
        SlowWay(url, 0.01, dice) as slow,
        serving(Served(tmp_path / "w", database_url=slow.url), Served(tmp_path / "r", database_url=url)) as servers,
    ):
        writing, reading = (Ports([server.port]) for server in servers)
        people = (await community(url)).people("anna", "bert", "cleo")
        race = Race(people, reading, recorder)
        await race.run(writing, url, dice)
        verdict = judge(recorder.records, await race.history(), [one.heard for one in race.readers])
        print(f"{verdict}; {sum(one.asked for one in race.readers)} polls and syncs")
        assert not verdict.violations, verdict
        assert [one.late for one in race.followers] == [[]] * 10
        assert recorder.statuses() == {200, 201}


class Race:
    """Anna writes to Bert and to Cleo, and they to her, while everybody reads."""

    def __init__(self, people: Sequence[Person], reading: Ports, recorder: Recorder) -> None:
        anna, bert, cleo = people
        self._pairs = ((anna, bert), (bert, anna), (anna, cleo), (cleo, anna))
        self._reading = reading
        self._recorder = recorder
        self._pollers = [Poller(f"poller{number}", *self._pairs[number % 4], reading, recorder) for number in range(10)]
        self._followed = [
            (me, [me.thread_with(peer) for peer in self._peers(me)])
            for me in (*people, *people, anna, anna, anna, anna)
        ]
        self.followers: list[Follower] = []

    @property
    def readers(self) -> list[Poller | Follower]:
        """Everybody who reads."""
        return [*self._pollers, *self.followers]

    def _peers(self, person: Person) -> list[Person]:
        return [you for me, you in self._pairs if me == person]

    def _senders(self, ports: Ports) -> Iterator[Sender]:
        for number, (me, you) in enumerate(self._pairs * 2):
            way = Rest(me, ports, self._recorder, transaction=number < 4)
            yield Sender(f"writer{number}", me, [you], way, self._recorder)

    async def run(self, writing: Ports, database_url: str, dice: random.Random) -> None:
        """Four seconds of it, and what is needed until all is quiet."""
        self.followers = [await Follower.of(*followed, self._reading.port) for followed in self._followed]
        over, quiet = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for one in self.readers:
                group.create_task(one.run(quiet, 0.01))
            sending = [group.create_task(sender.run(over, 0.005, dice)) for sender in self._senders(writing)]
            await asyncio.sleep(4)
            over.set()
            await asyncio.gather(*sending)
            await relayed(database_url)
            quiet.set()

    async def history(self) -> History:
        """The full scan."""
        return {
            me.thread_with(you): await Poller("scan", me, you, self._reading, self._recorder).all()
            for me, you in self._pairs[::2]
        }
