"""What a training is asked to do and what it says on the way; plain enough to pass through a pipe."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainingRequest:
    """One run: which sensors and channels (empty: all), on readings before `at`."""

    at: int
    """Epoch seconds."""
    sensors: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingProgress:
    """How far the run is."""

    step: int
    of: int
    seconds_left: float | None
    text: str


@dataclass(frozen=True)
class InsufficientData:
    """A channel that can't be trained yet."""

    sensor: str
    channel: str
    text: str


@dataclass(frozen=True)
class TrainingResult:
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
class TrainingFailed:
    """The run, or one channel of it, went wrong."""

    text: str


@dataclass(frozen=True)
class TrainingEnded:
    """The run is over."""


TrainingRecord = TrainingProgress | InsufficientData | TrainingResult | TrainingFailed | TrainingEnded
_RECORD_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (TrainingProgress, InsufficientData, TrainingResult, TrainingFailed, TrainingEnded)
}


def encode_record(record: TrainingRecord) -> str:
    """One line of JSON."""
    return json.dumps({"kind": type(record).__name__, **asdict(record)}, ensure_ascii=False)


def decode_record(line: str) -> TrainingRecord:
    """The record of such a line. Raises ValueError, KeyError or TypeError when it isn't one."""
    fields = json.loads(line)
    record: TrainingRecord = _RECORD_TYPES[fields.pop("kind")](**fields)
    return record


def encode_request(request: TrainingRequest) -> str:
    return json.dumps(asdict(request))


def decode_request(text: str) -> TrainingRequest:
    fields = json.loads(text)
    return TrainingRequest(fields["at"], tuple(fields["sensors"]), tuple(fields["channels"]))
