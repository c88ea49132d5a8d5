"""The recipe of a filled database: what people, staff and operators do to the version before, through its own API.

`fill` leaves two organisations with the same people, a third one whose tokens are signed by a key set, and a fourth one
that is suspended; `read` asks for what everybody sees.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import asyncpg
import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.jwks import KeyServer

MEMBER = "/client/community"
STAFF = "/community"
PASSWORD = "a horse of its own 1"
NAMES = ("anna", "bert", "cleo", "dora", "emil", "frida")
LATE = ("ingo", "jana")
"""Who writes to each other when the readers have read; no reader sees that."""
HIDDEN = ("lena", "mona")
"""Who is in no directory and has no ties: what happens to them is seen by no reader either."""
ORGS = ("north", "south")
KEY_ID = "foreign"
KEY = Ed25519PrivateKey.generate()
"""What signs the tokens of the organisation `east`."""
SETTLE_SECONDS = 20.0


class Caller(NamedTuple):
    """Somebody with a token of an organisation."""

    http: httpx2.AsyncClient
    org: str
    name: str
    token: str

    @property
    def email(self) -> str:
        """Their address."""
        return f"{self.name}@mail.test"

    @property
    def headers(self) -> dict[str, str]:
        """What their client sends."""
        return {"orgid": self.org, "authorization": f"Bearer {self.token}"}

    async def ask(self, method: str, path: str, json: Any = None, *, key: str | None = None) -> httpx2.Response:
        """An answer; `key` is the request's Idempotency-Key."""
        headers = self.headers | ({"idempotency-key": key} if key else {})
        return await self.http.request(method, path, json=json, headers=headers)

    async def do(self, method: str, path: str, json: Any = None, *, key: str | None = None) -> Any:
        """The body of a good answer; a path without a slash is below the members' prefix."""
        answer = await self.ask(method, path if path.startswith("/") else f"{MEMBER}/{path}", json, key=key)
        assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
        return answer.json()


class Orgs:
    """The signers of the organisations, read from the store as an operator might: no version's code is needed.

    Its connections to one server are open while it is entered.
    """

    def __init__(self, database_url: str, url: str) -> None:
        self.database_url = database_url
        self.http = httpx2.AsyncClient(base_url=url, timeout=30)

    async def __aenter__(self) -> Orgs:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def rows(self, text: str, *values: object) -> list[Any]:
        """What the store holds."""
        connection = await asyncpg.connect(self.database_url)
        try:
            found: list[Any] = await connection.fetch(text, *values)
            return found
        finally:
            await connection.close()

    async def caller(self, org: str, name: str, **claims: object) -> Caller:
        """Somebody, by a token of the organisation's own key."""
        (key,) = await self.rows(
            "select kid, secret from org_key join org on org.id = org_key.org where slug = $1 and secret is not null "
            "and retired_at is null",
            org,
        )
        token = sign(org, name, key["secret"], "HS256", key["kid"], **claims)
        return Caller(self.http, org, name, token)

    def foreigner(self, name: str) -> Caller:
        """Somebody of `east`, whose key set has signed the token."""
        return Caller(self.http, "east", name, sign("east", name, KEY, "EdDSA", KEY_ID))


def sign(org: str, name: str, key: Any, algorithm: str, kid: str, **claims: object) -> str:
    """A token as an organisation's backend makes it."""
    email = f"{name}@mail.test"
    now = int(time.time())
    body = {"iss": "plaza", "aud": "plaza", "org": org, "sub": email, "email": email, "iat": now, "exp": now + 3600}
    return jwt.encode(body | claims, key, algorithm=algorithm, headers={"kid": kid})


def operator(keys: KeyServer) -> list[list[str]]:
    """What an operator types before anybody comes."""
    keys.publish("EdDSA", KEY_ID, KEY.public_key())
    made = [["org", "create", slug, "--title", slug.title()] for slug in (*ORGS, "east", "west")]
    return [
        *made,
        ["org", "trust", "east", keys.url],
        ["org", "set", "south", "dmPolicy=connections", "maskEmails=true"],
    ]


def operator_meanwhile() -> list[list[str]]:
    """What an operator types while the server runs."""
    return [["person", "suspend", "frida@mail.test", "--org", "north"], ["org", "suspend", "west"]]


