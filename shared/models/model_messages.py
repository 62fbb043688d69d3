"""Messages and texts on trained and activated models, for the broker and for ./wvr models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.contract.messages import CHANNELS, LocalizedText, ModelTrained
from shared.contract.texts import MAX_CHARACTERS, localized
from shared.models.training_result import TrainingResult

OPERATOR_REASON = LocalizedText("운영자가 선택했습니다", "put into use by the operator")
"""Stored reason of a model that the operator has activated."""
KOREAN_CHANNEL_NAMES = {"flow_rate": "유량", "pressure": "수압"}


def to_model_trained(result: TrainingResult, site: str, zone: ZoneInfo) -> ModelTrained:
    """Return the message on a trained or activated model."""
    at, trained_from, trained_to = (
        datetime.fromtimestamp(seconds, UTC).astimezone(zone)
        for seconds in (result.at, result.trained_from, result.trained_to)
    )
    return ModelTrained(
        site=site,
        sensor=result.sensor,
        at=at,
        channel=next(channel for channel in CHANNELS if channel == result.channel),
        id=result.id,
        path=result.path,
        checksum=result.checksum,
        trained_from=trained_from,
        trained_to=trained_to,
        metrics=result.metrics,
        promoted=result.promoted,
        reason=result.reason,
    )


def activation_text(version: str, activated: Sequence[TrainingResult]) -> LocalizedText:
    """Return a text on the sensors and channels at which a version is now active."""
    if not activated:
        return localized(
            "{version} 사용 중: 저장된 모델이 없습니다", "{version} is in use: no model is stored", version=version
        )
    names = channel_names((result.sensor, result.channel) for result in activated)
    return localized(
        "{version} 사용 중: {names_ko}",
        "{version} is in use: {names}",
        version=version,
        names=names.en,
        names_ko=names.ko,
    )


def channel_name(sensor: str, channel: str) -> LocalizedText:
    """Return the name of a sensor's channel in a text."""
    return LocalizedText(
        f"{sensor} {KOREAN_CHANNEL_NAMES.get(channel, channel)}".strip(), f"{sensor} {channel}".strip()
    )


def channel_names(channels: Iterable[tuple[str, str]]) -> LocalizedText:
    """Return the names of channels, each (sensor, channel), separated by commas."""
    return join_texts(", ", (channel_name(sensor, channel) for sensor, channel in channels))


def join_texts(separator: str, texts: Iterable[LocalizedText]) -> LocalizedText:
    """Return the texts joined in both languages, cut to the limit of the contract."""
    parts = list(texts)
    korean, english = (separator.join(part) for part in ([text.ko for text in parts], [text.en for text in parts]))
    return LocalizedText(korean[:MAX_CHARACTERS], english[:MAX_CHARACTERS])
