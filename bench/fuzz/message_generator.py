"""Random messages that are valid by the contract, drawn from bytes (atheris) or by Hypothesis."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le, MaxLen, MinLen, Predicate

from shared.contract.messages import (
    Forecast,
    Message,
    has_144_or_no_values,
    has_169_or_no_values,
    has_two_ordered_values,
    is_safe_relative_path,
)

SITE = "site1"
START = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
OFFSETS = tuple(timezone(timedelta(minutes=minutes)) for minutes in (540, 540, 540, 0, -1439, 840))
LIMIT_TEXTS = ("1970-01-03T00:00Z", "2099-12-31T09:58Z", "2000-02-29T12:00Z")
LIMIT_TIMES = tuple(datetime.fromisoformat(at) for at in LIMIT_TEXTS)
NUMBERS = (0.0, 12.34, -0.0, 1e9, -1e9, 1e-300, 4.1, 60.0)
LENGTHS: dict[Callable[..., bool], int] = {has_169_or_no_values: 169, has_144_or_no_values: 144}
"""Check of a tuple that is complete or empty, and its complete length."""
NAMES = ("001", "001", "001", "002", "급수-1", "x" * 64)
Choice = TypeVar("Choice")


class ValueSource(Protocol):
    """A source of random values."""

    def integer(self, low: int, high: int) -> int: ...
    def number(self) -> float:
        """Return a finite number."""
        ...

    def text(self, max_length: int) -> str:
        """Return a text without surrogates."""
        ...


def message(draw: ValueSource, kinds: Sequence[type[Message]]) -> Message:
    """Return a random message of one of these types, from site1."""
    drawn: Message = _dataclass(draw, choose(draw, kinds))
    return drawn


def choose(draw: ValueSource, options: Sequence[Choice]) -> Choice:
    return options[draw.integer(0, len(options) - 1)]


def moment(draw: ValueSource) -> datetime:
    """Return a time: mostly within two days of START, sometimes any minute or one near LIMIT_TIMES."""
    choice = draw.integer(0, 9)
    if choice < 7:
        at = START + timedelta(minutes=draw.integer(0, 2880))
    elif choice < 9:
        at = choose(draw, LIMIT_TIMES) + timedelta(minutes=draw.integer(-1000, 1))
    else:
        at = LIMIT_TIMES[0] + timedelta(minutes=draw.integer(0, 68_000_000))
    return at.astimezone(choose(draw, OFFSETS))


def _dataclass(draw: ValueSource, kind: type[Any]) -> Any:
    hints = _hints(kind)  # type: ignore[arg-type]
    values = {field.name: SITE if field.name == "site" else _value(draw, hints[field.name]) for field in fields(kind)}
    if kind is Forecast and not (values["p10"] and values["p50"] and values["p90"]):
        values |= {"p10": (), "p50": (), "p90": ()}
    return kind(**values)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _value(draw: ValueSource, hint: Any, limits: Sequence[Any] = ()) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _value(draw, parts[0], (*parts[1:], *limits))
    if origin in (Union, types.UnionType):
        part = choose(draw, parts)
        return None if part is type(None) else _value(draw, part)
    if origin is Literal:
        return choose(draw, parts)
    if is_dataclass(hint):
        return _dataclass(draw, hint)  # type: ignore[arg-type]
    if origin is tuple:
        return _tuple(draw, parts, limits)
    if origin is dict:
        return {_value(draw, parts[0]): _value(draw, parts[1]) for _ in range(draw.integer(0, 3))}
    return _PLAIN[hint](draw, limits)


def _tuple(draw: ValueSource, parts: tuple[Any, ...], limits: Sequence[Any]) -> tuple[Any, ...]:
    if parts[-1] is not Ellipsis:
        return tuple(_value(draw, part) for part in parts)
    if length := next((LENGTHS[check] for check in _predicates(limits) if check in LENGTHS), 0):
        values = [_value(draw, parts[0]) for _ in range(draw.integer(0, 3))]
        return tuple(values[index % len(values)] for index in range(length)) if values else ()
    if has_two_ordered_values in _predicates(limits):
        return tuple(sorted(_value(draw, parts[0]) for _ in range(2)))
    min_length = max((limit.min_length for limit in limits if isinstance(limit, MinLen)), default=0)
    max_length = min((limit.max_length for limit in limits if isinstance(limit, MaxLen)), default=min_length + 3)
    drawn_length = draw.integer(min_length, min(max_length, min_length + 3))
    return tuple(_value(draw, parts[0]) for _ in range(drawn_length))


def _predicates(limits: Sequence[Any]) -> list[Callable[..., bool]]:
    return [limit.func for limit in limits if isinstance(limit, Predicate)]


def _string(draw: ValueSource, limits: Sequence[Any]) -> str:
    if any(isinstance(limit, MinLen) for limit in limits):
        return choose(draw, NAMES) if draw.integer(0, 7) else f"s{draw.integer(0, 99_999)}"
    if is_safe_relative_path in _predicates(limits):
        return choose(draw, ("output/Learning_lstm/flow_rate/001", "", ".", "secrets", "output"))
    return draw.text(min(limit.max_length for limit in limits if isinstance(limit, MaxLen)))


def _integer(draw: ValueSource, limits: Sequence[Any]) -> int:
    (low,) = (limit.ge for limit in limits if isinstance(limit, Ge))
    (high,) = (limit.le for limit in limits if isinstance(limit, Le))
    assert isinstance(low, int)
    assert isinstance(high, int)
    return draw.integer(low, min(low + 50, high)) if draw.integer(0, 3) else draw.integer(low, high)


def _float(draw: ValueSource, limits: Sequence[Any]) -> float:
    value = choose(draw, NUMBERS) if draw.integer(0, 1) else draw.number()
    for limit in limits:
        if isinstance(limit, Ge):
            value = max(value, float(limit.ge))  # type: ignore[arg-type]
        elif isinstance(limit, Le):
            value = min(value, float(limit.le))  # type: ignore[arg-type]
    return value


_PLAIN: dict[Any, Callable[[ValueSource, Sequence[Any]], Any]] = {
    str: _string,
    int: _integer,
    float: _float,
    bool: lambda draw, _: bool(draw.integer(0, 1)),
    datetime: lambda draw, _: moment(draw),
}