def operator_afterwards() -> list[list[str]]:
    """What an operator types while no server runs: its facts wait in the outbox for the next one."""
    return [
        ["person", "suspend", "lena@mail.test", "--org", "north"],
        ["person", "email", "mona@mail.test", "mona.new@mail.test", "--org", "south"],
    ]


async def fill(orgs: Orgs) -> None:
    """Everything that happens while the server runs."""
    for slug in ORGS:
        people = {name: await orgs.caller(slug, name) for name in (*NAMES, *LATE, *HIDDEN)}
        for person in people.values():
            await person.do("GET", "people/me")
        await _profiles(people)
        await _ties(people)
        await _messages(people)
        await _account(orgs, slug)
        await _badges(await orgs.caller(slug, "sam", role="staff"), people["bert"])
        await people["emil"].do("POST", "blocks", {"targetId": "dora@mail.test", "reason": "Too many 🐝"})
        await settled(orgs)
        await _notifications(people["anna"])
    for name in ("gert", "hanna"):
        await orgs.foreigner(name).do("GET", "people/me")
    await orgs.foreigner("gert").do("POST", "follow", {"following": "hanna@mail.test"})
    await settled(orgs)


async def _profiles(people: dict[str, Caller]) -> None:
    community = {
        "headline": "Käse & Bäume",
        "interests": ["かき", "がぎ"],
        "expertise": ["สวัสดี", "Sales"],
        "bio": "Zeile\nzwei",
    }
    anna = {
        "firstName": "Anna",
        "lastName": "Ærø",
        "company": "Plaza 🏛",
        "phone": "+49 1",
        "communityProfile": community,
    }
    await people["anna"].do("PUT", "people/me", anna)
    await people["bert"].do("PUT", "people/me", {"firstName": "Bert", "company": "Plaza 🏛"})
    hidden = {"isPublic": False, "visibility": {"showEmail": False}}
    for name in ("cleo", *HIDDEN):
        await people[name].do("PUT", "people/me", {"firstName": name.title(), "communityProfile": hidden})
    quiet = {"connectionPreferences": {"sendReadReceipts": False}}
    await people["dora"].do("PUT", "people/me", {"firstName": "Dora", "communityProfile": quiet})


async def _ties(people: dict[str, Caller]) -> None:
    for who, whom in (("anna", "bert"), ("bert", "anna"), ("cleo", "anna"), ("dora", "bert"), ("frida", "anna")):
        await people[who].do("POST", "follow", {"following": f"{whom}@mail.test", "muted": who == "cleo"})
    await people["dora"].do("DELETE", "follow/bert@mail.test")
    asked = {}
    for who, whom in (
        ("anna", "bert"),
        ("cleo", "anna"),
        ("dora", "anna"),
        ("emil", "anna"),
        ("bert", "cleo"),
        ("frida", "anna"),
    ):
        request = {"targetId": f"{whom}@mail.test", "message": f"{who} asks"}
        asked[who] = (await people[who].do("POST", "connections/request", request))["id"]
    for whom, who, action in (
        ("bert", "anna", "accept"),
        ("anna", "dora", "reject"),
        ("anna", "emil", "accept"),
        ("anna", "frida", "accept"),
        ("cleo", "bert", "accept"),
    ):
        await people[whom].do("PUT", f"connections/{asked[who]}/respond", {"action": action})
    await people["anna"].do("DELETE", f"connections/{asked['emil']}")


async def _messages(people: dict[str, Caller]) -> None:
    anna, bert = people["anna"], people["bert"]
    sent: list[Any] = []
    for number in range(6):
        here, there = (anna, bert) if number % 2 else (bert, anna)
        body: dict[str, Any] = {
            "to": there.email,
            "content": f"Nachricht {number} 🐙 \u202ex",
            "clientId": f"c-{number}",
        }
        body |= {"replyTo": sent[0]["id"]} if number == 3 else {}
        body |= {"attachments": [{"url": "https://files.test/a.png", "type": "image/png"}]} if number == 4 else {}
        sent.append(await here.do("POST", "messages", body))
    await bert.do("POST", "messages/read", {"ids": [sent[1]["id"]]})
    await anna.do("DELETE", f"messages/{sent[1]['id']}?scope=everyone")
    await anna.do("DELETE", f"messages/{sent[2]['id']}?scope=me")
    await people["frida"].do("POST", "messages", {"to": anna.email, "content": "Before I go"})
    await send_once(anna)


