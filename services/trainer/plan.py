"""What a training is asked to do and what it says on the way; plain enough to pass through a pipe."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Plan:
    """One run: which sensors and channels (empty: all), on readings before `at`."""

    at: int
    """Epoch seconds."""
    sensors: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Advance:
    """How far the run is."""

    step: int
    of: int
    seconds_left: float | None
    text: str


@dataclass(frozen=True)
class TooLittle:
    """A channel that can't be trained yet."""

    sensor: str
    channel: str
    text: str


@dataclass(frozen=True)
class Trained:
    """A channel that has been trained; times in epoch seconds, path relative to the data folder."""

    sensor: str
    channel: str
    at: int
    id: str
    path: str
    checksum: str
    trained_from: int
    trained_to: int
    promoted: bool
    reason: str
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """The run, or one channel of it, went wrong."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The run is over."""


Record = Advance | TooLittle | Trained | Failed | Ended
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Advance, TooLittle, Trained, Failed, Ended)}


def to_line(record: Record) -> str:
    """One line of JSON."""
    return json.dumps({"kind": type(record).__name__, **asdict(record)}, ensure_ascii=False)


def from_line(line: str) -> Record:
    """The record of such a line. Raises ValueError, KeyError or TypeError when it isn't one."""
    fields = json.loads(line)
    record: Record = _KINDS[fields.pop("kind")](**fields)
    return record


def plan_to_text(plan: Plan) -> str:
    return json.dumps(asdict(plan))


def plan_from_text(text: str) -> Plan:
    fields = json.loads(text)
    return Plan(fields["at"], tuple(fields["sensors"]), tuple(fields["channels"]))
