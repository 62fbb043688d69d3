"""Kinds of anomaly: one row per trigger. Keys, times to clear, texts and the reference page follow from this table."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contract.messages import CHANNELS, Channel, Kind, LocalizedText, Method, Trigger

SHIFT_KEY, LEAK_KEY, LAST_NIGHT_KEY = "shift", "night", "last_night"
"""Keys that the detector looks up: the present shift of a level, the leak of several nights, last night's step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyKind:
    """What a trigger raises, how long it lasts, and how operators read it."""

    kind: Kind
    shift_kind: Kind | None = None
    """Kind if the trigger raises a shift of the level instead; key, method and time to clear are then that kind's."""
    method: Method
    channels: tuple[Channel, ...]
    key: str
    """Template of the key. Detections with the same key belong to one anomaly."""
    minutes_to_clear: int
    """Normal minutes (days or nights, if evaluated once a day) after which it is cleared; 0: at its planned end."""
    once_a_day: bool = False
    """Whether it is evaluated once a day (a leak and last night's step: once a night) instead of every minute."""
    is_meter_fault: bool = False
    label: LocalizedText
    text: LocalizedText
    """Template: what is seen, since when, how much, and what to do. services/detector/alarm_text.py fills it in."""
    text_flow_down: LocalizedText | None = None
    """Template in place of `text` for flow below the expected one."""
    text_pressure: LocalizedText | None = None
    """Template in place of `text` for pressure."""

    @property
    def texts(self) -> tuple[LocalizedText, ...]:
        """All templates."""
        return tuple(text for text in (self.text, self.text_flow_down, self.text_pressure) if text)

    def template(self, channel: Channel, is_flow_down: bool) -> LocalizedText:
        """Return the template for a channel and direction."""
        if channel == "pressure" and self.text_pressure:
            return self.text_pressure
        return self.text_flow_down if is_flow_down and self.text_flow_down else self.text


def anomaly_kind(trigger: Trigger, kind: Kind | None = None) -> AnomalyKind:
    """Return the row that an anomaly's key, method and time to clear follow.

    Raises ValueError for a trigger without a row, and for a kind that the trigger does not raise.
    """
    row = ANOMALY_KINDS.get(trigger)
    if row is not None and kind in (None, row.kind):
        return row
    if row is not None and row.shift_kind is not None and kind == row.shift_kind:
        return ANOMALY_KINDS[row.shift_kind]
    raise ValueError(f"no anomaly has the trigger {trigger!r} and the kind {kind!r}: see ANOMALY_KINDS")


def kind_label(trigger: Trigger, kind: Kind) -> LocalizedText:
    """Return what an anomaly is in a word or two: the label of its rule, or of its kind if it became another.

    >>> kind_label("step", "burst").en
    'Burst'
    """
    return _row_of(trigger, kind).label


def is_meter_fault(trigger: Trigger, kind: Kind) -> bool:
    """Return whether an anomaly is a fault of the meter, not of the water."""
    return _row_of(trigger, kind).is_meter_fault


def _row_of(trigger: Trigger, kind: Kind) -> AnomalyKind:
    """Return the row of a trigger, or that of the kind if the anomaly became another or was stored with a wrong one."""
    row = ANOMALY_KINDS[trigger]
    return row if row.kind == kind else ANOMALY_KINDS[kind]


def incident_key(trigger: Trigger, channel: Channel, kind: Kind | None = None) -> str:
    """Return the key of the anomaly that a detection belongs to. Raises ValueError like `anomaly_kind`.

    >>> incident_key("stuck", "pressure")
    'pressure.stuck'
    """
    return anomaly_kind(trigger, kind).key.format(channel=channel)


