"""All messages on the broker.

Units: flow rate m³/h, pressure bar, volume m³. Times are aware and carry the site's own offset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen, Predicate, Unit

MAX_ABS_VALUE = 1e9
"""m³/h or bar; no meter shows more."""
MAX_SEQ = 999_999_999_999
"""A reading a second for 30,000 years; twelve digits, as in the file names of the spool."""
MAX_SENSORS = 64
"""Sensors of one site."""
HISTORY_PART_MINUTES = 5000
"""Minutes in one HistoryBatch."""
SUPPORTED_YEARS = range(1970, 2100)
"""Years of all times in messages."""


def is_valid_name(name: str) -> bool:
    """Return whether a name can be a level of a topic, a column of a text file and a folder."""
    return (
        name.isprintable()
        and not set(name) & set(" /+#,;")
        and name not in (".", "..")
        and len(name.encode("utf-8")) <= 200
    )


def is_aware_in_supported_years(at: datetime) -> bool:
    """Return whether a time is aware and in SUPPORTED_YEARS."""
    return at.tzinfo is not None and at.year in SUPPORTED_YEARS


def is_safe_relative_path(path: str) -> bool:
    """Return whether a path, relative to a folder, stays below that folder."""
    return not path.startswith("/") and ".." not in path.split("/") and path.isprintable()


def has_169_or_no_values(values: tuple[float | None, ...]) -> bool:
    """Return whether quantiles are complete (169 hours) or empty."""
    return len(values) in (0, 169)


def has_144_or_no_values(values: tuple[float, ...]) -> bool:
    """Return whether a curve has a value for each ten minutes of a day, or none."""
    return len(values) in (0, 144)


def has_two_ordered_values(interval: tuple[float, ...]) -> bool:
    """Return whether an interval has a lower and an upper end."""
    return len(interval) == 2 and interval[0] <= interval[1]


Name = Annotated[str, MinLen(1), MaxLen(64), Predicate(is_valid_name)]
"""Name of a site, sensor or service: printable, without blanks, separators and MQTT wildcards."""
AwareDatetime = Annotated[datetime, Predicate(is_aware_in_supported_years)]
BoundedFloat = Annotated[float, Ge(-1e18), Le(1e18)]
"""Computed value; sums and squares of such values stay finite."""
ExcessFlow = Annotated[BoundedFloat, Unit("m³/h")]
Volume = Annotated[BoundedFloat, Unit("m³")]
FlowRate = Annotated[float, Ge(-MAX_ABS_VALUE), Le(MAX_ABS_VALUE), Unit("m³/h")]
Pressure = Annotated[float, Ge(-MAX_ABS_VALUE), Le(MAX_ABS_VALUE), Unit("bar")]
Count = Annotated[int, Ge(0), Le(MAX_SEQ)]
SeqNumber = Annotated[int, Ge(-1), Le(MAX_SEQ)]
"""Sequence number of a reading in its spool; -1 before the first."""
ShortText = Annotated[str, MaxLen(200)]
LongText = Annotated[str, MaxLen(4000)]
Channel = Literal["flow_rate", "pressure"]
Method = Literal["system", "value", "prediction", "night"]
Kind = Literal[
    "silence", "stuck", "out_of_range", "clock", "spike", "step", "burst", "pressure_drop", "deviation", "leak", "works"
]
Trigger = Literal[
    "silence",
    "stuck",
    "out_of_range",
    "unit",
    "clock",
    "spike",
    "step",
    "burst",
    "pressure_drop",
    "deviation",
    "drift",
    "last_night",
    "leak",
    "works",
]
"""Rule that raised an anomaly. It is finer than the kind: `drift` and `last_night` are steps."""
Cause = Literal["burst", "leak", "works", "meter", "use", "unknown"]
"""Cause that an operator has confirmed; `use`: legitimate use; `unknown`: nothing was found."""
Clock = Literal["ok", "doubted", "set_back"]
"""Whether the time of a reading is believed.

