"""site.toml and the environment become frozen, validated settings; an error names file, line and key."""

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

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared.contract.messages import MAX_SENSORS, Channel, Name
from shared.runtime.files import read_small

ENV_PREFIX, ENV_DELIMITER = "WVR_", "__"
"""WVR_SECTION__KEY"""
STRUCTURE_ERRORS = ("dict_type", "model_type", "tuple_type")
"""What pydantic calls a text in the place of a table or a list."""
MAX_FILE_BYTES = 1_000_000
"""Bytes of site.toml."""
MAX_PROBLEMS = 50
"""Wrong settings that are told at once."""


class SettingsError(Exception):
    """A setting that can't be used; the text names the file, the line and the key."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"no time zone is called {name!r}; for Korea: Asia/Seoul") from None
    return name


def _country(code: str) -> str:
    """Only asked of a country that is set, so that the services that need no holidays don't load them."""
    from shared.runtime.public_holidays import known

    if not known(code):
        raise ValueError(f"no public holidays are known for {code!r}; for Korea: KR, for a region like Trieste: IT-TS")
    return code


class Section(BaseModel):
    """A table of site.toml: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Site(Section):
    name: Name = "site1"
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Seoul"
    country: Annotated[str, AfterValidator(_country)] = "KR"
    """Whose public holidays are kept, by ISO 3166: a country, or one of its regions."""


class Range(Section):
    """What the meter can physically show; a value outside is a fault of the meter."""

    min: float | None = None
    max: float | None = None

    def model_post_init(self, _: object) -> None:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min} must be below max {self.max}")


class Sensor(Section):
    flow_rate: Range = Range(min=0.0)
    pressure: Range = Range(min=0.0)

    def range(self, channel: Channel) -> Range:
        return self.flow_rate if channel == "flow_rate" else self.pressure


class Ingest(Section):
    source: Literal["simulator", "file"] = "simulator"
    files: str = Field("*.csv", pattern=r"^[^/]+$")
    """Pattern of the files that the source `file` follows in data/sensor/."""
    spool_days: float = Field(2.0, gt=0, le=365)
    """Stored readings stay so long in the spool, to fill a database that was restored from a backup."""
    spool_mb: float = Field(200.0, ge=10, le=100_000)
    """Beyond it the oldest readings are dropped, stored or not."""


class Simulator(Section):
    seed: int = Field(1, ge=0)
    sensors: tuple[Name, ...] = Field(("001",), min_length=1, max_length=MAX_SENSORS)
    mean_flow: float = Field(60.0, gt=0, le=1e6)
    """m³/h"""
    mean_pressure: float = Field(4.0, gt=0, le=1e6)
    """bar"""
    history_days: int = Field(365, ge=0, le=1100)


class Detection(Section):
    false_alarms_per_week: float = Field(0.5, gt=0, le=20)
    silence_minutes: int = Field(10, ge=2, le=1440)
    stuck_minutes: int = Field(180, ge=10, le=2880)
    """Shortest run of one and the same value that is called stuck; learned upwards for coarse meters."""


class Training(Section):
    automatic: bool = True
    min_days: int = Field(35, ge=21, le=730)
    """Days of readings that a training needs."""
    month: int = Field(1, ge=1, le=12)
    """Month of the yearly training, on its first day at 03:00."""
    epochs: int = Field(10, ge=1, le=500)
    seed: int = Field(1, ge=0)


Horizons = Annotated[tuple[Annotated[int, Field(ge=0, le=168)], ...], Field(max_length=169)]


class Store(Section):
    retention_days: int = Field(365, ge=35, le=3650)
    horizons: Horizons = (0, 1, 24, 48, 72, 96, 120, 144, 168)
    """Hours ahead that are kept of forecasts older than the newest."""


class Reporter(Section):
    horizons_hours: Horizons = (24, 48, 72, 96, 120, 144, 168)
    outbox_days: int = Field(7, ge=1, le=365)


class Broker(Section):
    host: str = "127.0.0.1"
    port: int = Field(1883, ge=1, le=65_535)
    tls_port: int = Field(8883, ge=1, le=65_535)
    """Only with certificates in data/secrets/tls/."""
    ca: Path | None = None
    """Certificate of who vouches for the broker; with it services and commands connect by TLS."""

    @property
    def connect_port(self) -> int:
        """The port that services and commands connect to."""
        return self.tls_port if self.ca else self.port


class Settings(Section):
    """All that an operator may change. WVR_SECTION__KEY in the environment goes before site.toml."""

    data: Path = Path("data")
    """Folder of everything that WVR writes."""
    secrets: Path | None = None
    """Folder with this service's broker password; default data/secrets/<service>."""
    site: Site = Site()
    sensors: dict[Name, Sensor] = Field(default_factory=dict, max_length=MAX_SENSORS)
    """Empty: every sensor is taken, up to MOST_SENSORS."""
    ingest: Ingest = Ingest()
    simulator: Simulator = Simulator()
    detection: Detection = Detection()
    training: Training = Training()
    store: Store = Store()
    reporter: Reporter = Reporter()
    broker: Broker = Broker()

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
    def sensor_folder(self) -> Path:
        return self.data / "sensor"

    def sensor(self, name: str) -> Sensor:
        """Settings of a sensor; the defaults for one that site.toml doesn't name."""
        return self.sensors.get(name, Sensor())

    def accepts_sensor(self, sensor: str) -> bool:
        """Whether readings of this sensor are taken."""
        return not self.sensors or sensor in self.sensors


