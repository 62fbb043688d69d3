"""Fills in the texts of an anomaly for operators, from its fields. The templates are in ANOMALY_KINDS."""

from __future__ import annotations

from shared.contract.anomaly_kinds import ANOMALY_KINDS
from shared.contract.messages import Anomaly, Channel, LocalizedText, Method
from shared.contract.texts import localized

CHANNEL_NAMES: dict[Channel, tuple[str, str]] = {"flow_rate": ("유량", "Flow rate"), "pressure": ("수압", "Pressure")}
"""Korean and English. Both Korean names end in a consonant, so the templates use the particles 이 and 을."""
UNITS: dict[Channel, str] = {"flow_rate": "m³/h", "pressure": "bar"}
METHOD_NAMES: dict[Method, tuple[str, str]] = {
    "system": ("시스템", "system"),
    "value": ("실측값", "value"),
    "prediction": ("예측값", "prediction"),
    "night": ("야간 최소 유량", "night"),
}
"""Korean and English names of the checks."""
COMPARISONS: dict[tuple[Channel, bool], str] = {
    ("flow_rate", True): "많습니다",
    ("flow_rate", False): "적습니다",
    ("pressure", True): "높습니다",
    ("pressure", False): "낮습니다",
}
"""Korean comparison with the expected value, by channel and whether the value is above it."""


def render_text(anomaly: Anomaly, excess: float | None) -> LocalizedText:
    """Return both texts of an anomaly; excess: difference from the expected value in the unit of its first channel.

    For a clock anomaly the excess is minutes: negative for a setback, positive for a jump ahead and back.
    """
    channel = anomaly.channel
    flow = anomaly.excess_m3h or 0.0
    is_up = (flow if excess is None else excess) >= 0.0
    size = "" if excess is None else f"{_significant(abs(excess), 2)} {UNITS[channel]} "
    channel_ko, channel_en = CHANNEL_NAMES[channel]
    clock_ko, clock_en = _clock_text(excess)
    loss_ko, loss_en = _loss_text(anomaly.lost_m3)
    flow_change_ko, flow_change_en = _flow_change_text(anomaly)
    silenced_ko, silenced_en = _silenced_text(anomaly.methods)
    template = ANOMALY_KINDS[anomaly.trigger].template(channel, flow < 0.0)
    return localized(
        template.ko,
        template.en,
        sensor=anomaly.sensor,
        channel=channel_en,
        channel_ko=channel_ko,
        channel_lower=channel_en.lower(),
        unit=UNITS[channel],
        value="?" if anomaly.peak is None else _significant(round(anomaly.peak, 3), 4),
        excess=size,
        by_excess=f"by {size}" if size else "",
        above="above" if is_up else "below",
        compared=COMPARISONS[channel, is_up],
        spike_ko="치솟았습니다" if is_up else "떨어졌습니다",
        spike_en="jumped" if is_up else "dropped",
        drift_ko="커졌는데" if is_up else "작아졌는데",
        drift_en="risen" if is_up else "fallen",
        at=f"{anomaly.onset_at:%Y-%m-%d %H:%M}",
        until=f"{anomaly.cleared_at:%Y-%m-%d %H:%M}" if anomaly.cleared_at else "",
        flow=_flow_text(anomaly),
        loss_ko=loss_ko,
        loss_en=loss_en,
        flow_change_ko=flow_change_ko,
        flow_change_en=flow_change_en,
        silenced_ko=silenced_ko,
        silenced_en=silenced_en,
        clock_ko=clock_ko,
        clock_en=clock_en,
    )


def shows_loss(anomaly: Anomaly) -> bool:
    """Whether the text of an anomaly gives the lost volume."""
    is_flow_down = (anomaly.excess_m3h or 0.0) < 0.0
    return "{loss_en}" in ANOMALY_KINDS[anomaly.trigger].template(anomaly.channel, is_flow_down).en


def _interval_half_width(anomaly: Anomaly) -> float:
    """Half width of the interval of the excess flow, m³/h; 0 when unknown."""
    if anomaly.excess_interval_m3h is None:
        return 0.0
    low, high = anomaly.excess_interval_m3h
    return (high - low) / 2


def _flow_text(anomaly: Anomaly) -> str:
    """Size of the excess flow with its interval; empty when unknown."""
    if anomaly.excess_m3h is None:
        return ""
    half_width = _interval_half_width(anomaly)
    interval = f" ± {_significant(half_width, 2)}" if half_width else ""
    return f"{_significant(abs(anomaly.excess_m3h), 3)}{interval} m³/h "


def _loss_text(lost_m3: float | None) -> tuple[str, str]:
    """Return the volume lost so far in Korean and English; empty when no flow is lost."""
    if lost_m3 is None:
        return "", ""
    volume = _significant(lost_m3, 2)
    return f"(누적 손실 약 {volume} m³)", f" (about {volume} m³ lost)"


def _flow_change_text(anomaly: Anomaly) -> tuple[str, str]:
    """Return the change of the flow in Korean and English; empty when unknown."""
    if anomaly.excess_m3h is None:
        return "", ""
    if abs(anomaly.excess_m3h) <= _interval_half_width(anomaly):
        return "(유량 변화 없음)", " (flow unchanged)"
    korean, english = ("증가", "above") if anomaly.excess_m3h > 0.0 else ("감소", "below")
    return f"(유량 {_flow_text(anomaly)}{korean})", f" (flow {_flow_text(anomaly)}{english} expected)"


def _silenced_text(methods: tuple[Method, ...]) -> tuple[str, str]:
    """Return what a maintenance window of some methods means, in Korean and English."""
    if len(methods) == len(METHOD_NAMES):
        return (
            "새 경보를 내지 않으며, 작업일의 값은 학습에서 제외합니다",
            "no alarm is opened, and these days are not learned from",
        )
    names = [METHOD_NAMES[method] for method in methods]
    return (
        f"{', '.join(ko for ko, _ in names)} 검사의 새 경보를 내지 않습니다",
        f"no alarm of the check {', '.join(en for _, en in names)} is opened",
    )


def _significant(value: float, digits: int) -> str:
    """Round to significant digits, without an exponent."""
    return f"{float(f'{value:.{digits}g}'):.12g}"


def _clock_text(minutes: float | None) -> tuple[str, str]:
    if minutes is None:
        return "어긋났습니다", "jumped"
    korean, english = _duration_text(abs(minutes))
    if minutes < 0:
        return f"{korean} 뒤로 갔습니다", f"went back by {english}"
    return f"{korean} 앞섰다가 돌아왔습니다", f"jumped {english} ahead and came back"


def _duration_text(minutes: float) -> tuple[str, str]:
    """Return a duration in Korean and English."""
    for length, korean, english in ((1440, "일", "days"), (60, "시간", "hours")):
        if minutes >= 2 * length:
            return f"{minutes / length:.0f}{korean}", f"{minutes / length:.0f} {english}"
    return f"{minutes:.0f}분", f"{minutes:.0f} minutes"
