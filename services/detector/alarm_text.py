"""Texts of an anomaly for operators, in Korean and English: what is seen, since when, how much, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from shared.contract.messages import Channel, Kind, LocalizedText

CHANNEL_NAMES: dict[Channel, tuple[str, str]] = {"flow_rate": ("유량", "Flow rate"), "pressure": ("수압", "Pressure")}
"""Korean and English. Both Korean names end in a consonant, so the templates use the particles 이 and 을."""
UNITS: dict[Channel, str] = {"flow_rate": "m³/h", "pressure": "bar"}
COMPARISONS: dict[tuple[Channel, bool], str] = {
    ("flow_rate", True): "많습니다",
    ("flow_rate", False): "적습니다",
    ("pressure", True): "높습니다",
    ("pressure", False): "낮습니다",
}
"""Korean comparison with the expected value, by channel and whether the value is above it."""

TextVariant = Literal["drift", "unit", "last_night"]
"""Texts that differ from that of the anomaly's kind."""
TEXT_VARIANTS: tuple[TextVariant, ...] = get_args(TextVariant)
Template = (
    Literal[
        "silence",
        "stuck",
        "out_of_range",
        "clock",
        "spike",
        "flow_increase",
        "flow_decrease",
        "pressure_step",
        "burst",
        "pressure_drop",
        "deviation",
        "leak",
    ]
    | TextVariant
)
TEXTS: dict[Template, tuple[str, str]] = {
    "silence": (
        "{sensor} {channel_ko} 값이 들어오지 않습니다({at} 확인). 계측기 전원과 통신선을 확인하세요.",
        "No {channel_lower} readings from {sensor} (detected at {at}). Check the meter's power supply and its line.",
    ),
    "stuck": (
        "{sensor} {channel_ko}이 {value} {unit}에서 변하지 않습니다({at} 확인). 계측기가 멈췄는지 확인하세요.",
        "{channel} of {sensor} stays at exactly {value} {unit} (detected at {at}). Check whether the meter has failed.",
    ),
    "out_of_range": (
        "{sensor} {channel_ko} 계측값 중에 나올 수 없는 값({value} {unit})이 있습니다({at} 확인). "
        "계측기와 단위 설정을 확인하세요.",
        "{channel} of {sensor} reads {value} {unit}, which is not plausible (detected at {at}). "
        "Check the meter and its unit setting.",
    ),
    "clock": (
        "{sensor} 계측 시각이 {at}에 {clock_ko}. 계측기 시계를 맞추세요.",
        "The clock of {sensor} {clock_en} at {at}. Set the meter's clock.",
    ),
    "spike": (
        "{sensor} {channel_ko}이 {at}에 잠시 {value} {unit}까지 {spike_ko}. 반복되면 계측기를 점검하세요.",
        "{channel} of {sensor} {spike_en} to {value} {unit} for a moment at {at}. Inspect the meter if this recurs.",
    ),
    "flow_increase": (
        "{sensor} 유량이 {at}부터 평소보다 {flow}증가했습니다{loss_ko}. "
        "관 세척, 밸브 조작, 대량 사용이 없었다면 파열을 의심하고 현장을 확인하세요.",
        "Flow of {sensor} is {flow}above expected since {at}{loss_en}. "
        "If there is no flushing, valve work or large use, suspect a burst and inspect the site.",
    ),
    "flow_decrease": (
        "{sensor} 유량이 {at}부터 평소보다 {flow}감소했습니다. 밸브 조작, 사용량 변화, 계측기 이상을 확인하세요.",
        "Flow of {sensor} is {flow}below expected since {at}. "
        "Check for valve work, a change of demand or a meter fault.",
    ),
    "pressure_step": (
        "{sensor} 수압이 {at}부터 평소보다 {excess}{compared}{flow_change_ko}. 펌프와 감압밸브 설정을 확인하세요.",
        "Pressure of {sensor} is {excess}{above} expected since {at}{flow_change_en}. "
        "Check pumps and pressure-reducing valves.",
    ),
    "burst": (
        "{sensor} 파열이 의심됩니다. {at}부터 유량 {flow}증가가 밤에도 이어졌습니다{loss_ko}. "
        "현장에서 관로를 확인하세요.",
        "Burst suspected at {sensor}: flow {flow}above expected since {at}, also at night{loss_en}. "
        "Send a crew to inspect the mains.",
    ),
    "pressure_drop": (
        "{sensor} 수압이 {at}부터 평소보다 {excess}낮아졌고 유량은 그대로입니다. 공급 측 펌프와 밸브를 확인하세요.",
        "Pressure of {sensor} is {excess}below expected since {at}; flow is unchanged. "
        "Check pumps and valves on the supply side.",
    ),
    "deviation": (
        "{sensor} {channel_ko}이 {at}부터 예측보다 {excess}{compared}. 계속되면 사용량 변화를 확인하세요.",
        "{channel} of {sensor} is {excess}{above} the forecast since {at}. If it lasts, check for a change of demand.",
    ),
    "drift": (
        "{sensor} {channel_ko} 계측값이 며칠 사이 {excess}{drift_ko} 다른 계측값은 그만큼 변하지 않았습니다. "
        "계측기의 영점과 교정을 확인하세요.",
        "{channel} of {sensor} has {drift_en} {by_excess}within days without a matching change of the other meter. "
        "Check the meter's zero and calibration.",
    ),
    "unit": (
        "{sensor} {channel_ko} 값의 단위가 {at}부터 바뀐 것으로 보입니다(현재 {value} {unit}). "
        "기록계의 단위 설정을 확인하고, 이상이 없으면 파열을 의심하세요.",
        "{channel} of {sensor} appears to be in another unit since {at} (now {value} {unit}). "
        "Check the logger's unit setting; if it is correct, suspect a burst.",
    ),
    "last_night": (
        "{sensor} 지난밤 최소 유량이 이전 2주보다 {flow}많았습니다{loss_ko}. "
        "밤에 관 세척, 물탱크 급수, 대량 사용이 없었다면 파열을 의심하고 현장을 확인하세요.",
        "The minimum flow of last night at {sensor} was {flow}above that of the two weeks before{loss_en}. "
        "If there was no flushing, tank filling or large use at night, suspect a burst and inspect the site.",
    ),
    "leak": (
        "{sensor} 누수가 의심됩니다. {at}경부터 밤낮으로 유량 {flow}증가가 이어졌습니다{loss_ko}. "
        "누수 탐사를 계획하세요.",
        "Leak suspected at {sensor}: flow {flow}above expected day and night since about {at}{loss_en}. "
        "Plan a leak survey.",
    ),
}


