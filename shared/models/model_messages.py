"""Messages and texts on trained and activated models, for the broker and for ./wvr models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.contract.messages import CHANNELS, ModelTrained
from shared.models.training_result import TrainingResult

OPERATOR_REASON = "put into use by the operator"
"""Stored reason of a model that the operator has activated."""


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


def activation_text(version: str, activated: Sequence[TrainingResult]) -> str:
    """Return a text on the sensors and channels at which a version is now active."""
    names = ", ".join(f"{result.sensor} {result.channel}" for result in activated)
    return f"{version} is in use: {names or 'no model is stored'}"
