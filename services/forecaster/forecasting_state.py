"""State of the forecasts of one sensor: since when it is forecast, or why it is not yet."""

from __future__ import annotations

from shared.contract.messages import LocalizedText, Prediction, SensorState
from shared.contract.texts import localized
from shared.domain.profile_forecast import MIN_KNOWN_HOURS

FORECAST = LocalizedText("{since:%Y-%m-%d %H:%M}부터 예측합니다", "forecast since {since:%Y-%m-%d %H:%M}")
TOO_FEW_HOURS = LocalizedText(
    "아직 예측할 수 없습니다: 지난 9주 동안 값이 있는 시간이 {hours}시간보다 적습니다",
    "not forecast yet: fewer than {hours} hours of the last nine weeks have values",
)


def forecasting_state(issued: Prediction, previous: SensorState | None) -> SensorState:
    """Return the state that a forecast shows; previous: the last known state."""
    is_active = bool(issued.flow_rate.p50 or issued.pressure.p50)
    since = (previous.since if previous and previous.since else issued.issued_at) if is_active else None
    too_few = localized(TOO_FEW_HOURS.ko, TOO_FEW_HOURS.en, hours=MIN_KNOWN_HOURS)
    return SensorState(
        site=issued.site,
        sensor=issued.sensor,
        service="forecaster",
        at=issued.issued_at,
        is_active=is_active,
        since=since,
        text=localized(FORECAST.ko, FORECAST.en, since=since) if since else too_few,
    )
