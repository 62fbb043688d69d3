"""Everything that is ever said on the broker, each message declared once.

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
SUPPORTED_YEARS = range(1970, 2100)
"""Of all times in messages: with a week before and after them, every calendar and zone can still count."""


def is_valid_name(name: str) -> bool:
    """Whether a name can be a level of a topic, a column of a text file and a folder."""
    return (
        name.isprintable()
        and not set(name) & set(" /+#,;")
        and name not in (".", "..")
        and len(name.encode("utf-8")) <= 200
    )


def is_aware_in_supported_years(at: datetime) -> bool:
    """Whether a time is aware and of the YEARS."""
    return at.tzinfo is not None and at.year in SUPPORTED_YEARS


def is_safe_relative_path(path: str) -> bool:
    """Whether a path, taken relative to a folder, can't lead out of it."""
    return not path.startswith("/") and ".." not in path.split("/") and path.isprintable()


def has_169_or_no_values(values: tuple[float | None, ...]) -> bool:
    """Whether quantiles are those of the 169 hours, or none."""
    return len(values) in (0, 169)


Name = Annotated[str, MinLen(1), MaxLen(64), Predicate(is_valid_name)]
"""A site, sensor or service: printable, no blanks, separators or MQTT wildcards."""
AwareDatetime = Annotated[datetime, Predicate(is_aware_in_supported_years)]
BoundedFloat = Annotated[float, Ge(-1e18), Le(1e18)]
"""What is reckoned from such values; sums and squares of figures stay finite."""
ExcessFlow = Annotated[BoundedFloat, Unit("m³/h")]
FlowRate = Annotated[float, Ge(-MAX_ABS_VALUE), Le(MAX_ABS_VALUE), Unit("m³/h")]
Pressure = Annotated[float, Ge(-MAX_ABS_VALUE), Le(MAX_ABS_VALUE), Unit("bar")]
Count = Annotated[int, Ge(0), Le(MAX_SEQ)]
SeqNumber = Annotated[int, Ge(-1), Le(MAX_SEQ)]
"""Of a reading in its spool; -1 before the first."""
ShortText = Annotated[str, MaxLen(200)]
Channel = Literal["flow_rate", "pressure"]
Method = Literal["system", "value", "prediction", "night"]
Kind = Literal[
    "silence", "stuck", "out_of_range", "clock", "spike", "step", "burst", "pressure_drop", "deviation", "leak", "works"
]
CommandName = Literal["train", "use", "acknowledge", "silence", "backup"]
LongText = Annotated[str, MaxLen(4000)]

CHANNELS: tuple[Channel, Channel] = ("flow_rate", "pressure")
PROFILE_MODEL_ID = "profile"
"""Stands in the place of a model's id where the hour-of-week profile forecasts."""
SCORED_HORIZONS = (1, 24, 168)
"""Hours ahead at which forecasts are held against what came: the values k of a Prediction."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One minute of one meter, accepted by ingest."""

    topic: ClassVar = "{sensor}/reading"
    retained: ClassVar = False

    site: Name
    sensor: Name
    at: AwareDatetime
    """The minute the meter measured. All logic runs on this time."""
    flow_rate: FlowRate | None
    """None when the meter gave no value."""
    pressure: Pressure | None
    """None when the meter gave no value."""
    boot_id: Name
    """The spool that ingest keeps it in; it outlives restarts."""
    seq: Count
    """Counts the readings of one boot_id without a gap."""
    source: Name
    """Where it came from: simulator, file, replay."""
    after: SeqNumber | None = None
    """Sent again: the newest seq before this one that ingest still has; None means seq - 1."""


HistoryMinute = tuple[AwareDatetime, FlowRate | None, Pressure | None]


