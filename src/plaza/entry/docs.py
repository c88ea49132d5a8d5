"""The pages `/openapi.json` and `/docs`: rendered here from the document, complete without any other server."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import msgspec
from markupsafe import Markup, escape

from plaza.entry.docs_samples import Components, kind, sample
from plaza.entry.http import Request, Send, respond
from plaza.entry.openapi_schemas import REF, Schema
from plaza.entry.rest import PREFIXES

FOLDER = Path(__file__).parent / "templates"
METHODS = ("get", "post", "put", "delete")
_COMMUNITY = re.compile(rf"/(?:{'|'.join(PREFIXES)})/")


class Body(NamedTuple):
    """An answer that is ready to be sent."""

    media: bytes
    plain: bytes
    small: bytes
    policy: bytes | None = None

    @classmethod
    def of(cls, media: bytes, plain: bytes, allowed: bytes | None = None) -> Body:
        """The answer as it is, and compressed."""
        return cls(media, plain, gzip.compress(plain, 9, mtime=0), allowed)


class Docs:
    """The document and the page that shows it: made when somebody first asks, in a thread, and kept."""

    def __init__(self, document: Callable[[], Mapping[str, Any]]) -> None:
        self._document = document
        self._made: Mapping[str, Body] = {}

    async def openapi(self, request: Request, send: Send) -> None:
        """Answers `/openapi.json`."""
        await self._send(request, send, "openapi")

    async def page(self, request: Request, send: Send) -> None:
        """Answers `/docs`."""
        await self._send(request, send, "page")

    async def _send(self, request: Request, send: Send, name: str) -> None:
        if not self._made:
            self._made = await asyncio.to_thread(self._make)
        body = self._made[name]
        small = "gzip" in (request.header("accept-encoding") or "")
        headers = {"Vary": "Accept-Encoding", "Cross-Origin-Opener-Policy": "same-origin"}
        if small:
            headers["Content-Encoding"] = "gzip"
        shown = body.small if small else body.plain
        await respond(send, request, 200, shown, media=body.media, headers=headers, policy=body.policy)

    def _make(self) -> Mapping[str, Body]:
        document = self._document()
        style, script = (FOLDER / "docs.css").read_text("utf-8"), (FOLDER / "docs.js").read_text("utf-8")
        page = render(document, style, script).encode()
        return {
            "openapi": Body.of(b"application/json", msgspec.json.encode(document)),
            "page": Body.of(b"text/html; charset=utf-8", page, policy(style, script)),
        }


def policy(style: str, script: str) -> bytes:
    """A content policy under which nothing but this style and this script has any effect."""
    allowed = {"style-src": style, "script-src": script}
    hashes = [
        f"{source} 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for source, text in allowed.items()
    ]
    rest = ("img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
    return "; ".join(("default-src 'none'", *hashes, *rest)).encode()


def render(document: Mapping[str, Any], style: str, script: str) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kind": kind, "prose": prose, "inline": inline, "pretty": pretty}
    components = document["components"]["schemas"]
    return environment.get_template("docs.html").render(
        info=document["info"],
        style=Markup(style),  # noqa: S704 — our own file
        script=Markup(script),  # noqa: S704 — our own file
        tags=[_tag(tag, document) for tag in document["tags"]],
        limits=document["x-limits"],
        sockets=document["x-socket-events"],
        gateway=_events(document, "sockets"),
        shapes=components,
        refusals=_refusals(document),
    )


def inline(text: str) -> Markup:
    """A sentence as HTML: `code` as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 — escaped


def prose(text: str) -> Markup:
    """A docstring as HTML, in paragraphs."""
    return Markup("").join(Markup("<p>{}</p>").format(inline(part)) for part in text.split("\n\n") if part)


