"""Settings from site.toml and the environment, validated and frozen. An error names file, line and key."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from shared.contract.messages import MAX_SENSORS, Channel, Name
from shared.domain.message_template import FIELDS, SECRET_NAME, escape_of, fill, unknown_fields
from shared.domain.value_ranges import Bounds, ValueRanges
from shared.runtime.safe_files import read_limited

ENV_PREFIX, ENV_DELIMITER = "WVR_", "__"
"""Environment variables are called WVR_SECTION__KEY."""
STRUCTURE_ERRORS = ("dict_type", "model_type", "tuple_type")
"""Types of pydantic errors that report a text in place of a table or list."""
MAX_FILE_BYTES = 1_000_000
"""Limit of site.toml."""
MAX_PROBLEMS = 50
"""Limit of the problems in one error."""


class SettingsError(Exception):
    """A setting is invalid; the text names file, line and key."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; for Korea write 'Asia/Seoul'") from None
    return name


def _country(code: str) -> str:
    # Imported only for a country that is set: services that need no holidays must not load the package.
    from shared.runtime.public_holidays import is_supported

    if not is_supported(code):
        raise ValueError(
            f"no public holidays are known for {code!r}; for Korea write 'KR', for a region such as Trieste 'IT-TS'"
        )
    return code


class Section(BaseModel):
    """A table of site.toml. An unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Site(Section):
    """The site."""

    name: Name = "site1"
    """Name of the site in topics and tables."""
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Seoul"
    """Time zone of files, views and nights (IANA name)."""
    country: Annotated[str, AfterValidator(_country)] = "KR"
    """ISO 3166 code of the country or region whose public holidays count as Sundays."""


Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
"""A month such as "2026-03"."""


class Dma(Section):
    """Facts of the district metered area, for the monthly report."""

    name: str = Field("", max_length=200)
    """Name of the area in reports; empty: the name of the site."""
    connections: int | None = Field(None, ge=1)
    """Service connections."""
    mains_km: float | None = Field(None, gt=0)
    """Length of the mains, km."""
    night_use_m3h: float = Field(0.0, ge=0)
    """Legitimate night use, m³/h: what customers draw in the hour of minimum night flow."""
    billed_m3: dict[Month, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Billed volume by month, m³, such as `"2026-03" = 12345`; it gives the revenue water ratio."""


class Range(Section):
    """What a meter can show. A value outside is a meter fault."""

    min: float | None = None
    """Lowest value, m³/h or bar."""
    max: float | None = None
    """Highest value, m³/h or bar."""

    def model_post_init(self, _: object) -> None:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min} must be below max {self.max}")

    @property
    def bounds(self) -> Bounds:
        """Return the lowest and the highest value."""
        return -1e300 if self.min is None else self.min, 1e300 if self.max is None else self.max


