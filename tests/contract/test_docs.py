"""The docs page: complete without any other server, readable by everybody, and nothing in it but our own."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest

from plaza.catalogue import document
from plaza.entry.docs import FOLDER, render
from plaza.entry.docs_samples import sample
from tests.world import World

DOCUMENT = document()
STYLE, SCRIPT = (FOLDER / "docs.css").read_text("utf-8"), (FOLDER / "docs.js").read_text("utf-8")
PAGE = render(DOCUMENT, STYLE, SCRIPT)
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Outline(HTMLParser):
    """What a page is made of; raises where an element is not closed in its place."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


OUTLINE = Outline(PAGE)
IDS = Counter(attributes["id"] for _, attributes in OUTLINE.elements if "id" in attributes)


def test_it_asks_nobody_for_anything() -> None:
    for _, attributes in OUTLINE.elements:
        assert not {name for name in attributes if name in {"src", "style"} or name.startswith("on")}
    linked = {attributes["href"] or "" for tag in ("a", "link") for attributes in OUTLINE.all(tag)}
    assert {link for link in linked if not link.startswith(("#", "data:image/svg+xml,"))} == {"openapi.json"}
    assert "@import" not in STYLE
    assert "url(" not in STYLE
    assert not re.search(r"\b(fetch|import|eval|innerHTML|XMLHttpRequest)\b", SCRIPT)


def test_every_link_leads_somewhere_and_every_name_is_there_once() -> None:
    assert max(IDS.values()) == 1
    assert {attributes["href"] for attributes in OUTLINE.all("a")} - {"openapi.json"} <= {f"#{name}" for name in IDS}


def test_every_route_event_reason_and_shape_is_on_it() -> None:
    for path, operations in DOCUMENT["paths"].items():
        elsewhere = DOCUMENT["paths"].get(path.replace("/community/", "/client/community/", 1), {})
        for method, operation in operations.items():
            assert (operation["operationId"] in IDS) != (path.startswith("/community/") and method in elsewhere), path
    for event in DOCUMENT["x-socket-events"]["client"]:
        assert f"emit-{event['name']}" in IDS
    for event in DOCUMENT["x-socket-events"]["server"]:
        assert f"on-{event['name']}" in IDS
    for name in DOCUMENT["components"]["schemas"]:
        assert f"shape-{name}" in IDS
    for ending in DOCUMENT["x-socket-events"]["endings"]:
        assert f'<td>{ending["code"]}</td><th scope="row"><code>{ending["reason"]}</code>' in PAGE
    for reason in DOCUMENT["components"]["examples"]:
        assert f"<code>{reason}</code>" in PAGE


def test_screen_readers_find_their_way() -> None:
    assert OUTLINE.elements[0] == ("html", {"lang": "en"})
    assert len(OUTLINE.all("main")) == len(OUTLINE.all("h1")) == len(OUTLINE.all("nav")) == 1
    assert len(OUTLINE.all("table")) == len(OUTLINE.all("caption"))
    assert all(attributes["scope"] in ("row", "col") for attributes in OUTLINE.all("th"))
    assert {attributes["for"] for attributes in OUTLINE.all("label")} == {
        attributes["id"] for attributes in OUTLINE.all("input")
    }
    levels = [int(tag[1]) for tag, _ in OUTLINE.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(theme: str) -> None:
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in STYLE.split("@media", 2)[:2])
    colours = light if theme == "light" else dark
    text = [(name, paper) for name in ("ink", "quiet", "accent", "delete") for paper in ("paper", "raised")]
    badges = [(name, f"{name}-on") for name in ("get", "post", "put", "delete", "emit", "on")]
    for ink, paper in text + badges:
        assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2, 1.4.3)."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of `#rrggbb`."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_what_a_docstring_says_is_text() -> None:
    told: dict[str, Any] = {**DOCUMENT, "info": {**DOCUMENT["info"], "summary": "<script>alert(1)</script>"}}
    assert "<script>alert(1)</script>" not in render(told, STYLE, SCRIPT)


def test_every_sample_is_as_the_document_says() -> None:
    components = DOCUMENT["components"]["schemas"]
    for name, schema in components.items():
        shape = {"$ref": f"#/components/schemas/{name}"}
        asked = [True] if "oneOf" in schema else [True, False]
        for value in (sample(shape, components, asked=each) for each in asked):
            jsonschema_rs.validate({**DOCUMENT, **shape}, value)


async def test_it_is_served_under_a_policy_that_lets_nothing_else_in(world: World) -> None:
    answer = await world.http.get("/docs")
    assert answer.status_code == 200
    assert answer.text == PAGE
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    for directive, tag in (("style-src", "style"), ("script-src", "script")):
        (within,) = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
        assert policy[directive] == f"'sha256-{base64.b64encode(hashlib.sha256(within.encode()).digest()).decode()}'"
    head = await world.http.head("/docs", headers={"accept-encoding": "identity"})
    assert head.status_code == 200
    assert int(head.headers["content-length"]) == len(PAGE.encode())
    assert head.content == b""