def load_settings(path: Path | None = None) -> Settings:
    """Settings from a site.toml (default: WVR_SITE_FILE or ./site.toml; absent: defaults) and the environment.

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
        raise SettingsError(f"{file}:1: no TOML that can be read: {str(error)[:200]}") from error
    for key in ("data", "secrets", "broker"):
        if key in values:
            raise SettingsError(f"{file}:{line_of(text, (key,))}: {key}: belongs to the environment, WVR_{key.upper()}")
    try:
        return Settings(**_merge(values, _from_environment(os.environ)))
    except ValidationError as error:
        told = [_explain(problem, file, text) for problem in error.errors()[:MAX_PROBLEMS]]
        raise SettingsError("\n".join(told)) from error


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    """What WVR_SECTION__KEY sets, as tables in tables; lists and tables are written as JSON, "" is not set.

    A single key goes before a table that holds it, too.
    """
    values: dict[str, Any] = {}
    for name, said in sorted(variables.items()):
        first, *rest = name.upper().removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
        if said and name.upper().startswith(ENV_PREFIX) and first in Settings.model_fields:
            value = _from_json(said)
            for key in reversed(rest):
                value = {key: value}
            values = _merge(values, {first: value})
    return values


def _from_json(text: str) -> Any:
    """A list or table; the text itself where it is none, such as a pattern of files."""
    try:
        return json.loads(text) if text[0] in "[{" else text
    except (ValueError, RecursionError):
        return text


def _merge(below: Any, above: Any) -> Any:
    """Table upon table: what both set is taken from above."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _merge(below.get(key), value) for key, value in above.items()}


def _read_text(file: Path, must_be_there: bool) -> str:
    """Raises SettingsError."""
    try:
        return read_small(file, MAX_FILE_BYTES).decode("utf-8")
    except FileNotFoundError:
        if must_be_there:
            raise SettingsError(f"{file}: there is no such file") from None
        return ""
    except OSError as error:
        raise SettingsError(f"{file}: can't be read: {error}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(f"{file}:{line}: no UTF-8 text") from error


def _explain(problem: Any, file: Path, text: str) -> str:
    keys = tuple(str(part) for part in problem["loc"] if part != "[key]")
    key = ".".join(keys)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such setting"
    variable = ENV_PREFIX + "__".join(keys).upper()
    if variable in os.environ:
        form = "; it needs JSON" if problem["type"] in STRUCTURE_ERRORS else ""
        return f"environment: {variable}: {key}: {message}{form} (got {problem['input']!r:.200})"
    return f"{file}:{line_of(text, keys)}: {key}: {message} (got {problem['input']!r:.200})"


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Line (from 1) on which a key of a TOML text is set, or its nearest parent; 1 when neither is there."""
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