@dataclass(frozen=True, slots=True)
class HistoryBatch:
    """Many past minutes of one meter in one message: a first start's year or an import. Only stored, never judged."""

    topic: ClassVar = "{sensor}/history"
    retained: ClassVar = False

    site: Name
    sensor: Name
    source: Name
    part: Annotated[int, Ge(1), Le(MAX_SEQ)]
    of: Annotated[int, Ge(1), Le(MAX_SEQ)]
    """All is there once part equals of."""
    minutes: Annotated[tuple[HistoryMinute, ...], MinLen(1), MaxLen(5000)]
    """(at, flow_rate, pressure) in order of time."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A minute has closed. Live on the clock, in a replay in event time; never goes backwards."""

    topic: ClassVar = "tick"
    retained: ClassVar = False

    site: Name
    at: AwareDatetime
    """Start of the minute that has just closed: the tick of 10:04 is sent at 10:05:00."""
    boot_id: Name | Literal[""] = ""
    """The spool of ingest; empty when it has none."""
    seq: SeqNumber = -1
    """Newest reading of boot_id that was sent before this: by now it has arrived, or was lost."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one method says of one value."""

    flag: Literal[0, 1] | None = None
    """0 normal, 1 abnormal, None not evaluated."""
    score: BoundedFloat | None = None
    """The method's statistic, in the unit of limit."""
    limit: BoundedFloat | None = None
    """The score from which on the flag is 1."""


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


@dataclass(slots=True)
class Verdict:
    """What the detector says of one reading. Neither it nor its checks are frozen: that costs 7 % of judging."""

    topic: ClassVar = "{sensor}/verdict"
    retained: ClassVar = True

    site: Name
    sensor: Name
    at: AwareDatetime
    """The reading's minute."""
    reading: Reading
    flow_rate: FlowChecks
    pressure: PressureChecks


@dataclass(frozen=True, slots=True)
class LocalizedText:
    """What an operator reads, in both languages."""

    ko: LongText
    en: LongText


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An alarm with a life: opened, updated, cleared."""

    topic: ClassVar = "{sensor}/anomaly/{id}"

    site: Name
    sensor: Name
    id: Name
    at: AwareDatetime
    """When this was said."""
    channel: Channel
    method: Method
    kind: Kind
    state: Literal["opened", "updated", "cleared"]
    acknowledged: bool
    severity: Literal["info", "warning", "critical"]
    opened_at: AwareDatetime
    cleared_at: AwareDatetime | None
    peak: BoundedFloat | None
    """Farthest value of the channel while open, in the channel's unit."""
    excess_m3h: ExcessFlow | None
    """Mean flow above what is usual while open."""
    text: LocalizedText

    @property
    def retained(self) -> bool:
        """An open anomaly stays on the broker for late subscribers; a cleared one leaves it."""
        return self.state != "cleared"


Curve = Annotated[tuple[BoundedFloat, ...], MaxLen(1440)]


@dataclass(frozen=True, slots=True)
class Criteria:
    """What counts as abnormal for one sensor from valid_from on."""

    topic: ClassVar = "{sensor}/criteria"
    retained: ClassVar = True

    site: Name
    sensor: Name
    valid_from: AwareDatetime
    learned_from: AwareDatetime
    learned_to: AwareDatetime
    days: Count
    """Clean days that were learned from."""
    limits: Annotated[dict[ShortText, BoundedFloat], MaxLen(500)]
    """"channel.method.name" to limit, in the unit of that method's score.

    "channel.method.false_alarms_per_week" is the rate that the others of that method were set for; that of the limit
    "last" of the nights is "last_false_alarms_per_week".
    """
    profiles: Annotated[dict[ShortText, Curve], MaxLen(200)] = field(default_factory=dict)
    """"channel.name" to learned curve: 168 hours of the week from Monday 00:00, 24 hours, 144 ten minutes, or terms."""


Quantiles = Annotated[tuple[BoundedFloat | None, ...], MaxLen(169), Predicate(has_169_or_no_values)]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Hourly quantiles of one channel; value k is the mean of the hour that starts at issued_at + k h, k = 0 … 168."""

    model: Name
    """Id of the model, or "profile"."""
    p10: Quantiles = ()
    p50: Quantiles = ()
    """Empty when nothing can be forecast yet."""
    p90: Quantiles = ()


def same_length(forecast: Forecast) -> bool:
    """Whether the three quantiles are told for the same hours."""
    return len(forecast.p10) == len(forecast.p50) == len(forecast.p90)


ValidForecast = Annotated[Forecast, Predicate(same_length)]


@dataclass(frozen=True, slots=True)
class Score:
    """An earlier forecast of an hour that has come, and how good the forecasts of the two weeks up to it were."""

    at: AwareDatetime
    """Start of the hour."""
    channel: Channel
    horizon: Annotated[int, Ge(0), Le(168)]
    """Hours from issue to `at`: the value k of that Prediction."""
    model: Name
    """Which made it."""
    error: BoundedFloat
    """p50 minus the mean that came, in the channel's unit."""
    inside: bool
    """Whether what came lay from p10 to p90."""
    profile_error: BoundedFloat | None
    """The same of what the profile would have forecast then; None when it could not."""
    hours: Count
    """Scored hours of the two weeks."""
    mae: BoundedFloat
    """Their mean absolute error, in the channel's unit."""
    coverage: Annotated[float, Ge(0), Le(1)]
    """Share of them that lay from p10 to p90; 0.8 is right."""
    profile_mae: BoundedFloat | None
    """What the profile's would have been."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The week ahead of one sensor, both channels, made from readings before issued_at."""

    topic: ClassVar = "{sensor}/prediction"
    retained: ClassVar = True

    site: Name
    sensor: Name
    issued_at: AwareDatetime
    """A full hour."""
    flow_rate: ValidForecast
    pressure: ValidForecast
    scores: Annotated[tuple[Score, ...], MaxLen(2000)] = ()
    """Of the hour before issued_at, and of others in the week before it whose readings came late."""


