"""Search among people: a part of a name, company, job title or headline, in any script (contract, section 1.14)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from plaza.domains.directory import queries
from plaza.domains.people.finding import entry
from tests.api.test_accounts import Door
from tests.world import Person, World

PEOPLE: dict[str, dict[str, Any]] = {
    "zoe": {"firstName": "Zoë", "lastName": "Müller-Østergård", "company": "Größe GmbH"},
    "giorgos": {"firstName": "Γιώργος", "lastName": "Παπαδόπουλος"},
    "ming": {"firstName": "小明", "lastName": "王", "company": "株式会社ドラゴン"},
    "min": {"firstName": "민준", "lastName": "김"},
    "fatima": {"firstName": "فَاطِمَة", "lastName": "أحمد"},
    "ivan": {"firstName": "Иван", "lastName": "Щербаков"},
    "fox": {"firstName": "Foxy", "communityProfile": {"headline": "🦊 makes things 👩‍💻 ❤️"}},
    "percent": {"firstName": "100%", "lastName": "a_b", "company": "C:\\Temp"},
    "obrien": {"firstName": "Seán", "lastName": "O’Brien", "jobTitle": "Łukasz' cook"},
    "wide": {"firstName": "Ｆｕｌｌｗｉｄｔｈ", "lastName": "İstanbul"},
}


async def crowd(world: World) -> Person:
    """Everybody of `PEOPLE`; gives a reader."""
    (reader,) = await world.north.people("reader")
    for name, profile in PEOPLE.items():
        await world.north.person(name).put("people/me", profile)
    return reader


async def found(reader: Person, q: str, **more: str) -> list[str]:
    """The names of those whom a search finds, in the order of `PEOPLE`."""
    asked = "&".join(f"{name}={quote(value)}" for name, value in {"q": q, **more}.items())
    page = await reader.get(f"people?{asked}")
    assert page["total"] == len(page["data"])
    return [row["email"].partition("@")[0] for row in reversed(page["data"])]


FINDS = [
    ("zoe", ["zoe"]),
    ("ZOË", ["zoe"]),
    ("zoe\u0308", ["zoe"]),
    ("muller", ["zoe"]),
    ("OSTERGARD", ["zoe"]),
    ("grosse", ["zoe"]),
    ("größe gmbh", ["zoe"]),
    ("gmbh zoe", ["zoe"]),
    ("zoe giorgos", []),
    ("γιωργοσ", ["giorgos"]),
    ("ΓΙΏΡΓΟΣ", ["giorgos"]),
    ("παπαδ", ["giorgos"]),
    ("王", ["ming"]),
    ("小明", ["ming"]),
    ("明", ["ming"]),
    ("会社ドラ", ["ming"]),
    ("会社とら", []),
    ("ﾄﾞﾗｺﾞﾝ", ["ming"]),
    ("민준", ["min"]),
    ("김", ["min"]),
    ("فاطمة", ["fatima"]),
    ("احمد", ["fatima"]),
    ("иван", ["ivan"]),
    ("щерб", ["ivan"]),
    ("🦊", ["fox"]),
    ("👩\u200d💻", ["fox"]),
    ("❤", ["fox"]),
    ("fox things", ["fox"]),
    ("%", ["percent"]),
    ("0%", ["percent"]),
    ("_", ["percent"]),
    ("a_b", ["percent"]),
    ("axb", []),
    ("\\", ["percent"]),
    ("c:\\temp", ["percent"]),
    ("\\\\", []),
    ("o'brien", ["obrien"]),
    ("o’b", ["obrien"]),
    ("sean", ["obrien"]),
    ("lukasz", ["obrien"]),
    ("fullwidth", ["wide"]),
    ("istanbul", ["wide"]),
    ("nobody-at-all", []),
    ("' or 1=1 --", []),
    ("mail.test", []),
]


async def test_a_part_of_a_name_is_found_in_any_script_and_taken_literally(world: World, prefix: str) -> None:
    reader = await crowd(world)
    missed = {q: names for q, names in FINDS if await found(reader, q) != names}
    assert missed == {}
    everybody = [*PEOPLE, "reader"]
    for nothing in ("", " ", "\u200b", "\u0301", "\t \n"):
        assert sorted(await found(reader, nothing)) == sorted(everybody)


async def test_a_long_search_finds_or_finds_nothing_and_breaks_nothing(world: World) -> None:
    reader = await crowd(world)
    assert await found(reader, "x" * 200) == []
    assert await found(reader, " ".join("zoemuller"[n % 9] for n in range(100))) == ["zoe"]
    assert await found(reader, "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 200) == []
    assert await found(reader, "王" * 200) == []
    assert await found(reader, "%" * 200) == []


async def test_what_a_person_hides_or_says_elsewhere_finds_nobody(world: World, prefix: str) -> None:
    reader, bob = await world.north.people("reader", "bob")
    await bob.put("people/me", {"company": "Secretive", "about": "aboutword", "phone": "+49 999", "location": "Rome"})
    await bob.put("people/me", {"communityProfile": {"bio": "bioword", "expertise": ["tagword"]}})
    assert await found(reader, "secretive") == ["bob"]
    for elsewhere in ("aboutword", "999", "rome", "bioword", "tagword", "x:tagword"):
        assert await found(reader, elsewhere) == []
    await bob.put("people/me", {"communityProfile": {"visibility": {"showCompany": False}}})
    assert await found(reader, "secretive") == []


async def test_a_changed_name_is_found_at_once_and_the_old_one_no_more(world: World, prefix: str) -> None:
    reader, bob = await world.north.people("reader", "bob")
    await bob.put("people/me", {"firstName": "Robert"})
    assert await found(reader, "robert") == ["bob"]
    await bob.put("people/me", {"firstName": "Bertram"})
    assert (await found(reader, "robert"), await found(reader, "bertram")) == ([], ["bob"])
    await Person(world.north, "named@mail.test", name="Quentin Quire").arrive()
    assert await found(reader, "quire") == ["named"]


async def test_a_built_in_account_and_people_from_before_the_directory_are_found_soon(world: World) -> None:
    (reader,) = await world.north.people("reader")
    await Door(world.north, "member").join(firstName="Maximiliane")
    await world.rows(
        """with gone as (delete from directory_entry where org = $1)
        update person set entry_due = true, first_name = 'Renamed' where org = $1 and email = $2""",
        world.north.org.id,
        reader.email,
    )
    for q, name in (("maximil", "member"), ("renamed", "reader")):
        async with asyncio.timeout(5):
            while await found(reader, q) != [name]:
                await asyncio.sleep(0.1)


async def test_expertise_and_interests_narrow_a_search(world: World, prefix: str) -> None:
    reader, bob, carol = await world.north.people("reader", "bob", "carol")
    await bob.put("people/me", {"communityProfile": {"expertise": ["Python", "SQL"], "interests": ["Tea"]}})
    await carol.put("people/me", {"communityProfile": {"expertise": ["python"], "interests": ["Python", "日本 茶"]}})
    assert await found(reader, "", expertise="PYTHON") == ["bob", "carol"]
    assert await found(reader, "", expertise="python, sql") == ["bob"]
    assert await found(reader, "", expertise="sql", interests="tea") == ["bob"]
    assert await found(reader, "", interests="python") == ["carol"]
    assert await found(reader, "", interests="日本 茶") == ["carol"]
    assert await found(reader, "", expertise="pyth") == []
    assert await found(reader, "", expertise=",,") == ["reader", "bob", "carol"]
    await bob.put("people/me", {"firstName": "Bob"})
    assert await found(reader, "bob", expertise="python") == ["bob"]
    assert await found(reader, "carol", expertise="python") == []


async def test_of_many_who_match_the_newest_come_first_and_every_page_is_full(world: World) -> None:
    """As on a server with many thousands of people: the newest are walked, those further off are read by the index."""
    (reader,) = await world.north.people("reader")
    org = world.north.org.id
    count = 1_200
    await make_people(world, org, count, "gamma", first=10_000_000)
    await make_people(world, org, queries.WALKED + 10, "delta", first=20_000_000)
    for name, whole in (("gamma", count), ("delta", queries.WALKED + 10)):
        met: list[str] = []
        page: Any = {"hasNext": True, "nextCursor": ""}
        while page["hasNext"] and len(met) < 350:
            cursor = f"&cursor={page['nextCursor']}" if page["nextCursor"] else ""
            page = await reader.get(f"people?q={name}&limit=100{cursor}")
            assert page["total"] == queries.COUNTED_FOUND
            assert len(page["data"]) == 100
            met += [row["id"] for row in page["data"]]
        start = {"gamma": 10_000_000, "delta": 20_000_000}[name]
        assert met == [str(start + whole - 1 - n) for n in range(len(met))]
    assert (await reader.get("people?q=gamma&limit=100&pageNum=12"))["data"][-1]["id"] == "10000000"


async def test_every_page_of_a_search_says_the_same_total_wherever_its_people_are(world: World) -> None:
    """Some who match are new, some are old, and between them are more people than a search walks."""
    (reader,) = await world.north.people("reader")
    org = world.north.org.id
    await make_people(world, org, 30, "gamma", first=10_000_000)
    await make_people(world, org, queries.WALKED, "delta", first=20_000_000)
    await make_people(world, org, 30, "gammas", first=30_000_000)
    newest_first = [str(start + n) for start in (30_000_000, 10_000_000) for n in reversed(range(30))]
    for limit in (7, 20, 30, 45, 60, 100):
        met: list[str] = []
        cursor = ""
        while len(met) < 60:
            page = await reader.get(f"people?q=gamma&limit={limit}{cursor}")
            met += [row["id"] for row in page["data"]]
            cursor = f"&cursor={page['nextCursor']}"
            assert (page["total"], page["hasNext"]) == (60, len(met) < 60)
        assert met == newest_first
        third = await reader.get(f"people?q=gamma&limit={limit}&pageNum=3")
        assert [row["id"] for row in third["data"]] == newest_first[limit * 2 : limit * 3]


async def make_people(world: World, org: int, count: int, name: str, *, first: int) -> None:
    """People with one name, straight into the store: as many as no test signs in."""
    listed = entry(org, [name])
    await world.rows(
        """
        with made as (
            insert into person (org, id, email, subject, first_name, entry_due, claimed_at, created_at, updated_at)
            select $1, $3 + n, $2 || n || '@mail.test', $2 || n, $2, false, now(), now(), now()
            from generate_series(0, $4::bigint - 1) n returning id
        )
        insert into directory_entry (org, person, words, tags, keys) select $1, id, $5, '{}', $6 from made
        """,
        org,
        name,
        first,
        count,
        listed.words,
        listed.keys,
    )
