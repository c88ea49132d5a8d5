"""The router: a tree over the segments of paths; finding a route costs the depth of its path, not their number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from plaza.kernel.errors import MethodNotAllowed, Missing

T = TypeVar("T")


class Found(NamedTuple, Generic[T]):
    """The target of a path, and the values of its parameters in order."""

    target: T
    values: list[str]


class _Node(Generic[T]):
    __slots__ = ("methods", "parameter", "static")

    def __init__(self) -> None:
        self.static: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        self.methods: dict[str, T] = {}


class Router(Generic[T]):
    """Static segments win over parameters, in whatever order the routes were added (contract, section 1.1)."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, path: str, target: T) -> None:
        """Adds a route; ValueError when another one has its place."""
        node = self._root
        for segment in path.split("/"):
            if segment.startswith(":"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.static.setdefault(segment, _Node())
        if method in node.methods:
            raise ValueError(f"{method} {path} is there twice")
        node.methods[method] = target

    def find(self, method: str, segments: list[str]) -> Found[T]:
        """The route of a path; `Missing` where there is no such path, `MethodNotAllowed` where it has other methods."""
        allowed: set[str] = set()
        for node, values in self._walk(self._root, segments, 0, []):
            if method in node.methods:
                return Found(node.methods[method], values)
            allowed.update(node.methods)
        if allowed:
            raise MethodNotAllowed(sorted(allowed))
        raise Missing("There is no such path.")

    def _walk(
        self, node: _Node[T], segments: list[str], place: int, values: list[str]
    ) -> Iterable[tuple[_Node[T], list[str]]]:
        if place == len(segments):
            if node.methods:
                yield node, values
            return
        segment = segments[place]
        child = node.static.get(segment)
        if child is not None:
            yield from self._walk(child, segments, place + 1, values)
        if node.parameter is not None and segment:
            yield from self._walk(node.parameter, segments, place + 1, [*values, segment])
