"""Settings from site.toml and the environment, validated and frozen. An error names file, line and key."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError

from shared.contract.messages import MAX_SENSORS, Name
from shared.domain.value_ranges import ValueRanges
from shared.runtime.safe_files import read_limited
from shared.settings.notify import MAX_CONTACTS, ContactName, HomeAssistant, Notify
from shared.settings.section import Section
from shared.settings.sections import (
    Broker,
    DashboardSection,
    Detection,
    Display,
    Dma,
    FileTable,
    Ingest,
    Reporter,
    Sensor,
    Simulator,
    Site,
    Store,
    Training,
)

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
    display: Display = Display()
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
