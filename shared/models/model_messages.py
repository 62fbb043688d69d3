"""What is said of models, on the broker and by ./wvr models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.trainer.training_protocol import TrainingResult
from shared.contract.messages import CHANNELS, ModelTrained

OPERATOR_REASON = "put into use by the operator"


def to_model_trained(trained: TrainingResult, site: str, zone: ZoneInfo) -> ModelTrained:
    """What was trained or put into use, as a message."""
    at, first, last = (
        datetime.fromtimestamp(seconds, UTC).astimezone(zone)
        for seconds in (trained.at, trained.trained_from, trained.trained_to)
    )
    channel = next(channel for channel in CHANNELS if channel == trained.channel)
    return ModelTrained(
        site, trained.sensor, at, channel, trained.id, trained.path, trained.checksum,
        first, last, trained.metrics, trained.promoted, trained.reason,
    )  # fmt: skip


def activation_text(version: str, used: Sequence[TrainingResult]) -> str:
    """Where a chosen model forecasts from now on."""
    names = ", ".join(f"{trained.sensor} {trained.channel}" for trained in used)
    return f"{version} is in use: {names or 'no model is kept'}"
