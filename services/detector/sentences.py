"""What an operator reads of an anomaly, in Korean and English: what is seen, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from shared.contract.messages import Channel, Kind, LocalizedText

CHANNEL_NAMES: dict[Channel, tuple[str, str]] = {"flow_rate": ("유량", "Flow rate"), "pressure": ("수압", "Pressure")}
UNITS: dict[Channel, str] = {"flow_rate": "m³/h", "pressure": "bar"}

Wording = Literal["drift", "unit", "last_night"]
"""What is said in other words than others of its kind."""
WORDINGS: tuple[Wording, ...] = get_args(Wording)
TEXTS: dict[Kind | Wording, tuple[str, str]] = {
    "silence": (
        "{sensor} {channel} 값이 들어오지 않습니다. 계측기 전원과 통신선을 확인하세요.",
        "No {channel} from {sensor}. Check the meter's power and its line.",
    ),
    "stuck": (
        "{sensor} {channel} 값이 {value} {unit}에서 변하지 않습니다. 계측기가 멈췄는지 확인하세요.",
        "{channel} of {sensor} stands still at {value} {unit}. Check whether the meter has failed.",
    ),
    "out_of_range": (
        "{sensor} {channel} 값 {value} {unit}은(는) 나올 수 없는 값입니다. 계측기와 단위 설정을 확인하세요.",
        "{channel} of {sensor} shows {value} {unit}, which can't be. Check the meter and its unit setting.",
    ),
    "clock": (
        "{sensor} 계측 시각이 {at}에 {leap_ko}. 계측기 시계를 맞추세요.",
        "The clock of {sensor} {leap_en} at {at}. Set the meter's clock.",
    ),
    "spike": (
        "{sensor} {channel} 값이 잠시 {value} {unit}(으)로 튀었습니다. 반복되면 계측기를 점검하세요.",
        "{channel} of {sensor} jumped to {value} {unit} for a moment. Inspect the meter if it comes again.",
    ),
    "step": (
        "{sensor} {channel} 값이 {at}부터 평소보다 {excess} {unit} 벗어나 계속됩니다 ({size_ko}). "
        "관 세척, 밸브 조작, 대량 사용이 없다면 파열을 의심하고 현장을 확인하세요.",
        "{channel} of {sensor} stays {excess} {unit} off the usual since {at} ({size_en}). "
        "Ask about flushing, valve work and large users; if there are none, look for a burst.",
    ),
    "burst": (
        "{sensor} 파열이 의심됩니다: {at}부터 {size_ko}. 밤에도 줄지 않았습니다. 현장에서 관로를 확인하세요.",
        "Burst suspected at {sensor}: {size_en} since {at}, at night too. Send a crew to look at the mains.",
    ),
    "pressure_drop": (
        "{sensor} 수압이 평소보다 {excess} bar 벗어났고 유량은 그대로입니다. 공급 측 펌프와 밸브를 확인하세요.",
        "Pressure of {sensor} is {excess} bar off the usual, flow is not. Check pumps and valves of the supply.",
    ),
    "deviation": (
        "{sensor} {channel} 값이 예측과 {excess} {unit} 다릅니다. 계속되면 사용량 변화를 확인하세요.",
        "{channel} of {sensor} is {excess} {unit} off the forecast. If it lasts, ask what has changed in demand.",
    ),
    "drift": (
        "{sensor} {channel} 값이 며칠 사이 {excess} {unit} 벗어났는데 다른 계측값은 그만큼 변하지 않았습니다. "
        "계측기의 영점과 교정을 확인하세요.",
        "{channel} of {sensor} has moved by {excess} {unit} within days, and the other meter doesn't tell why. "
        "Check its zero and its calibration.",
    ),
    "unit": (
        "{sensor} {channel} 값이 {at}부터 다른 단위로 바뀐 듯합니다(지금 {value} {unit}). "
        "기록기의 단위 설정을 확인하고, 아니면 파열을 의심하세요.",
        "{channel} of {sensor} looks since {at} as if it came in another unit (now {value} {unit}). "
        "Check the logger's unit setting; if that is right, look for a burst.",
    ),
    "last_night": (
        "{sensor} 지난밤 최소 유량이 앞선 2주보다 {excess} {unit} 많았습니다 ({size_ko}). "
        "밤에 관 세척, 물탱크 채움, 대량 사용이 없었다면 파열을 의심하고 현장을 확인하세요.",
        "The least flow of last night at {sensor} was {excess} {unit} above that of the two weeks before ({size_en}). "
        "Ask about flushing, tanks and large users at night; if there were none, look for a burst.",
    ),
    "leak": (
        "{sensor} 누수가 의심됩니다: {at}쯤부터 밤낮으로 {size_ko}. 누수 탐사를 계획하세요.",
        "Leak suspected at {sensor}: {size_en} since about {at}, day and night. Plan a leak survey.",
    ),
}


@dataclass(frozen=True, slots=True)
class Loss:
    """How much flow an anomaly adds."""

    flow: float | None
    """m³/h"""
    doubt: float | None
    """Half the width of the interval of `flow`, m³/h."""
    began: datetime
    now: datetime
    water: float | None = None
    """m³ so far, if flow has not been the same all the time."""

    def words(self) -> tuple[str, str]:
        """Flow with its interval, and the water so far, in Korean and English."""
        if self.flow is None:
            return "유량 모름", "flow unknown"
        about = _number(self.flow, signed=True) + (f" ± {_about(self.doubt)}" if self.doubt else "")
        hours = (self.now - self.began).total_seconds() / 3600
        water = self.flow * hours if self.water is None else self.water
        return f"유량 {about} m³/h, 지금까지 약 {_about(water)} m³", f"flow {about} m³/h, {_about(water)} m³ so far"


def sentence(
    kind: Kind | Wording, sensor: str, channel: Channel, value: float | None, excess: float | None, loss: Loss
) -> LocalizedText:
    """Both texts of a kind; value and excess in the channel's unit, loss as it began and is.

    Of a clock the excess is minutes: so many back (negative), or ahead and back again.
    """
    leap_ko, leap_en = _leap(excess)
    size_ko, size_en = loss.words()
    numbers = {
        "sensor": sensor,
        "unit": UNITS[channel],
        "value": _number(value),
        "excess": _number(excess, signed=True),
        "at": f"{loss.began:%Y-%m-%d %H:%M}",
        "size_ko": size_ko,
        "size_en": size_en,
        "leap_ko": leap_ko,
        "leap_en": leap_en,
    }
    korean, english = TEXTS[kind]
    name_ko, name_en = CHANNEL_NAMES[channel]
    text = english.format(channel=name_en, **numbers)
    if not english.startswith("{channel}"):
        text = english.format(channel=name_en.lower(), **numbers)
    return LocalizedText(korean.format(channel=name_ko, **numbers), text)


def _number(value: float | None, signed: bool = False) -> str:
    return "?" if value is None else f"{value:+.3g}" if signed else f"{value:.4g}"


def _about(value: float) -> str:
    """Two digits, without an exponent."""
    return f"{float(f'{value:.2g}'):.12g}"


def _leap(minutes: float | None) -> tuple[str, str]:
    if minutes is None:
        return "어긋났습니다", "leapt"
    korean, english = _span(abs(minutes))
    if minutes < 0:
        return f"{korean} 뒤로 갔습니다", f"went {english} back"
    return f"{korean} 앞섰다가 돌아왔습니다", f"leapt {english} ahead and came back"


def _span(minutes: float) -> tuple[str, str]:
    """A duration in Korean and English."""
    for length, korean, english in ((1440, "일", "days"), (60, "시간", "hours")):
        if minutes >= 2 * length:
            return f"{minutes / length:.0f}{korean}", f"{minutes / length:.0f} {english}"
    return f"{minutes:.0f}분", f"{minutes:.0f} minutes"
