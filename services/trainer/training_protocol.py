"""Requests and records of a training, as passed between the trainer and its child process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from shared.contract.messages import LocalizedText
from shared.contract.texts import localized
from shared.models.training_result import TrainingResult


@dataclass(frozen=True)
class TrainingRequest:
    """A training of some sensors and channels (empty: all) on readings before `at`."""

    at: int
    """Epoch seconds."""
    sensors: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def merge(self, other: TrainingRequest) -> TrainingRequest:
        """Return a later request that covers both."""
        sensors = {*self.sensors, *other.sensors} if self.sensors and other.sensors else set()
        channels = {*self.channels, *other.channels} if self.channels and other.channels else set()
        return TrainingRequest(other.at, tuple(sorted(sensors)), tuple(sorted(channels)))


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of a training."""

    step: int
    of: int
    """Total number of steps."""
    seconds_left: float | None
    text: LocalizedText


@dataclass(frozen=True)
class InsufficientData:
    """A channel with too little data for a training."""

    sensor: str
    channel: str
    text: LocalizedText


@dataclass(frozen=True)
class TrainingFailed:
    """An error of the training, or of one channel in it."""

    text: LocalizedText


@dataclass(frozen=True)
class TrainingEnded:
    """The end of a training; its last record."""


TrainingRecord = TrainingProgress | InsufficientData | TrainingResult | TrainingFailed | TrainingEnded
_RECORD_TYPES: dict[str, type[Any]] = {
    record_type.__name__: record_type
    for record_type in (TrainingProgress, InsufficientData, TrainingResult, TrainingFailed, TrainingEnded)
}


def encode_record(record: TrainingRecord) -> str:
    """Return a record as one line of JSON."""
    return json.dumps({"kind": type(record).__name__, **asdict(record)}, ensure_ascii=False)


def decode_record(line: str) -> TrainingRecord:
    """Return the record of a line. Raises ValueError, KeyError or TypeError for any other line."""
    fields = json.loads(line)
    kind = fields.pop("kind")
    texts = {name: LocalizedText(**fields[name]) for name in ("text", "reason") if name in fields}
    record: TrainingRecord = _RECORD_TYPES[kind](**{**fields, **texts})
    return record


def encode_request(request: TrainingRequest) -> str:
    """Return a request as JSON, for the command line of the child process."""
    return json.dumps(asdict(request))


def decode_request(text: str) -> TrainingRequest:
    """Return the request of a text that encode_request has made."""
    fields = json.loads(text)
    return TrainingRequest(fields["at"], tuple(fields["sensors"]), tuple(fields["channels"]))


def shortage_text(days: int, needed: int) -> LocalizedText:
    """Return the text on a channel with too few days of data."""
    return localized(
        "아직 데이터가 부족합니다: {needed}일 중 {days}일. 03:00에 다시 확인합니다",
        "not enough data yet: {days} of {needed} days; next check at 03:00",
        days=days,
        needed=needed,
    )