ANOMALY_KINDS: dict[Trigger, AnomalyKind] = {
    "silence": AnomalyKind(
        kind="silence",
        method="system",
        channels=CHANNELS,
        key="{channel}.silence",
        minutes_to_clear=1,
        is_meter_fault=True,
        label=LocalizedText("미수신", "No readings"),
        text=LocalizedText(
            "{sensor} {channel_ko} 값이 들어오지 않습니다({at} 확인). 계측기 전원과 통신선을 확인하세요.",
            "No {channel_lower} readings from {sensor} (detected at {at}). "
            "Check the meter's power supply and its line.",
        ),
    ),
    "stuck": AnomalyKind(
        kind="stuck",
        method="system",
        channels=CHANNELS,
        key="{channel}.stuck",
        minutes_to_clear=5,
        is_meter_fault=True,
        label=LocalizedText("값 고정", "Stuck value"),
        text=LocalizedText(
            "{sensor} {channel_ko}이 {value} {unit}에서 변하지 않습니다({at} 확인). 계측기가 멈췄는지 확인하세요.",
            "{channel} of {sensor} stays at exactly {value} {unit} (detected at {at}). "
            "Check whether the meter has failed.",
        ),
    ),
    "out_of_range": AnomalyKind(
        kind="out_of_range",
        method="system",
        channels=CHANNELS,
        key="{channel}.out_of_range",
        minutes_to_clear=10,
        is_meter_fault=True,
        label=LocalizedText("범위 이탈", "Out of range"),
        text=LocalizedText(
            "{sensor} {channel_ko} 계측값 중에 나올 수 없는 값({value} {unit})이 있습니다({at} 확인). "
            "계측기와 단위 설정을 확인하세요.",
            "{channel} of {sensor} reads {value} {unit}, which is not plausible (detected at {at}). "
            "Check the meter and its unit setting.",
        ),
    ),
    "unit": AnomalyKind(
        kind="out_of_range",
        shift_kind="step",
        method="system",
        channels=CHANNELS,
        key="{channel}.out_of_range",
        minutes_to_clear=10,
        is_meter_fault=True,
        label=LocalizedText("단위 변경", "Unit change"),
        text=LocalizedText(
            "{sensor} {channel_ko} 값의 단위가 {at}부터 바뀐 것으로 보입니다(현재 {value} {unit}). "
            "기록계의 단위 설정을 확인하고, 이상이 없으면 파열을 의심하세요.",
            "{channel} of {sensor} appears to be in another unit since {at} (now {value} {unit}). "
            "Check the logger's unit setting; if it is correct, suspect a burst.",
        ),
    ),
    "clock": AnomalyKind(
        kind="clock",
        method="system",
        channels=("flow_rate",),
        key="clock",
        minutes_to_clear=60,
        is_meter_fault=True,
        label=LocalizedText("계측 시각 오류", "Meter clock"),
        text=LocalizedText(
            "{sensor} 계측 시각이 {at}에 {clock_ko}. 계측기 시계를 맞추세요.",
            "The clock of {sensor} {clock_en} at {at}. Set the meter's clock.",
        ),
    ),
    "spike": AnomalyKind(
        kind="spike",
        method="value",
        channels=CHANNELS,
        key="{channel}.spike",
        minutes_to_clear=30,
        label=LocalizedText("순간 튐", "Spike"),
        text=LocalizedText(
            "{sensor} {channel_ko}이 {at}에 잠시 {value} {unit}까지 {spike_ko}. 반복되면 계측기를 점검하세요.",
            "{channel} of {sensor} {spike_en} to {value} {unit} for a moment at {at}. "
            "Inspect the meter if this recurs.",
        ),
    ),
    "step": AnomalyKind(
        kind="step",
        method="value",
        channels=CHANNELS,
        key=SHIFT_KEY,
        minutes_to_clear=90,
        label=LocalizedText("급변", "Step"),
        text=LocalizedText(
            "{sensor} 유량이 {at}부터 평소보다 {flow}증가했습니다{loss_ko}. "
            "관 세척, 밸브 조작, 대량 사용이 없었다면 파열을 의심하고 현장을 확인하세요.",
            "Flow of {sensor} is {flow}above expected since {at}{loss_en}. "
            "If there is no flushing, valve work or large use, suspect a burst and inspect the site.",
        ),
        text_flow_down=LocalizedText(
            "{sensor} 유량이 {at}부터 평소보다 {flow}감소했습니다. 밸브 조작, 사용량 변화, 계측기 이상을 확인하세요.",
            "Flow of {sensor} is {flow}below expected since {at}. "
            "Check for valve work, a change of demand or a meter fault.",
        ),
        text_pressure=LocalizedText(
            "{sensor} 수압이 {at}부터 평소보다 {excess}{compared}{flow_change_ko}. 펌프와 감압밸브 설정을 확인하세요.",
            "Pressure of {sensor} is {excess}{above} expected since {at}{flow_change_en}. "
            "Check pumps and pressure-reducing valves.",
        ),
    ),
    "burst": AnomalyKind(
        kind="burst",
        method="value",
        channels=CHANNELS,
        key=SHIFT_KEY,
        minutes_to_clear=90,
        label=LocalizedText("파열 의심", "Burst"),
        text=LocalizedText(
            "{sensor} 파열이 의심됩니다. {at}부터 유량 {flow}증가가 밤에도 이어졌습니다{loss_ko}. "
            "현장에서 관로를 확인하세요.",
            "Burst suspected at {sensor}: flow {flow}above expected since {at}, also at night{loss_en}. "
            "Send a crew to inspect the mains.",
        ),
    ),
    "pressure_drop": AnomalyKind(
        kind="pressure_drop",
        method="value",
        channels=("pressure",),
        key=SHIFT_KEY,
        minutes_to_clear=90,
        label=LocalizedText("수압 저하", "Pressure drop"),
        text=LocalizedText(
            "{sensor} 수압이 {at}부터 평소보다 {excess}낮아졌고 유량은 그대로입니다. 공급 측 펌프와 밸브를 확인하세요.",
            "Pressure of {sensor} is {excess}below expected since {at}; flow is unchanged. "
            "Check pumps and valves on the supply side.",
        ),
    ),
    "deviation": AnomalyKind(
        kind="deviation",
        method="prediction",
        channels=CHANNELS,
        key=SHIFT_KEY,
        minutes_to_clear=90,
        label=LocalizedText("예측 이탈", "Deviation"),
        text=LocalizedText(
            "{sensor} {channel_ko}이 {at}부터 예측보다 {excess}{compared}. 계속되면 사용량 변화를 확인하세요.",
            "{channel} of {sensor} is {excess}{above} the forecast since {at}. "
            "If it lasts, check for a change of demand.",
        ),
    ),
    "drift": AnomalyKind(
        kind="step",
        method="value",
        channels=CHANNELS,
        key="{channel}.drift",
        minutes_to_clear=1,
        once_a_day=True,
        is_meter_fault=True,
        label=LocalizedText("계측기 드리프트", "Meter drift"),
        text=LocalizedText(
            "{sensor} {channel_ko} 계측값이 며칠 사이 {excess}{drift_ko} 다른 계측값은 그만큼 변하지 않았습니다. "
            "계측기의 영점과 교정을 확인하세요.",
            "{channel} of {sensor} has {drift_en} {by_excess}within days without a matching change of the other meter. "
            "Check the meter's zero and calibration.",
        ),
    ),
    "last_night": AnomalyKind(
        kind="step",
        method="night",
        channels=("flow_rate",),
        key=LAST_NIGHT_KEY,
        minutes_to_clear=1,
        once_a_day=True,
        label=LocalizedText("지난밤 유량 증가", "Last night's flow"),
        text=LocalizedText(
            "{sensor} 지난밤 최소 유량이 이전 2주보다 {flow}많았습니다{loss_ko}. "
            "밤에 관 세척, 물탱크 급수, 대량 사용이 없었다면 파열을 의심하고 현장을 확인하세요.",
            "The minimum flow of last night at {sensor} was {flow}above that of the two weeks before{loss_en}. "
            "If there was no flushing, tank filling or large use at night, suspect a burst and inspect the site.",
        ),
    ),
    "leak": AnomalyKind(
        kind="leak",
        method="night",
        channels=("flow_rate",),
        key=LEAK_KEY,
        minutes_to_clear=1,
        once_a_day=True,
        label=LocalizedText("누수 의심", "Leak"),
        text=LocalizedText(
            "{sensor} 누수가 의심됩니다. {at}경부터 밤낮으로 유량 {flow}증가가 이어졌습니다{loss_ko}. "
            "누수 탐사를 계획하세요.",
            "Leak suspected at {sensor}: flow {flow}above expected day and night since about {at}{loss_en}. "
            "Plan a leak survey.",
        ),
    ),
    "works": AnomalyKind(
        kind="works",
        method="system",
        channels=("flow_rate",),
        key="works",
        minutes_to_clear=0,
        label=LocalizedText("작업", "Maintenance"),
        text=LocalizedText(
            "{sensor} 작업({at}부터 {until}까지): {silenced_ko}.",
            "Maintenance at {sensor} from {at} until {until}: {silenced_en}.",
        ),
    ),
}
"""Every trigger with its row. A leak that was beyond doubt needs one more normal night than its row says."""
