"""Classify the minute's flags: kind of anomaly and severity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.detector.channel_model import ChannelModel, Checks
from services.detector.day_history import MINUTES_PER_DAY
from services.detector.methods.night_flow import NIGHT_END_MINUTE, NIGHT_START_MINUTE, NightExcess, NightFlowDetector
from services.detector.methods.sensor_drift import SensorShift
from services.detector.methods.units import looks_like_unit_change
from shared.contract.anomaly_kinds import ANOMALY_KINDS, anomaly_kind, incident_key
from shared.contract.messages import Channel, Check, Kind, Method, Trigger

CLEAR_BELOW = 0.7
"""Share of its limit below which a score counts as normal."""
HALF_LIMIT = 0.5
NO_EXCESS = NightExcess(0.0, 0.0, 0, 0.0)
CRITICAL_FLOW_SHARE = 0.2
"""Share of the expected flow from which on an excess is critical."""


Severity = Literal["info", "warning", "critical"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """An anomaly as seen in one minute."""

    trigger: Trigger
    as_kind: Kind | None = None
    """Kind, if the trigger raises several; None means that of its row in ANOMALY_KINDS."""
    channel: Channel
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
    lost_volume: float | None = None
    """m³ since the onset, where `excess_flow` was not constant."""

    @property
    def kind(self) -> Kind:
        return self.as_kind or ANOMALY_KINDS[self.trigger].kind

    @property
    def key(self) -> str:
        """Detections of one key belong to one anomaly."""
        return incident_key(self.trigger, self.channel, self.as_kind)

    @property
    def method(self) -> Method:
        return anomaly_kind(self.trigger, self.as_kind).method


def classify(
    flow: ChannelModel, pressure: ChannelModel, flow_checks: Checks, pressure_checks: Checks
) -> list[Detection]:
    """Return the minute's detections, the clearest first."""
    detections = []
    for model, (system, value_check, _) in ((flow, flow_checks), (pressure, pressure_checks)):
        fault = model.health.fault
        if fault and system.flag and (model.is_silent if fault == "silence" else model.health.should_alarm()):
            value = model.health.last_value if fault != "silence" else None
            trigger: Trigger = "unit" if model.health.unit_change_minutes_left else fault
            detections.append(Detection(trigger=trigger, channel=model.channel, severity="warning", value=value))
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
        trigger="drift",
        channel=model.channel,
        severity="warning",
        value=model.health.last_value,
        excess=shift.size,
        minutes_since_onset=shift.minutes,
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
        trigger="leak",
        channel="flow_rate",
        severity=severity,
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
        trigger="last_night",
        channel="flow_rate",
        severity="warning",
        value=night_flow.minimum_flow,
        excess=excess.flow,
        excess_flow=excess.flow,
        interval_half_width=excess.interval_half_width,
        minutes_since_onset=MINUTES_PER_DAY - NIGHT_START_MINUTE + NIGHT_END_MINUTE,
    )


def _spike_detection(model: ChannelModel) -> Detection:
    prominence = model.level_shift.spikes.prominence
    return Detection(
        trigger="spike",
        channel=model.channel,
        severity="info",
        value=(model.health.last_value or 0.0) + prominence,
        excess=prominence,
        minutes_since_onset=1,
    )


def _flow_shift_detection(flow: ChannelModel, check: Check) -> Detection:
    shift = flow.level_shift
    excess = shift.excess()
    return Detection(
        trigger="unit" if _is_unit_change(flow) else "step",
        as_kind="step",
        channel="flow_rate",
        severity=_severity(flow, excess, (check.score or 0.0) / (check.limit or 1.0)),
        value=flow.health.last_value,
        excess=excess,
        excess_flow=excess,
        interval_half_width=shift.interval_half_width(),
        minutes_since_onset=shift.minutes_since_onset(),
    )


def _pressure_shift_detection(flow: ChannelModel, pressure: ChannelModel, check: Check) -> Detection:
    shift = pressure.level_shift
    excess = shift.excess()
    kind: Kind = "step" if excess > 0.0 else "pressure_drop"
    trigger: Trigger = "unit" if kind == "step" and _is_unit_change(pressure) else kind
    ratio = (check.score or 0.0) / (check.limit or 1.0)
    excess_flow = flow.level_shift.excess() if flow.level_shift.residual == flow.level_shift.residual else None
    return Detection(
        trigger=trigger,
        as_kind=kind,
        channel="pressure",
        severity=_severity(flow, excess_flow or 0.0, ratio),
        value=pressure.health.last_value,
        excess=excess,
        excess_flow=excess_flow,
        interval_half_width=flow.level_shift.interval_half_width() if excess_flow is not None else None,
        minutes_since_onset=shift.minutes_since_onset(),
    )


def _is_unit_change(model: ChannelModel) -> bool:
    """Whether the shift of a level may be a change of the unit."""
    value, residual = model.health.last_value or 0.0, model.level_shift.residual
    return looks_like_unit_change(model.channel, value, value - residual)


def _deviation_detection(model: ChannelModel) -> Detection:
    next(model.forecast_deviation.window_scores.exceeding_windows(), None)
    excess = model.forecast_deviation.excess()
    return Detection(
        trigger="deviation",
        channel=model.channel,
        severity="info",
        value=model.health.last_value,
        excess=excess,
        excess_flow=excess if model.channel == "flow_rate" else None,
    )


def _severity(flow: ChannelModel, excess: float, ratio: float) -> Severity:
    return "critical" if excess >= CRITICAL_FLOW_SHARE * abs(flow.expected_mean) and ratio >= 1.5 else "warning"