`doubted`: in the future or the distant past, and not confirmed; it moves nothing ahead.
`set_back`: the meter's clock was set back and has not yet reached its former time; the present continues here.
"""
CommandName = Literal["train", "use", "acknowledge", "unacknowledge", "close", "silence", "backup", "retire", "rename"]
StatusCode = Literal[
    "ok",
    "waiting_for_broker",
    "topic_refused",
    "busy",
    "database_locked",
    "database_full",
    "database_not_writable",
    "database_not_readable",
    "database_corrupt",
    "database_restored",
    "database_not_replaceable",
    "schema_newer",
    "schema_older",
    "backup_failed",
    "history_incomplete",
    "spool_filling",
    "readings_dropped",
    "spool_not_writable",
    "rejected_not_writable",
    "output_not_writable",
    "model_deactivated",
    "processor_without_avx",
    "clock_unconfirmed",
    "clock_set_back",
    "clock_behind",
    "clock_unset",
    "meter_clock_differs",
    "notification_failing",
    "notification_given_up",
    "notifications_not_writable",
]
"""State of a service. docs/reference/status-codes.md says what each means and what to do."""

CHANNELS: tuple[Channel, Channel] = ("flow_rate", "pressure")
PROFILE_MODEL_ID = "profile"
"""Id in place of a model's where the hour-of-week profile forecasts."""
SCORED_HORIZONS = (1, 24, 168)
"""Horizons, hours, at which forecasts are compared with the readings: values k of a Prediction."""


@dataclass(frozen=True, slots=True)
class LocalizedText:
    """Text for people in Korean and English."""

    ko: LongText
    en: LongText


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One minute of one meter, accepted by ingest."""

    topic: ClassVar = "{sensor}/reading"
    retained: ClassVar = False

    site: Name
    sensor: Name
    at: AwareDatetime
    """Minute that the meter measured. All logic runs on this time."""
    flow_rate: FlowRate | None
    """None if the meter gave no value."""
    pressure: Pressure | None
    """None if the meter gave no value."""
    boot_id: Name
    """Id of ingest's spool; it outlives restarts."""
    seq: Count
    """Number of the reading in its spool, without gaps."""
    source: Name
    """Source of the reading: simulator, file, replay."""
    after: SeqNumber | None = None
    """For a retransmitted reading: the newest seq before this one in the spool. None means seq - 1."""
    clock: Clock = "ok"
    """Whether its time is believed: ingest decides, all others follow."""
    completes: bool = False
    """Whether the values belong to a minute whose reading was published without them; the other channel is None."""
    belated: bool = False
    """Whether the reading is late although the meter's clock is right, such as one of a block after an outage."""


