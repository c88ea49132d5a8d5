"""The router: static segments win, parameters fill, and the number of routes costs nothing."""

from __future__ import annotations

import pytest

from plaza.entry.router import Router
from plaza.kernel.errors import MethodNotAllowed, Missing


def router(*paths: str) -> Router[str]:
    made: Router[str] = Router()
    for path in paths:
        made.add("GET", path, path)
    return made


def test_static_segments_win_over_parameters_in_whatever_order_they_were_added() -> None:
    made = router("pages/:pageId", "pages/mine", "people/:email", "people/suggestions", "a/:b/c", "a/x/d")
    assert made.find("GET", ["pages", "mine"]) == ("pages/mine", [])
    assert made.find("GET", ["pages", "7"]) == ("pages/:pageId", ["7"])
    assert made.find("GET", ["people", "suggestions"]) == ("people/suggestions", [])
    assert made.find("GET", ["a", "x", "c"]) == ("a/:b/c", ["x"])
    assert made.find("GET", ["a", "x", "d"]) == ("a/x/d", [])


def test_a_path_that_is_not_there_is_missing_and_a_method_that_is_not_is_refused_with_the_others() -> None:
    made = router("a/:b")
    made.add("DELETE", "a/:b", "gone")
    for path in (["a"], ["a", ""], ["a", "b", "c"], [""], []):
        with pytest.raises(Missing):
            made.find("GET", path)
    with pytest.raises(MethodNotAllowed) as refusal:
        made.find("PUT", ["a", "b"])
    assert refusal.value.headers == {"Allow": "DELETE, GET"}


def test_two_routes_cannot_have_one_place() -> None:
    with pytest.raises(ValueError, match="twice"):
        router("a/:b", "a/:c")


def test_finding_a_route_takes_as_many_steps_with_two_thousand_routes_as_with_one() -> None:
    class Counting(dict[str, object]):
        looks = 0

        def get(self, key: str, default: object = None) -> object:
            Counting.looks += 1
            return super().get(key, default)

    counts = []
    for number in (1, 2_000):
        made = router(*(f"area{n}/:id/part" for n in range(number)))
        node = made._root
        node.static = Counting(node.static)  # type: ignore[assignment]
        Counting.looks = 0
        made.find("GET", ["area0", "7", "part"])
        counts.append(Counting.looks)
    assert counts[0] == counts[1] == 1