@dataclass(frozen=True, slots=True)
class ModelTrained:
    """A training has ended, or another model was put into use; promoted says whether it serves from now on.

    With the id "profile" no model serves from now on: the profile forecasts.
    """

    topic: ClassVar = "{sensor}/model"

    site: Name
    sensor: Name
    at: AwareDatetime
    """When it was trained, or put into use again."""
    channel: Channel
    id: Name
    path: Annotated[str, MaxLen(1000), Predicate(is_safe_relative_path)]
    """Folder of the model, relative to the data folder."""
    checksum: Annotated[str, MaxLen(64)]
    """SHA-256 of model.tflite."""
    trained_from: AwareDatetime
    trained_to: AwareDatetime
    metrics: Annotated[dict[ShortText, BoundedFloat], MaxLen(100)]
    """Errors on the held-back weeks: its own, `used_…` of what was in use, `profile_…` of the profile; `…_chance_24h`:

    near 0 it surely is better than that one at this horizon, near 1 worse.
    """
    promoted: bool
    reason: LongText

    @property
    def retained(self) -> bool:
        """Late subscribers hear of a model that serves, not of one that was refused."""
        return self.promoted


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is."""

    topic: ClassVar = "progress"
    retained: ClassVar = True

    site: Name
    at: AwareDatetime
    job: Literal["training", "import", "backup"]
    step: Count
    of: Count
    """The job is done when step equals of; 0 while it waits."""
    eta: AwareDatetime | None
    text: LongText


@dataclass(frozen=True, slots=True)
class Stored:
    """How far db_writer has stored what ingest accepted: all up to seq of boot_id is on disk."""

    topic: ClassVar = "stored"
    retained: ClassVar = True

    site: Name
    boot_id: Name
    seq: SeqNumber
    """-1: nothing of boot_id yet."""
    at: AwareDatetime
    """Minute of that reading."""
    judged: SeqNumber
    """Newest seq of boot_id whose verdict is on disk too; -1 before the first."""
    waiting: Count
    """Messages received and not yet stored."""
    seen: SeqNumber = -1
    """Newest seq of boot_id that is known of; beyond seq, readings are missing and ingest sends them again."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that could not be taken, with the reason."""

    topic: ClassVar = "rejected"
    retained: ClassVar = False

    site: Name
    source: LongText
    """File and line, or topic."""
    reason: LongText
    raw: LongText


@dataclass(frozen=True, slots=True)
class Status:
    """How a service is; `offline` is its last will."""

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
    """Messages received and not yet handled."""
    note: LongText
    """What hinders it, in plain words; empty when all is well."""


@dataclass(frozen=True, slots=True)
class Command:
    """A wish of an operator; its owner answers with a Response of the same transaction."""

    topic: ClassVar = "command/{name}"
    retained: ClassVar = False

    site: Name
    name: CommandName
    transaction: Name
    arguments: Annotated[dict[ShortText, ShortText], MaxLen(16)] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a Command."""

    topic: ClassVar = "response/{name}"
    retained: ClassVar = False

    site: Name
    name: CommandName
    transaction: Name
    ok: bool
    text: LongText


Message = (
    Reading
    | HistoryBatch
    | Tick
    | Verdict
    | Anomaly
    | Criteria
    | Prediction
    | ModelTrained
    | Progress
    | Stored
    | Rejected
    | Status
    | Command
    | Response
)
MESSAGES: tuple[type[Message], ...] = Message.__args__