def _minutes(text: Any) -> Any:
    """Return the minutes of a duration such as "90s", "15m", "26h" or "2d"."""
    match = re.fullmatch(r"(\d{1,6})\s*([smhd])", text.strip()) if isinstance(text, str) else None
    if not match:
        raise ValueError("write a number and its unit, such as '15m' or '26h'")
    return max(1, -(-int(match[1]) * SECONDS_OF_UNIT[match[2]] // 60))


SECONDS_OF_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Minutes = Annotated[int, BeforeValidator(_minutes), Field(le=31 * 1440)]
"""A duration in site.toml, such as "15m"; whole minutes in the program."""


class Meter(Range):
    """One channel of a sensor: its range, and how often it gives a value."""

    every: Minutes | None = None
    """Interval of the values, such as "15m". Without it, the interval is learned from the values."""
    late: Minutes | None = None
    """Time without a value after which the alarm `silence` opens, such as "26h". Without it, it is learned."""


class Sensor(Section):
    """One sensor. With any such table, only named sensors are accepted."""

    flow_rate: Meter = Meter(min=0.0)
    """The flow meter, m³/h."""
    pressure: Meter = Meter(min=0.0)
    """The pressure gauge, bar."""

    every: Minutes | None = None
    """Interval of the readings, such as "15m", for both channels."""
    late: Minutes | None = None
    """Time without a reading after which the alarm `silence` opens, such as "26h", for both channels."""

    def meter(self, channel: Channel) -> Meter:
        """Return the settings of a channel, with those of the sensor where it has none."""
        meter = self.flow_rate if channel == "flow_rate" else self.pressure
        return meter.model_copy(update={"every": meter.every or self.every, "late": meter.late or self.late})

    @property
    def bounds(self) -> tuple[Bounds, Bounds]:
        """Return the bounds of flow rate and pressure."""
        return self.flow_rate.bounds, self.pressure.bounds


class Ingest(Section):
    """Where readings come from."""

    source: Literal["simulator", "file"] = "simulator"
    """`simulator` shows a simulated site; `file`, or a `[source.NAME]` with `files`, follows files in data/sensor/."""
    files: str = Field("*.csv", pattern=r"^[^/]+$")
    """Pattern of the names of files that the source `file` follows, if no `[source.NAME]` table has one."""
    spool_days: float = Field(2.0, gt=0, le=365)
    """Days for which stored readings stay in the spool, to fill a database that is restored from a backup."""
    spool_mb: float = Field(200.0, ge=10, le=100_000)
    """Limit of the spool, MB. Beyond it, the oldest readings are dropped, stored or not."""


ColumnKey = Annotated[str, Field(pattern=r"^(time|date|clock|sensor|quality|([^ /+#,;]+\.)?(flow_rate|pressure))$")]
"""What a column holds."""
UnitKey = Annotated[str, Field(pattern=r"^([^ /+#,;]+\.)?(flow_rate|pressure)$")]
"""A channel, of all sensors or of one."""


class FileTable(Section):
    """Files with readings, and their form where they don't settle it; also for `./wvr import` and `./wvr replay`."""

    kind: Literal["file"] = "file"
    """Kind of the source."""
    files: str = Field("", pattern=r"^[^/]*$")
    """Pattern of the names of files in data/sensor/ and the folders below it that are followed; empty: none."""
    after: Literal["keep", "archive", "delete"] = "keep"
    """What becomes of a file that was read to its end, once a newer one is there. The archive is data/archive/."""
    columns: dict[ColumnKey, str] = Field(default_factory=dict)
    """What a column holds to its title, or to its position from 1 in a file without a header."""
    units: dict[UnitKey, str] = Field(default_factory=dict)
    """Unit of a channel, `flow_rate`, or of a sensor's channel, `"001.flow_rate"`, where the title names none."""
    dates: Literal["", "year first", "day first", "month first"] = ""
    """Order of day, month and year; empty: as the file settles it."""
    decimal: Literal["", ".", ","] = ""
    """Decimal sign; empty: as the file settles it."""
    missing: tuple[str, ...] = ()
    """Texts or numbers in place of a missing value, besides the known ones."""
    good: tuple[str, ...] = ()
    """Marks of good values in the column of quality; all others are bad. Empty: the known ones."""


class Simulator(Section):
    """The simulated site."""

    seed: int = Field(1, ge=0)
    """Seed of the random numbers. The same seed gives the same site."""
    sensors: tuple[Name, ...] = Field(("001",), min_length=1, max_length=MAX_SENSORS)
    """Names of the simulated sensors."""
    mean_flow: float = Field(60.0, gt=0, le=1e6)
    """Mean flow rate, m³/h."""
    mean_pressure: float = Field(4.0, gt=0, le=1e6)
    """Mean pressure, bar."""
    history_days: int = Field(365, ge=0, le=1100)
    """Days of history that the first start creates."""


class Detection(Section):
    """The checks of readings."""

    false_alarms_per_week: float = Field(0.5, gt=0, le=20)
    """False-alarm budget of a sensor that the limits are set for."""
    silence_minutes: int = Field(10, ge=2, le=1440)
    """Minutes without a reading after which the alarm `silence` opens."""
    stuck_minutes: int = Field(180, ge=10, le=2880)
    """Shortest run of one value, minutes, that is `stuck`. Coarse meters learn a longer one."""


class Training(Section):
    """The training of forecast models."""

    automatic: bool = True
    """Train at the trainer's start, each year, after an import and after a rejected challenger."""
    min_days: int = Field(35, ge=21, le=730)
    """Days of readings that a training needs."""
    month: int = Field(1, ge=1, le=12)
    """Month of the yearly training, on its first day at 03:00."""
    epochs: int = Field(10, ge=1, le=500)
    """Passes through the training data, at most."""
    seed: int = Field(1, ge=0)
    """Seed of the training. The same data and seed give the same model."""


Horizons = Annotated[tuple[Annotated[int, Field(ge=0, le=168)], ...], Field(max_length=169)]


class Store(Section):
    """The database."""

    retention_days: int = Field(365, ge=35, le=3650)
    """Days after which minute rows, forecasts and scores are deleted."""
    horizons: Horizons = (0, 1, 24, 48, 72, 96, 120, 144, 168)
    """Horizons, hours, that are kept of forecasts older than the newest."""


class Reporter(Section):
    """The text files for receivers."""

    horizons_hours: Horizons = (24, 48, 72, 96, 120, 144, 168)
    """Horizons, hours, of the forecast columns in server.txt."""
    repeated_column: bool = False
    """A last column in alert.txt and server.txt: 1 where the values of a slow sensor repeat its newest reading."""
    outbox_days: int = Field(7, ge=1, le=365)
    """Days for which blocks of server.txt stay in the outbox."""


class DashboardSection(Section):
    """The dashboard; set by the environment only."""

    bind: str = "127.0.0.1"
    """Address that the dashboard listens on. Beyond loopback it needs a password: `./wvr password`."""
    port: int = Field(8080, ge=1, le=65_535)
    """Port of the dashboard."""
    published: str = ""
    """In a container, the address of the host at which the dashboard is reached; empty: `bind`."""


def _clock_time(text: str) -> str:
    if text and not re.fullmatch(TIME_OF_DAY, text):
        raise ValueError("write a time such as '09:00', or '' for none")
    return text


def _quiet_hours(text: str) -> str:
    if text and not re.fullmatch(f"{TIME_OF_DAY}-{TIME_OF_DAY}", text):
        raise ValueError("write two times such as '22:00-07:00', or '' for none")
    return text


def _template(text: str) -> str:
    if unknown := list(unknown_fields(text)):
        raise ValueError(f"unknown field {{{unknown[0]}}}; write one of {', '.join(f'{{{name}}}' for name in FIELDS)}")
    return text


TIME_OF_DAY = r"([01]\d|2[0-3]):[0-5]\d"
Template = Annotated[str, AfterValidator(_template)]
"""A text with fields such as `{title}` and secrets such as `{secret:NAME}`."""
BROKER_SECRETS = ("password", "client_id")
"""Files in data/secrets/notifier that belong to the broker."""
DEFAULT_BODY = "{" + ", ".join(f'"{name}": "{{{name}}}"' for name in FIELDS) + "}"
MAX_CONTACTS = 20
ContactName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class Notify(Section):
    """A contact that is notified of incidents and failed services. Without such a table nobody is."""

    kind: Literal["apprise", "webhook"] = "apprise"
    """`apprise`: Telegram, mail, Slack, KakaoTalk, ntfy and more; `webhook`: a templated HTTP request."""
    url: str = Field("", max_length=2000, repr=False)
    """Name of a file in data/secrets/notifier/ with the URL, or the URL itself; empty: a file named as the contact."""
    severity: Literal["warning", "critical"] = Field("warning", alias="from")
    """Lowest severity that is sent. Information is never sent."""
    quiet: Annotated[str, AfterValidator(_quiet_hours)] = ""
    """Quiet hours such as "22:00-07:00": warnings wait until their end and come as one; critical ones are sent."""
    language: Literal["ko", "en"] = "ko"
    """Language of the messages."""
    after: Minutes | None = None
    """Notify this contact only if nobody has acknowledged for so long, such as "15m". Without it: at once."""
    daily: Annotated[str, AfterValidator(_clock_time)] = "09:00"
    """Time of the daily message that says whether all is well; empty: none."""
    method: Literal["POST", "PUT", "GET"] = "POST"
    """Method of a webhook."""
    headers: dict[str, Template] = Field(default_factory=dict, repr=False)
    """Headers of a webhook, such as `{ Authorization = "Bearer {secret:token}" }`."""
    body: Template = Field(DEFAULT_BODY, repr=False)
    """Body of a webhook, with fields such as `{title}` and `{text}`; escaped for the Content-Type, by default JSON."""

    @property
    def content_type(self) -> str:
        """Return the content type of a webhook's body."""
        return _content_type(self.headers)

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str, info: ValidationInfo) -> str:
        is_webhook = info.data.get("kind") == "webhook"
        if "://" in url and is_webhook and not url.startswith(("http://", "https://")):
            raise ValueError("a webhook's address begins with http:// or https://")
        if "://" not in url and url and (url in BROKER_SECRETS or not re.fullmatch(SECRET_NAME, url)):
            raise ValueError(
                "write a URL such as 'ntfy://ntfy.sh/topic', or the name of a file in data/secrets/notifier/ "
                f"other than {' and '.join(BROKER_SECRETS)}"
            )
        return url

    @field_validator("method", "headers", "body")
    @classmethod
    def _check_webhook(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("kind") != "webhook":
            raise ValueError("this key needs kind = 'webhook'")
        return value

    @field_validator("body")
    @classmethod
    def _check_json(cls, body: str, info: ValidationInfo) -> str:
        content_type = _content_type(info.data.get("headers", {}))
        if "json" in content_type:
            try:
                json.loads(fill(body, dict.fromkeys(FIELDS, "0"), lambda _: "0", escape_of(content_type)))
            except ValueError as error:
                raise ValueError(
                    f"not JSON: {error}; set the header Content-Type if the receiver expects another form"
                ) from None
        return body


def _content_type(headers: Mapping[str, str]) -> str:
    return next((value for key, value in headers.items() if key.lower() == "content-type"), "application/json")


class HomeAssistant(Section):
    """Sensors and incidents in Home Assistant 2024.11 or newer, by MQTT device discovery."""

    enabled: bool = False
    """Describe each sensor on the broker, at `homeassistant/device/…/config`; off: what was described is removed."""


class Broker(Section):
    """The broker; set by the environment only."""

    host: str = "127.0.0.1"
    """Address of the broker."""
    port: int = Field(1883, ge=1, le=65_535)
    """Port without TLS."""
    tls_port: int = Field(8883, ge=1, le=65_535)
    """Port with TLS; used with certificates in data/secrets/tls/."""
    ca: Path | None = None
    """Certificate of the authority that signed the broker's. With it, services and commands connect by TLS."""

    @property
    def connect_port(self) -> int:
        """Return the port that services and commands connect to."""
        return self.tls_port if self.ca else self.port


class Settings(Section):
    """All settings. WVR_SECTION__KEY in the environment overrides site.toml."""

    data: Path = Path("data")
    """Folder of everything that WVR writes."""
    secrets: Path | None = None
    """Folder with the broker password of this service; default data/secrets/<service>."""
    site: Site = Site()
    dma: Dma = Dma()
    sensors: dict[Name, Sensor] = Field(default_factory=dict, max_length=MAX_SENSORS)
    """Sensors by name. Empty: every sensor is accepted, up to 64."""
    ingest: Ingest = Ingest()
    source: dict[Name, FileTable] = Field(default_factory=dict, max_length=MAX_SENSORS)
    """Forms of files by name."""
    simulator: Simulator = Simulator()
    detection: Detection = Detection()
    training: Training = Training()
    store: Store = Store()
    reporter: Reporter = Reporter()
    notify: dict[ContactName, Notify] = Field(default_factory=dict, max_length=MAX_CONTACTS)
    """Contacts by name."""
    home_assistant: HomeAssistant = HomeAssistant()
    broker: Broker = Broker()
    dashboard: DashboardSection = DashboardSection()

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site.timezone)

    @property
    def database(self) -> Path:
        return self.data / "wvr.db"

    @property
    def backups(self) -> Path:
        return self.data / "backup"

    @property
    def models(self) -> Path:
        return self.data / "output" / "Learning_lstm"

    @property
    def live_files(self) -> list[FileTable]:
        """Return the tables of the files that are followed; empty for a simulated site."""
        if tables := [table for table in self.source.values() if table.files]:
            return tables
        if self.ingest.source != "file":
            return []
        table = next(iter(self.source.values())) if len(self.source) == 1 else FileTable()
        return [table.model_copy(update={"files": self.ingest.files})]

    @property
    def live_source(self) -> Literal["simulator", "file"]:
        """Return where live readings come from."""
        return "file" if self.live_files else "simulator"

    @property
    def sensor_folder(self) -> Path:
        return self.data / "sensor"

    def sensor(self, name: str) -> Sensor:
        """Return the settings of a sensor, or the defaults if site.toml does not name it."""
        return self.sensors.get(name, Sensor())

    @property
    def value_ranges(self) -> ValueRanges:
        """Return the values that the meters can show."""
        return ValueRanges({name: sensor.bounds for name, sensor in self.sensors.items()}, Sensor().bounds)

    def accepts_sensor(self, sensor: str) -> bool:
        """Return whether readings of this sensor are accepted."""
        return not self.sensors or sensor in self.sensors


def load_settings(path: Path | None = None) -> Settings:
    """Return the settings of a site.toml and the environment.

    `path` defaults to WVR_SITE_FILE, then ./site.toml; without that file, the defaults apply.
    Raises SettingsError with file, line and key.
    """
    named = path or (Path(os.environ["WVR_SITE_FILE"]) if "WVR_SITE_FILE" in os.environ else None)
    file = named or Path("site.toml")
    text = _read_text(file, must_be_there=named is not None)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise SettingsError(f"{file}:{line[1] if line else 1}: {error}") from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise SettingsError(f"{file}:1: invalid TOML: {str(error)[:200]}") from error
    for key in ("data", "secrets", "broker", "dashboard"):
        if key in values:
            raise SettingsError(
                f"{file}:{line_of(text, (key,))}: {key}: set it in the environment instead, WVR_{key.upper()}"
            )
    try:
        return Settings(**_merge(values, _from_environment(os.environ)))
    except ValidationError as error:
        problems = [_explain(problem, file, text) for problem in error.errors()[:MAX_PROBLEMS]]
        raise SettingsError("\n".join(problems)) from error


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what WVR_SECTION__KEY variables set, as nested tables.

    Lists and tables are written as JSON; an empty text sets nothing. A single key overrides a table that contains it.
    """
    values: dict[str, Any] = {}
    for name, setting in sorted(variables.items()):
        first, *rest = name.upper().removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
        if setting and name.upper().startswith(ENV_PREFIX) and first in Settings.model_fields:
            value = _from_json(setting)
            for key in reversed(rest):
                value = {key: value}
            values = _merge(values, {first: value})
    return values


def _from_json(text: str) -> Any:
    """Return a list or table, or the text itself if it is none, such as a file pattern."""
    try:
        return json.loads(text) if text[0] in "[{" else text
    except (ValueError, RecursionError):
        return text


def _merge(below: Any, above: Any) -> Any:
    """Merge nested tables; `above` wins."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _merge(below.get(key), value) for key, value in above.items()}


def _read_text(file: Path, must_be_there: bool) -> str:
    """Return the text of a file. Raises SettingsError."""
    try:
        return read_limited(file, MAX_FILE_BYTES).decode("utf-8")
    except FileNotFoundError:
        if must_be_there:
            raise SettingsError(f"{file}: file not found") from None
        return ""
    except OSError as error:
        raise SettingsError(f"{file}: can't be read: {error}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(f"{file}:{line}: not UTF-8; save the file as UTF-8") from error


def _explain(problem: Any, file: Path, text: str) -> str:
    keys = tuple(str(part) for part in problem["loc"] if part != "[key]")
    key = ".".join(keys)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "unknown setting; see docs/reference/settings.md"
    variable = ENV_PREFIX + "__".join(keys).upper()
    # The tables of contacts may contain secrets.
    value = "" if keys[:1] == ("notify",) else f" (got {problem['input']!r:.200})"
    if variable in os.environ:
        form = "; write it as JSON" if problem["type"] in STRUCTURE_ERRORS else ""
        return f"environment: {variable}: {key}: {message}{form}{value}"
    return f"{file}:{line_of(text, keys)}: {key}: {message}{value}"


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Return the line (from 1) that sets a key of a TOML text, or its nearest parent; 1 if there is neither."""
    table: tuple[str, ...] = ()
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+([^\]]+)\]+", line):
            table = _path(header[1])
            at = table
        elif entry := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            at = (*table, *_path(entry[1]))
        else:
            continue
        if keys[: len(at)] == at and len(at) > depth:
            best, depth = number, len(at)
    return best


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