async def send_once(anna: Caller) -> Any:
    """A message with an Idempotency-Key: sent again it is the same."""
    return await anna.do("POST", "messages", {"to": "bert@mail.test", "content": "Once"}, key="key-1")


async def _account(orgs: Orgs, slug: str) -> None:
    """A built-in account, signed in; another one that was never verified."""
    address = "kurt@mail.test"
    nobody = Caller(orgs.http, slug, "kurt", "")
    for email in ("nobody@mail.test", address):
        signed = await _account_call(nobody, "signup", {"email": email, "password": PASSWORD})
    mail = await orgs.rows(
        "select text from mail join org on org.id = mail.org where slug = $1 and recipient = $2", slug, address
    )
    code = re.search(r"this code: (\w+)", mail[0]["text"])
    assert code is not None
    await _account_call(nobody._replace(token=signed["token"]), "verify", {"email": address, "code": code[1]})
    await _account_call(nobody, "password/forgot", {"email": address})


async def _account_call(nobody: Caller, verb: str, body: Any) -> Any:
    token = {"authorization": f"Bearer {nobody.token}"} if nobody.token else {}
    headers = {"orgid": nobody.org} | token
    answer = await nobody.http.post(f"/profile/customer/{verb}", json=body, headers=headers)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def sign_in(orgs: Orgs, slug: str) -> Caller:
    """The account of the recipe, by its password."""
    signed = await _account_call(
        Caller(orgs.http, slug, "kurt", ""), "signin", {"email": "kurt@mail.test", "password": PASSWORD}
    )
    return Caller(orgs.http, slug, "kurt", signed["token"])


async def _badges(sam: Caller, bert: Caller) -> None:
    for name in ("host", "guest"):
        badge = await sam.do("POST", f"{STAFF}/badges", {"name": name, "title": name.title()})
        await sam.do("POST", f"{STAFF}/badges/{badge['id']}/award", {"email": bert.email})
    await sam.do("DELETE", f"{STAFF}/badges/{badge['id']}/award/{bert.email}")


async def _notifications(anna: Caller) -> None:
    listed = (await anna.do("GET", "notifications"))["data"]
    await anna.do("POST", "notifications/read", {"ids": [listed[-1]["id"]]})


BUSY = """
    select exists (select 1 from outbox) or exists (select 1 from person where entry_due and claimed_at is not null)
"""


async def settled(orgs: Orgs) -> None:
    """Waits until the server has relayed everything and has listed everybody."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while (await orgs.rows(BUSY))[0][0]:
            await asyncio.sleep(0.02)


READS = (
    "people/me",
    "people",
    "people?q=plaza",
    "people?interests=かき",
    "people/suggestions",
    *(f"people/{name}@mail.test" for name in NAMES),
    "followers",
    "following",
    "connections",
    "connections?status=rejected",
    "connections/pending",
    "connections/sent",
    "connections/stats",
    "connections/mutual/cleo@mail.test",
    "blocks",
    "presence/online",
    "messages/threads",
    "messages/thread/anna@mail.test",
    "messages/thread/bert@mail.test",
    "messages/thread/frida@mail.test",
    "messages/unread-count",
    "badges",
    "badges/mine",
    "notifications",
    "notifications?unread=true",
    "notifications/unread-count",
)
READERS = ("anna", "bert", "cleo", "dora", "emil")
Answers = dict[str, tuple[int, Any]]


async def read(orgs: Orgs) -> Answers:
    """What everybody sees: status and body of each GET, by who asked and for what."""
    callers = [(await orgs.caller(slug, name), READS) for slug in ORGS for name in READERS]
    callers += [(orgs.foreigner(name), READS[:2]) for name in ("gert", "hanna")]
    answers: Answers = {}
    for caller, paths in callers:
        found = await asyncio.gather(*(caller.ask("GET", f"{MEMBER}/{path}") for path in paths))
        for path, answer in zip(paths, found, strict=True):
            answers[f"{caller.org} {caller.name} {path}"] = (answer.status_code, answer.json())
    return answers


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Where the new answer does not have what the old one had; more fields are no difference, more rows are."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from differences(value, new.get(key, "(missing)"), f"{path}.{key}")
    elif isinstance(old, Sequence) and not isinstance(old, str) and isinstance(new, Sequence) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{path}[{place}]")
    elif old != new:
        yield f"{path}: {old!r} is {new!r}"
