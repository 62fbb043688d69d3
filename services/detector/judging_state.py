"""State of the judging of one sensor: since when its readings are judged, or why they are not yet."""

from __future__ import annotations

from datetime import datetime

from services.detector.calibration import RECALIBRATION_DAYS
from services.detector.day_history import MIN_VALUES_PER_DAY
from services.detector.sensor_model import SensorModel
from shared.contract.messages import CHANNELS, LocalizedText, SensorState
from shared.contract.texts import localized

FIRST_CALIBRATION_DAYS = RECALIBRATION_DAYS[0]
JUDGED = LocalizedText("{since:%Y-%m-%d}부터 판정합니다", "judged since {since:%Y-%m-%d}")
TOO_FEW_DAYS = LocalizedText(
    "{day}일째부터 판정합니다: 필요한 {needed}일 중 {days}일의 값이 있습니다",
    "judged from day {day} on: {days} of {needed} days known",
)
TOO_FEW_VALUES = LocalizedText(
    "아직 판정할 수 없습니다: 값이 {hours}시간 이상 있는 날이 부족합니다",
    "not judged yet: too few days have values for {hours} hours",
)


def judging_state(model: SensorModel, at: datetime, previous: SensorState | None) -> SensorState:
    """Return the state from a reading's time on; previous: the last known state."""
    is_active = (
        any(f"{channel}.value.limit" in model.criteria.limits for channel in CHANNELS) if model.criteria else False
    )
    since = None
    if is_active and model.criteria:
        since = previous.since if previous and previous.since else model.criteria.valid_from
    return SensorState(
        site=model.site,
        sensor=model.sensor,
        service="detector",
        at=at,
        is_active=is_active,
        since=since,
        text=localized(JUDGED.ko, JUDGED.en, since=since) if since else _reason(model),
        flow_rate=model.flow.cadence,
        pressure=model.pressure.cadence,
    )


def _reason(model: SensorModel) -> LocalizedText:
    """Return why no reading is judged."""
    days = len(model.history.days)
    if days < FIRST_CALIBRATION_DAYS:
        needed = FIRST_CALIBRATION_DAYS
        return localized(TOO_FEW_DAYS.ko, TOO_FEW_DAYS.en, day=needed + 1, needed=needed, days=days)
    return localized(TOO_FEW_VALUES.ko, TOO_FEW_VALUES.en, hours=MIN_VALUES_PER_DAY // 60)
