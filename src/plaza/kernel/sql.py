"""Named statements: SQL text with `:name` parameters, and the shape of a row, checked by tests against the schema."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

import msgspec

T = TypeVar("T")

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")
STATEMENTS: dict[str, Statement[Any]] = {}
"""Every statement of the house, by name."""


class Duplicate(Exception):  # noqa: N818 — a fact about the data, which the caller reads
    """A statement met a row that is already there; the transaction is over."""


class Statement(Generic[T]):
    """One statement: `row` is a struct whose fields are the columns in order, or the type of the only column.

    `hot` statements must plan without a sequential scan (tests/store). `tenant=False` marks the few that are
    about the server itself and bind no organisation.
    """

    __slots__ = ("announces", "hot", "name", "parameters", "read", "row", "tenant", "text")

    def __init__(self, name: str, row: type[T], text: str, *, hot: bool = False, tenant: bool = True) -> None:
        if name in STATEMENTS:
            raise ValueError(f"two statements are called {name}")
        self.name = name
        self.row = row
        self.read: Callable[[Any], T] = reader(row)
        self.hot = hot
        self.announces = "insert into outbox" in text
        self.tenant = tenant
        self.parameters = tuple(dict.fromkeys(_PARAMETER.findall(text)))
        places = {parameter: f"${place}" for place, parameter in enumerate(self.parameters, 1)}
        self.text = _PARAMETER.sub(lambda match: places[match[1]], text)
        STATEMENTS[name] = self

    def bind(self, values: dict[str, object]) -> list[object]:
        """The values in the order of their places; KeyError names a missing one, TypeError a superfluous one."""
        if len(values) != len(self.parameters):
            raise TypeError(f"{self.name} takes {sorted(self.parameters)}, not {sorted(values)}")
        return [values[parameter] for parameter in self.parameters]


def reader(shape: Any) -> Callable[[Any], Any]:
    """Makes values of `shape` from records: a struct from the columns in order, a nested struct from a `row(…)`."""
    if not _is_struct(shape):
        return lambda record: record[0]
    nested = [
        (place, reader(part))
        for place, field in enumerate(msgspec.structs.fields(shape))
        for part in [_struct_in(field.type)]
        if part is not None
    ]
    if not nested:
        return lambda record: shape(*record)

    def read(record: Iterable[Any]) -> Any:
        values = list(record)
        for place, part in nested:
            if values[place] is not None:
                values[place] = part(values[place])
        return shape(*values)

    return read


def _is_struct(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _struct_in(hint: Any) -> Any:
    """The struct of a field that is one, or may be one; a list of structs is a column of its own kind."""
    options = [hint, *typing.get_args(hint)] if typing.get_origin(hint) is not list else [hint]
    return next((option for option in options if _is_struct(option)), None)


class Database(Protocol):
    """Speaks statements; a pool, or one connection inside a transaction."""

    async def all(self, statement: Statement[T], /, **values: object) -> Sequence[T]:
        """Every row."""

    async def one(self, statement: Statement[T], /, **values: object) -> T:
        """The row of a statement that always has exactly one."""

    async def maybe(self, statement: Statement[T], /, **values: object) -> T | None:
        """The row, or None where there is none."""

    def transaction(self) -> AbstractAsyncContextManager[Database]:
        """One connection in one transaction, or a savepoint of the one that is; an exception takes it back."""
