"""Classify the minute's flags: kind of anomaly and severity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.detector.alarm_text import TextVariant
from services.detector.channel_model import ChannelModel, Checks
from services.detector.day_history import MINUTES_PER_DAY
from services.detector.methods.night_flow import NIGHT_END_MINUTE, NIGHT_START_MINUTE, NightExcess, NightFlowDetector
from services.detector.methods.sensor_drift import SensorShift
from services.detector.methods.units import looks_like_unit_change
from shared.contract.messages import Channel, Check, Kind, Method

CLEAR_BELOW = 0.7
"""Share of its limit below which a score counts as normal."""
HALF_LIMIT = 0.5
NO_EXCESS = NightExcess(0.0, 0.0, 0, 0.0)
CRITICAL_FLOW_SHARE = 0.2
"""Share of the expected flow from which on an excess is critical."""


Severity = Literal["info", "warning", "critical"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Detection:
    """An anomaly as seen in one minute."""

    key: str
    """Detections of one key belong to one anomaly."""
    channel: Channel
    method: Method
    kind: Kind
    severity: Severity
    value: float | None = None
    """In the channel's unit."""
    excess: float | None = None
    """Difference from the expected value, in the channel's unit."""
    excess_flow: float | None = None
    """Flow above the expected value, m³/h."""
    interval_half_width: float | None = None
    """Half width of the 90 % interval of `excess_flow`, m³/h."""
    minutes_since_onset: int = 0
    """Minutes since the onset, as far as it is known."""
    text_variant: TextVariant | None = None
    """Text that replaces that of the kind."""
    lost_volume: float | None = None
    """m³ since the onset, where `excess_flow` was not constant."""


def incident_key(channel: Channel, name: Kind | TextVariant) -> str:
    """Return the key of the anomaly that detections of this kind or text variant belong to."""
    if name in ("silence", "stuck", "out_of_range", "spike", "drift"):
        return f"{channel}.{name}"
    return {"clock": "clock", "leak": "night", "last_night": "last_night"}.get(name, "shift")


def classify(
    flow: ChannelModel, pressure: ChannelModel, flow_checks: Checks, pressure_checks: Checks, silence: int
) -> list[Detection]:
    """Return the minute's detections, the clearest first; silence: minutes until a gap is alarmed."""
    detections = []
    for model, (system, value_check, _) in ((flow, flow_checks), (pressure, pressure_checks)):
        fault = model.health.fault
        if fault and system.flag and model.health.should_alarm(silence):
            value = model.health.last_value if fault != "silence" else None
            variant: TextVariant | None = "unit" if model.health.unit_change_minutes_left else None
            key = f"{model.channel}.{fault}"
            detections.append(Detection(key, model.channel, "system", fault, "warning", value, text_variant=variant))
        elif value_check.flag and model.level_shift.has_spike:
            detections.append(_spike_detection(model))
    if flow.level_shift.is_shifted or (pressure.level_shift.is_shifted and _flow_also_up(flow, flow_checks[1])):
        detections.append(_flow_shift_detection(flow, flow_checks[1]))
    elif pressure.level_shift.is_shifted:
        detections.append(_pressure_shift_detection(flow, pressure, pressure_checks[1]))
    else:
        detections += [
            _deviation_detection(model)
            for model, checks in ((flow, flow_checks), (pressure, pressure_checks))
            if checks[2].flag and _exceeds_half(checks[1])
        ][:1]
    return detections


def drift_detection(model: ChannelModel, shift: SensorShift) -> Detection:
    """Return the detection of a meter whose daily level departs from that of the other meter."""
    return Detection(
        f"{model.channel}.drift",
        model.channel,
        "value",
        "step",
        "warning",
        value=model.health.last_value,
        excess=shift.size,
        minutes_since_onset=shift.minutes,
        text_variant="drift",
    )


def near_threshold(*checks: Check) -> bool:
    """Whether any score is still close to its limit."""
    return any(
        check.flag is not None and (check.score or 0.0) >= CLEAR_BELOW * (check.limit or 0.0) for check in checks
    )


def _flow_also_up(flow: ChannelModel, check: Check) -> bool:
    """Whether flow is up as well, by half of its limit: low pressure is then not caused by the supply."""
    return check.flag is not None and flow.level_shift.window_scores.is_up and _exceeds_half(check)