@dataclass(frozen=True, slots=True)
class LossEstimate:
    """Excess flow of an anomaly and the volume lost since its onset."""

    excess_flow: float | None
    """m³/h"""
    interval_half_width: float | None
    """Half width of the 90 % interval of `excess_flow`, m³/h."""
    onset_at: datetime
    until: datetime
    lost_volume: float | None = None
    """m³ so far, if the excess flow was not constant."""

    @property
    def flow(self) -> str:
        """Size of the excess flow with its interval; empty when unknown."""
        if self.excess_flow is None:
            return ""
        interval = f" ± {_significant(self.interval_half_width, 2)}" if self.interval_half_width else ""
        return f"{_significant(abs(self.excess_flow), 3)}{interval} m³/h "

    def describe_volume(self) -> tuple[str, str]:
        """Return the volume lost so far in Korean and English; empty when no flow is lost."""
        if self.excess_flow is None or self.excess_flow <= 0.0:
            return "", ""
        hours = (self.until - self.onset_at).total_seconds() / 3600
        volume = _significant(self.excess_flow * hours if self.lost_volume is None else self.lost_volume, 2)
        return f"(누적 손실 약 {volume} m³)", f" (about {volume} m³ lost)"

    def describe_change(self) -> tuple[str, str]:
        """Return the change of the flow in Korean and English; empty when unknown."""
        if self.excess_flow is None:
            return "", ""
        if abs(self.excess_flow) <= (self.interval_half_width or 0.0):
            return "(유량 변화 없음)", " (flow unchanged)"
        korean, english = ("증가", "above") if self.excess_flow > 0.0 else ("감소", "below")
        return f"(유량 {self.flow}{korean})", f" (flow {self.flow}{english} expected)"


def render_text(
    kind: Kind | TextVariant,
    sensor: str,
    channel: Channel,
    value: float | None,
    excess: float | None,
    loss: LossEstimate,
) -> LocalizedText:
    """Return both texts of a kind; value and excess in the channel's unit.

    For a clock anomaly the excess is minutes: negative for a setback, positive for a jump ahead and back.
    """
    is_up = (excess if excess is not None else loss.excess_flow or 0.0) >= 0.0
    unit = UNITS[channel]
    size = "" if excess is None else f"{_significant(abs(excess), 2)} {unit} "
    channel_ko, channel_en = CHANNEL_NAMES[channel]
    clock_ko, clock_en = _clock_text(excess)
    loss_ko, loss_en = loss.describe_volume()
    flow_change_ko, flow_change_en = loss.describe_change()
    fields = {
        "sensor": sensor,
        "channel": channel_en,
        "channel_ko": channel_ko,
        "channel_lower": channel_en.lower(),
        "unit": unit,
        "value": "?" if value is None else _significant(round(value, 3), 4),
        "excess": size,
        "by_excess": f"by {size}" if size else "",
        "above": "above" if is_up else "below",
        "compared": COMPARISONS[channel, is_up],
        "spike_ko": "치솟았습니다" if is_up else "떨어졌습니다",
        "spike_en": "jumped" if is_up else "dropped",
        "drift_ko": "커졌는데" if is_up else "작아졌는데",
        "drift_en": "risen" if is_up else "fallen",
        "at": f"{loss.onset_at:%Y-%m-%d %H:%M}",
        "flow": loss.flow,
        "loss_ko": loss_ko,
        "loss_en": loss_en,
        "flow_change_ko": flow_change_ko,
        "flow_change_en": flow_change_en,
        "clock_ko": clock_ko,
        "clock_en": clock_en,
    }
    korean, english = TEXTS[_template(kind, channel, (loss.excess_flow or 0.0) >= 0.0)]
    return LocalizedText(korean.format_map(fields), english.format_map(fields))


def _template(kind: Kind | TextVariant, channel: Channel, flow_is_up: bool) -> Template:
    if kind == "works":
        raise ValueError("a maintenance window has a text of its own: see MaintenanceWindows")
    if kind != "step":
        return kind
    if channel == "pressure":
        return "pressure_step"
    return "flow_increase" if flow_is_up else "flow_decrease"


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