HistoryMinute = tuple[AwareDatetime, FlowRate | None, Pressure | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryBatch:
    """Many past minutes of one meter, from the first start or an import. They are stored, not judged."""

    topic: ClassVar = "{sensor}/history"
    retained: ClassVar = False

    site: Name
    sensor: Name
    source: Name
    part: Annotated[int, Ge(1), Le(MAX_SEQ)]
    """Number of this batch, from 1."""
    of: Annotated[int, Ge(1), Le(MAX_SEQ)]
    """Number of batches. The last one is sent when all others are stored, so the history is complete then."""
    minutes: Annotated[tuple[HistoryMinute, ...], MinLen(1), MaxLen(HISTORY_PART_MINUTES)]
    """(at, flow_rate, pressure) in order of time."""
    replace: bool = False
    """Whether these minutes replace those that are stored with other values."""
    transfer: Name | Literal[""] = ""
    """Id of the sender's transfer, for the answer; empty if it expects none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAnswer:
    """Answer to a HistoryBatch: it is in the database now, or can't be stored at all."""

    topic: ClassVar = "history_answer"
    retained: ClassVar = False

    site: Name
    transfer: Name
    part: Annotated[int, Ge(1), Le(MAX_SEQ)]
    stored: bool
    reason: LocalizedText
    """Why it can't be stored; empty if it is stored."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A minute has closed. Live it follows the clock, in a replay event time; it never goes backwards."""

    topic: ClassVar = "tick"
    retained: ClassVar = False

    site: Name
    at: AwareDatetime
    """Start of the minute that has closed: the tick of 10:04 is published at 10:05:00."""
    boot_id: Name | Literal[""] = ""
    """Id of ingest's spool; empty if it has none."""
    seq: SeqNumber = -1
    """Newest reading of boot_id that was published before this tick: by now it has arrived or was lost."""


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one method for one value."""

    flag: Literal[0, 1] | None = None
    """0 normal, 1 abnormal, None not evaluated."""
    score: BoundedFloat | None = None
    """Statistic of the method, in the unit of limit."""
    limit: BoundedFloat | None = None
    """Score from which the flag is 1."""


NOT_EVALUATED = Check()


@dataclass(slots=True)
class FlowChecks:
    """The four methods on flow rate."""

    system: Check = NOT_EVALUATED
    value: Check = NOT_EVALUATED
    prediction: Check = NOT_EVALUATED
    night: Check = NOT_EVALUATED


@dataclass(slots=True)
class PressureChecks:
    """The three methods on pressure."""

    system: Check = NOT_EVALUATED
    value: Check = NOT_EVALUATED
    prediction: Check = NOT_EVALUATED


@dataclass(slots=True, kw_only=True)
class Verdict:
    """The detector's result for one reading. It and its checks are not frozen, which saves 7 % of the time."""

    topic: ClassVar = "{sensor}/verdict"

    site: Name
    sensor: Name
    at: AwareDatetime
    """Minute of the reading."""
    reading: Reading
    flow_rate: FlowChecks
    pressure: PressureChecks

    @property
    def retained(self) -> bool:
        """A verdict of a doubted time does not replace the newest one."""
        return self.reading.clock != "doubted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """An alarm with a state: opened, updated, cleared."""

    topic: ClassVar = "{sensor}/anomaly/{id}"

    site: Name
    sensor: Name
    id: Name
    at: AwareDatetime
    """When this state began."""
    channels: Annotated[tuple[Channel, ...], MinLen(1), MaxLen(2)]
    """Channels that show it, the clearest first."""
    methods: Annotated[tuple[Method, ...], MinLen(1), MaxLen(4)]
    """Methods that found it, the first finder first."""
    kind: Kind
    trigger: Trigger
    """Rule that raised it."""
    state: Literal["opened", "updated", "cleared"]
    acknowledged: bool
    """Whether an operator has seen it."""
    severity: Literal["info", "warning", "critical"]
    opened_at: AwareDatetime
    onset_at: AwareDatetime
    """Estimated beginning; at or before opened_at."""
    cleared_at: AwareDatetime | None
    peak: BoundedFloat | None
    """Most extreme value of the first channel while open, in the channel's unit."""
    excess_m3h: ExcessFlow | None
    """Mean excess flow while open."""
    excess_interval_m3h: Annotated[tuple[ExcessFlow, ...], Predicate(has_two_ordered_values)] | None = None
    """Lower and upper end of the 90 % interval of excess_m3h."""
    lost_m3: Volume | None = None
    """Volume of the excess flow since onset_at."""
    confirmed_cause: Cause | None = None
    """Cause that an operator has confirmed."""
    closed: bool = False
    """Whether an operator has closed it. It opens no more for the same deviation."""
    note: LongText = ""
    """Remark of an operator."""
    by: ShortText = ""
    """Operator who acknowledged, confirmed or remarked last."""
    text: LocalizedText

    @property
    def channel(self) -> Channel:
        """The channel that shows it most clearly."""
        return self.channels[0]

    @property
    def method(self) -> Method:
        """The method that found it first."""
        return self.methods[0]

    @property
    def retained(self) -> bool:
        """An open anomaly stays on the broker for late subscribers; a cleared one is removed."""
        return self.state != "cleared"


Curve = Annotated[tuple[BoundedFloat, ...], MaxLen(1440)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Limits and expected values of one sensor from valid_from on."""

    topic: ClassVar = "{sensor}/criteria"
    retained: ClassVar = True

    site: Name
    sensor: Name
    valid_from: AwareDatetime
    learned_from: AwareDatetime
    learned_to: AwareDatetime
    days: Count
    """Days without anomalies that were learned from."""
    limits: Annotated[dict[ShortText, BoundedFloat], MaxLen(500)]
    """"channel.method.name" to limit, in the unit of that method's score.

    "channel.method.false_alarms_per_week" is the rate that the other limits of that method were set for. The rate of
    the night limit "last" is "last_false_alarms_per_week".
    """
    profiles: Annotated[dict[ShortText, Curve], MaxLen(200)] = field(default_factory=dict)
    """"channel.name" to learned curve: 168 hours of the week from Monday 00:00, 24 hours, 144 ten minutes, or terms."""


TenMinuteCurve = Annotated[tuple[BoundedFloat, ...], Predicate(has_144_or_no_values)]
"""A value for each ten minutes of a day, by local time from 00:00; empty if nothing is known."""


@dataclass(frozen=True, slots=True)
class ExpectedBand:
    """What one channel is expected to give on a day, in the channel's unit."""

    expected: TenMinuteCurve = ()
    low: TenMinuteCurve = ()
    """Mean of an hour at and below which the check `value` is abnormal."""
    high: TenMinuteCurve = ()
    """Mean of an hour at and above which the check `value` is abnormal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDay:
    """Expected values and limits of one sensor for one day, from the days before it."""

    topic: ClassVar = "{sensor}/expected"
    retained: ClassVar = True

    site: Name
    sensor: Name
    at: AwareDatetime
    """Local midnight at which the day begins."""
    flow_rate: ExpectedBand
    pressure: ExpectedBand


@dataclass(frozen=True, slots=True, kw_only=True)
class NightResult:
    """Minimum night flow of one sensor in one night, and the usual one."""

    topic: ClassVar = "{sensor}/night"
    retained: ClassVar = True

    site: Name
    sensor: Name
    at: AwareDatetime
    """Local midnight of the day on which the night ended."""
    window_from: AwareDatetime
    """Start of the hours in which the flow is lowest at this sensor."""
    window_to: AwareDatetime
    minimum_m3h: FlowRate
    """Minimum night flow: lowest mean of an hour in the window."""
    usual_m3h: FlowRate | None
    """Median of the nights before without an anomaly; None before there are enough."""
    limit_m3h: ExcessFlow | None
    """Excess of a single night above which it is abnormal; None before the first criteria."""
    leak_m3h: ExcessFlow | None
    """Excess of the last nights together over the level before, as the leak check estimates it; None for none."""
    flag: Literal[0, 1] | None
    """Result of the check `night`: 0 normal, 1 abnormal, None not evaluated."""

    @property
    def excess_m3h(self) -> float | None:
        """Minimum night flow less the usual one."""
        return None if self.usual_m3h is None else self.minimum_m3h - self.usual_m3h


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSummary:
    """How many anomalies of one sensor are open."""

    topic: ClassVar = "{sensor}/alarms"
    retained: ClassVar = True

    site: Name
    sensor: Name
    at: AwareDatetime
    open: Count
    """Open anomalies, without maintenance windows."""
    unacknowledged: Count
    """Open ones that no operator has acknowledged."""
    severity: Literal["none", "info", "warning", "critical"]
    """The worst open one."""
    silenced_until: AwareDatetime | None
    """End of the maintenance window that is active; None without one."""


Quantiles = Annotated[tuple[BoundedFloat | None, ...], MaxLen(169), Predicate(has_169_or_no_values)]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Hourly quantiles of one channel; value k is the mean of the hour that starts at issued_at + k h, k = 0 … 168."""

    model: Name
    """Id of the model, or "profile"."""
    p10: Quantiles = ()
    p50: Quantiles = ()
    """Empty if nothing can be forecast yet."""
    p90: Quantiles = ()


def same_length(forecast: Forecast) -> bool:
    """Return whether the three quantiles cover the same hours."""
    return len(forecast.p10) == len(forecast.p50) == len(forecast.p90)


ValidForecast = Annotated[Forecast, Predicate(same_length)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Error of an earlier forecast of an hour that has passed, and of the forecasts of the two weeks up to it."""

    at: AwareDatetime
    """Start of the hour."""
    channel: Channel
    horizon: Annotated[int, Ge(0), Le(168)]
    """Hours from issue to `at`: the value k of that Prediction."""
    model: Name
    """Model that made the forecast."""
    error: BoundedFloat
    """p50 minus the observed mean, in the channel's unit."""
    inside: bool
    """Whether the observed mean was within p10 to p90."""
    profile_error: BoundedFloat | None
    """Error of the profile forecast of that time; None if there was none."""
    hours: Count
    """Scored hours of the two weeks."""
    mae: BoundedFloat
    """Mean absolute error of these hours, in the channel's unit."""
    coverage: Annotated[float, Ge(0), Le(1)]
    """Share of these hours within p10 to p90; 0.8 is right."""
    profile_mae: BoundedFloat | None
    """Mean absolute error of the profile in these hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Forecast of the next week of one sensor, both channels, made from readings before issued_at."""

    topic: ClassVar = "{sensor}/prediction"
    retained: ClassVar = True

    site: Name
    sensor: Name
    issued_at: AwareDatetime
    """A full hour."""
    flow_rate: ValidForecast
    pressure: ValidForecast
    scores: Annotated[tuple[Score, ...], MaxLen(2000)] = ()
    """Scores of the hour before issued_at, and of hours of the week before it whose readings came late."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often a channel gives a value, and when it is late."""

    interval_minutes: Annotated[int, Ge(1), Le(1440)]
    """Usual minutes between two values."""
    late_minutes: Annotated[int, Ge(1), Le(MAX_SEQ)]
    """Minutes without a value after which the channel is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorState:
    """What one service does with the readings of one sensor, and why not more."""

    topic: ClassVar = "{sensor}/state/{service}"
    retained: ClassVar = True

    site: Name
    sensor: Name
    service: Literal["detector", "forecaster"]
    at: AwareDatetime
    """Minute of the readings from which on it applies."""
    is_active: bool
    """Whether the detector judges the readings, or the forecaster forecasts them."""
    since: AwareDatetime | None
    """From when on it does so without a break."""
    text: LocalizedText
    """Since when, or why not yet."""
    flow_rate: Cadence | None = None
    """None if no cadence is known; the forecaster states none."""
    pressure: Cadence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrained:
    """A training has ended, or another model was activated; promoted says whether it serves from now on.

    With the id "profile", no model serves from now on: the profile forecasts.
    """

    topic: ClassVar = "{sensor}/model"

    site: Name
    sensor: Name
    at: AwareDatetime
    """When it was trained or activated."""
    channel: Channel
    id: Name
    path: Annotated[str, MaxLen(1000), Predicate(is_safe_relative_path)]
    """Folder of the model, relative to the data folder."""
    checksum: Annotated[str, MaxLen(64)]
    """SHA-256 of model.tflite."""
    trained_from: AwareDatetime
    trained_to: AwareDatetime
    metrics: Annotated[dict[ShortText, BoundedFloat], MaxLen(100)]
    """Errors on the holdout weeks: its own, `used_…` of the champion, `profile_…` of the profile; `…_chance_24h`:

    p-value of the comparison; near 0 it is better than that one at this horizon, near 1 worse.
    """
    promoted: bool
    reason: LocalizedText
    """Why it was promoted or not."""

    @property
    def retained(self) -> bool:
        """Late subscribers receive a model that serves, not a rejected one."""
        return self.promoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a long job."""

    topic: ClassVar = "progress"
    retained: ClassVar = True

    site: Name
    at: AwareDatetime
    job: Literal["training", "import", "backup"]
    step: Count
    of: Count
    """Number of steps. The job is done when step equals of; 0 while it waits."""
    eta: AwareDatetime | None
    """Expected end."""
    text: LocalizedText


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What db_writer has stored of the readings that ingest accepted: all up to seq of boot_id."""

    topic: ClassVar = "stored"
    retained: ClassVar = True

    site: Name
    boot_id: Name
    seq: SeqNumber
    """-1: nothing of boot_id yet."""
    at: AwareDatetime
    """Minute of that reading."""
    judged: SeqNumber
    """Newest seq of boot_id whose verdict is stored too; -1 before the first."""
    waiting: Count
    """Messages received and not stored yet."""
    seen: SeqNumber = -1
    """Newest known seq of boot_id. Beyond seq, readings are missing and ingest retransmits them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageState:
    """Size of the database, and how long the disk and the newest backup last."""

    topic: ClassVar = "storage"
    retained: ClassVar = True

    site: Name
    at: AwareDatetime
    database_mb: Annotated[float, Unit("MB"), Ge(0), Le(1e18)]
    disk_free_mb: Annotated[float, Unit("MB"), Ge(0), Le(1e18)]
    days_left: Annotated[float, Ge(0), Le(1e6)] | None
    """Days until the disk is full at the growth so far; None if old minutes are deleted before that."""
    oldest_at: AwareDatetime | None
    """Oldest stored minute; None without any."""
    last_backup_at: AwareDatetime | None
    """Newest complete backup; None without any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message to people, and what became of it."""

    topic: ClassVar = "notification"
    retained: ClassVar = False

    site: Name
    at: AwareDatetime
    """When it entered this state."""
    key: Name
    """Id of the message; the same in each attempt."""
    channel: Name
    """NAME of the `[notify.NAME]` table."""
    state: Literal["sent", "waiting", "given_up"]
    """`waiting`: an attempt failed and it is tried again."""
    severity: Literal["info", "warning", "critical"]
    title: ShortText
    attempts: Count
    reason: LocalizedText
    """Why the last attempt failed; empty if it was sent."""


@dataclass(frozen=True, slots=True)
class SensorRetired:
    """A sensor has ended, or has another name now: the present state of it is dropped, its history stays.

    Its next reading makes it active again. Each service removes its retained messages of the sensor.
    """

    topic: ClassVar = "{sensor}/retired"
    retained: ClassVar = False

    site: Name
    sensor: Name
    at: AwareDatetime
    """When it was retired."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Input that was not accepted, with the reason."""

    topic: ClassVar = "rejected"
    retained: ClassVar = False

    site: Name
    source: LongText
    """File and line, or topic."""
    reason: LocalizedText
    raw: LongText
    """The input itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """State of a service; `offline` is its last will."""

    topic: ClassVar = "service/{name}"
    retained: ClassVar = True

    site: Name
    name: Name
    state: Literal["online", "stopping", "offline"]
    version: Name
    since: AwareDatetime
    at: AwareDatetime
    memory_mb: Annotated[float, Unit("MB"), Ge(0), Le(1e18)]
    lag: Count
    """Messages received and not handled yet."""
    code: StatusCode
    """The most urgent problem; `ok` if there is none."""
    note: LocalizedText
    """All problems in plain words; empty if there is none."""


@dataclass(frozen=True, slots=True)
class Command:
    """Request of an operator. The service that owns it replies with a Response of the same transaction."""

    topic: ClassVar = "command/{name}"
    retained: ClassVar = False

    site: Name
    name: CommandName
    transaction: Name
    arguments: Annotated[dict[ShortText, ShortText], MaxLen(16)] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Reply to a Command."""

    topic: ClassVar = "response/{name}"
    retained: ClassVar = False

    site: Name
    name: CommandName
    transaction: Name
    ok: bool
    text: LocalizedText


Message = (
    Reading
    | HistoryBatch
    | HistoryAnswer
    | Tick
    | Verdict
    | Anomaly
    | AlarmSummary
    | Criteria
    | ExpectedDay
    | NightResult
    | Prediction
    | SensorState
    | ModelTrained
    | Progress
    | Stored
    | StorageState
    | Notification
    | SensorRetired
    | Rejected
    | Status
    | Command
    | Response
)
MESSAGES: tuple[type[Message], ...] = Message.__args__
