"""An invalid setting is an error that names file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bootstrap import ROOT
from shared.settings import SettingsError, load_settings
from shared.settings.sections import Meter, Sensor, Store


def load_error(path: Path, text: str) -> str:
    """Return the error of load_settings for a text."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        load_settings(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[site]\nname = "a"\nnmae = "b"', ":3: site.nmae: unknown setting"),
        ('[site]\ncountry = "XX"', ":2: site.country: no public holidays are known for 'XX'"),
        ('[site]\ntimezone = "Korea"', ":2: site.timezone: unknown time zone 'Korea'"),
        ('\n[detection]\nfalse_alarms_per_week = "often"', ":3: detection.false_alarms_per_week: "),
        ("[store]\nretention_days = 3", ":2: store.retention_days: "),
        ("[sensors.001]\n\nflow_rate = { min = 5, max = 5 }", ":3: sensors.001.flow_rate: min 5.0 must be below"),
        ("[sensors.001.pressure]\nmin = 9\nmax = 1", ":1: sensors.001.pressure: min 9.0 must be below"),
        ('[site]\nname = "a b"', ":2: site.name: "),
        ("[site\n", ":1: Expected"),
        ('data = "x"', ":1: data: set it in the environment instead, WVR_DATA"),
        ("[mqtt]\nport = 1", ":1: mqtt: unknown setting"),
        ("[reporter]\nhorizons_hours = [24, 200]", ":2: reporter.horizons_hours."),
    ],
)
def test_invalid_setting_is_reported_with_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    assert f"site.toml{message}" in load_error(tmp_path / "site.toml", text)


def test_invalid_variable_is_reported_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WVR_BROKER__PORT", "a")
    assert load_error(tmp_path / "site.toml", "").startswith("environment: WVR_BROKER__PORT: ")


def test_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site.toml").write_text('[site]\nname = "file"\n', encoding="utf-8")
    monkeypatch.setenv("WVR_SITE__NAME", "environment")
    assert load_settings(tmp_path / "site.toml").site.name == "environment"


def test_environment_sets_lists_and_single_keys_of_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[sensors.001.pressure]\nmin = 0.5\nmax = 10.0\n[store]\nretention_days = 400\n[site]\nname = "file"\n'
    (tmp_path / "site.toml").write_text(text)
    monkeypatch.setenv("WVR_SENSORS__001__PRESSURE__MAX", "16")
    monkeypatch.setenv("WVR_SENSORS", '{"001": {"flow_rate": {"max": 90.5}, "pressure": {"max": 12}}}')
    monkeypatch.setenv("WVR_STORE__HORIZONS", "[1, 24]")
    monkeypatch.setenv("WVR_INGEST__FILES", "[12]*.csv")
    monkeypatch.setenv("WVR_TRAINING__AUTOMATIC", "false")
    monkeypatch.setenv("WVR_SITE__NAME", "")
    settings = load_settings(tmp_path / "site.toml")
    assert settings.sensors == {"001": Sensor(flow_rate=Meter(max=90.5), pressure=Meter(min=0.5, max=16.0))}
    assert settings.store == Store(retention_days=400, horizons=(1, 24))
    assert settings.ingest.files == "[12]*.csv"
    assert (settings.training.automatic, settings.site.name) == (False, "file")


def test_invalid_list_or_key_in_the_environment_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WVR_STORE__HORIZONS", "[1, 24")
    monkeypatch.setenv("WVR_SITE__NMAE", "x")
    lines = load_error(tmp_path / "site.toml", "").splitlines()
    assert sorted(line.split(": ")[1] for line in lines) == ["WVR_SITE__NMAE", "WVR_STORE__HORIZONS"]
    assert [line for line in lines if "write it as JSON" in line] == [line for line in lines if "HORIZONS" in line]


def test_missing_settings_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="file not found"):
        load_settings(tmp_path / "none.toml")


def test_site_toml_of_the_project_has_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("", encoding="utf-8")
    assert load_settings(ROOT / "site.toml") == load_settings(tmp_path / "empty.toml")


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("", []),
        ('[source.a]\ndecimal = ","', []),
        ('[ingest]\nsource = "file"', ["*.csv"]),
        ('[ingest]\nsource = "file"\nfiles = "*.txt"\n[source.a]\ndecimal = ","', ["*.txt"]),
        ('[source.a]\nfiles = "a*.csv"\n[source.b]\nfiles = "b*.csv"', ["a*.csv", "b*.csv"]),
    ],
)
def test_files_that_are_followed(tmp_path: Path, text: str, patterns: list[str]) -> None:
    file = tmp_path / "site.toml"
    file.write_text(text, encoding="utf-8")
    settings = load_settings(file)
    assert [table.files for table in settings.live_files] == patterns
    assert settings.live_source == ("file" if patterns else "simulator")
    assert not patterns or "decimal" not in text or settings.live_files[0].decimal == ","