def pretty(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _tag(tag: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    routes = [
        _route(path, method, document)
        for path, operations in document["paths"].items()
        for method in METHODS
        if method in operations and tag["name"] in operations[method]["tags"]
        if not path.startswith(f"/{PREFIXES[1]}/") or not _twin(path, PREFIXES[0], method, document)
    ]
    return {
        "id": tag["name"],
        "title": tag["x-displayName"],
        "about": tag["description"],
        "routes": routes,
        **_events(document, tag["name"]),
    }


def _twin(path: str, prefix: str, method: str, document: Mapping[str, Any]) -> str | None:
    """The path of the same route below the other community prefix; None where it is not there."""
    other = _COMMUNITY.sub(f"/{prefix}/", path)
    return other if _COMMUNITY.match(path) and method in document["paths"].get(other, {}) else None


def _events(document: Mapping[str, Any], tag: str) -> dict[str, Any]:
    sockets, components = document["x-socket-events"], document["components"]["schemas"]
    mine = {side: [event for event in sockets[side] if event["tag"] == tag] for side in ("client", "server")}
    return {
        "client": [{**event, "emit": _emit(event, components)} for event in mine["client"]],
        "server": [{**event, "sample": sample(event["payload"], components)} for event in mine["server"]],
    }


def _emit(event: Mapping[str, Any], components: Components) -> str:
    """The event as a line of JavaScript."""
    payload = json.dumps(sample(event["payload"], components, asked=True), ensure_ascii=False)
    return f'socket.emit("{event["name"]}", {payload}, (answer) => console.log(answer));'


def _route(path: str, method: str, document: Mapping[str, Any]) -> dict[str, Any]:
    operation, components = document["paths"][path][method], document["components"]
    parameters = [_resolved(part, components) for part in operation["parameters"]]
    good = {status: answer for status, answer in operation["responses"].items() if status < "300"}
    schema = next(iter(good.values()))["content"]["application/json"]["schema"]
    asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    body = None if asked is None else sample(asked, components["schemas"], asked=True)
    return {
        **operation,
        "method": method.upper(),
        "path": path,
        "rest": operation.get("description", "").partition("\n\n")[2],
        "also": None if path.startswith(f"/{PREFIXES[1]}/") else _twin(path, PREFIXES[1], method, document),
        "parameters": parameters,
        "asked": asked,
        "fields": None if asked is None else _fields(asked, components["schemas"]),
        "body": body,
        "statuses": sorted(good, reverse=True),
        "answer": schema,
        "answered": sample(schema, components["schemas"]),
        "errors": list(_errors(operation, components)),
        "common": _common(components),
        "curl": _curl(method, path, operation, parameters, body),
    }


def _resolved(part: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parameter or response; what stands among the components is fetched."""
    if "$ref" not in part:
        return part
    _, _, group, name = part["$ref"].split("/")
    found: Mapping[str, Any] = components[group][name]
    return found


def _fields(schema: Schema, components: Components) -> Schema:
    return components[schema["$ref"].removeprefix(REF)]


def _errors(operation: Mapping[str, Any], components: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Status, reason and sentence of every refusal."""
    for status, response in operation["responses"].items():
        if status >= "400":
            for reason, example in _resolved(response, components)["content"]["application/json"]["examples"].items():
                yield status, reason, _resolved(example, components)["summary"]


def _common(components: Mapping[str, Any]) -> set[str]:
    """The reasons that are not one route's own."""
    shared = (response["content"]["application/json"]["examples"] for response in components["responses"].values())
    return {reason for examples in shared for reason in examples}


def _refusals(document: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    examples = document["components"]["examples"]
    return sorted((each["value"]["statusCode"], reason, each["summary"]) for reason, each in examples.items())


def _curl(
    method: str, path: str, operation: Mapping[str, Any], parameters: Iterable[Mapping[str, Any]], body: object
) -> str:
    """The route as a command line."""
    for part in parameters:
        if part["in"] == "path":
            path = path.replace(f"{{{part['name']}}}", str(sample(part["schema"], {}, part["name"])))
    verb = "" if method == "get" else f"-X {method.upper()} "
    lines = [f'curl {verb}"$PLAZA{path}"', "-H 'orgid: demo'"]
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if body is not None:
        text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
        lines += ["-H 'Content-Type: application/json'", f"-d '{text}'"]
    return " \\\n  ".join(lines)