def _exceeds_half(check: Check) -> bool:
    """Whether the expected day does not explain the value either.

    A forecast that has followed a burst is wrong once the burst ends.
    """
    return check.flag is None or (check.score or 0.0) >= HALF_LIMIT * (check.limit or 0.0)


def leak_detection(night_flow: NightFlowDetector, mean_flow: float) -> Detection:
    """Return the detection of several nights above the baseline; mean_flow: the site's expected mean, m³/h."""
    excess = night_flow.excess or NO_EXCESS
    severity: Severity = "critical" if excess.flow >= CRITICAL_FLOW_SHARE * abs(mean_flow) else "warning"
    return Detection(
        "night",
        "flow_rate",
        "night",
        "leak",
        severity,
        value=night_flow.minimum_flow,
        excess=excess.flow,
        excess_flow=excess.flow,
        interval_half_width=excess.interval_half_width,
        minutes_since_onset=excess.nights * MINUTES_PER_DAY,
        lost_volume=excess.lost_volume,
    )


def night_step_detection(night_flow: NightFlowDetector, excess: NightExcess) -> Detection:
    """Return the detection of a single night above those before."""
    return Detection(
        "last_night",
        "flow_rate",
        "night",
        "step",
        "warning",
        value=night_flow.minimum_flow,
        excess=excess.flow,
        excess_flow=excess.flow,
        interval_half_width=excess.interval_half_width,
        minutes_since_onset=MINUTES_PER_DAY - NIGHT_START_MINUTE + NIGHT_END_MINUTE,
        text_variant="last_night",
    )


def _spike_detection(model: ChannelModel) -> Detection:
    prominence = model.level_shift.spikes.prominence
    value = (model.health.last_value or 0.0) + prominence
    return Detection(
        f"{model.channel}.spike", model.channel, "value", "spike", "info", value, prominence, minutes_since_onset=1
    )


def _flow_shift_detection(flow: ChannelModel, check: Check) -> Detection:
    shift = flow.level_shift
    excess = shift.excess()
    return Detection(
        "shift",
        "flow_rate",
        "value",
        "step",
        _severity(flow, excess, (check.score or 0.0) / (check.limit or 1.0)),
        value=flow.health.last_value,
        excess=excess,
        excess_flow=excess,
        interval_half_width=shift.interval_half_width(),
        minutes_since_onset=shift.minutes_since_onset(),
        text_variant=_unit_change_variant(flow),
    )


def _pressure_shift_detection(flow: ChannelModel, pressure: ChannelModel, check: Check) -> Detection:
    shift = pressure.level_shift
    excess = shift.excess()
    kind: Kind = "step" if excess > 0.0 else "pressure_drop"
    ratio = (check.score or 0.0) / (check.limit or 1.0)
    excess_flow = flow.level_shift.excess() if flow.level_shift.residual == flow.level_shift.residual else None
    return Detection(
        "shift",
        "pressure",
        "value",
        kind,
        _severity(flow, excess_flow or 0.0, ratio),
        value=pressure.health.last_value,
        excess=excess,
        excess_flow=excess_flow,
        interval_half_width=flow.level_shift.interval_half_width() if excess_flow is not None else None,
        minutes_since_onset=shift.minutes_since_onset(),
        text_variant=_unit_change_variant(pressure) if kind == "step" else None,
    )


def _unit_change_variant(model: ChannelModel) -> TextVariant | None:
    value, residual = model.health.last_value or 0.0, model.level_shift.residual
    return "unit" if looks_like_unit_change(model.channel, value, value - residual) else None


def _deviation_detection(model: ChannelModel) -> Detection:
    next(model.forecast_deviation.window_scores.exceeding_windows(), None)
    excess = model.forecast_deviation.excess()
    excess_flow = excess if model.channel == "flow_rate" else None
    return Detection(
        "shift", model.channel, "prediction", "deviation", "info", model.health.last_value, excess, excess_flow
    )


def _severity(flow: ChannelModel, excess: float, ratio: float) -> Severity:
    return "critical" if excess >= CRITICAL_FLOW_SHARE * abs(flow.expected_mean) and ratio >= 1.5 else "warning"
