"""`./wvr alarms`: list, timeline and plot of stored incidents."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cli import alarms
from shared.contract.messages import Anomaly, ExpectedBand, ExpectedDay, LocalizedText
from shared.settings import Settings
from shared.store.recorder import Recorder
from tests.unit.factories import minute_at, reading

ID = "001-flow_rate-step-1"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a site with an incident that was acknowledged."""
    settings = Settings(data=tmp_path)
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    opened = Anomaly(
        site="site1",
        sensor="001",
        id=ID,
        at=minute_at(0),
        channels=("flow_rate",),
        methods=("value",),
        kind="step",
        trigger="step",
        state="opened",
        acknowledged=False,
        severity="warning",
        opened_at=minute_at(0),
        onset_at=minute_at(-30),
        cleared_at=None,
        peak=30.0,
        excess_m3h=8.0,
        lost_m3=4.0,
        text=LocalizedText("유량이 많습니다", "Flow is high"),
    )
    midnight = minute_at(0).replace(hour=0, minute=0)
    band = ExpectedBand((20.0,) * 144, (15.0,) * 144, (25.0,) * 144)
    recorder = Recorder(settings.database, settings.zone, ())
    recorder.write([reading(minute) for minute in range(-60, 5)])
    recorder.write([ExpectedDay(site="site1", sensor="001", at=midnight, flow_rate=band, pressure=ExpectedBand())])
    recorder.write([opened])
    entered = replace(opened, at=minute_at(9), state="updated", acknowledged=True, by="Kim", note="on site")
    recorder.write([entered])
    recorder.close()
    return settings


@pytest.mark.usefixtures("settings")
def test_list_shows_the_open_incident(capsys: pytest.CaptureFixture[str]) -> None:
    assert alarms.main([]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["id", "severity", "what"]
    assert ID in line
    assert "open, acknowledged" in line
    assert f"{minute_at(-30):%Y-%m-%d %H:%M}" in line


@pytest.mark.usefixtures("settings")
def test_timeline_names_who_did_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert alarms.main(["show", ID]) == 0
    text = capsys.readouterr().out
    assert "유량이 많습니다" in text
    assert f"{minute_at(9):%Y-%m-%d %H:%M}  acknowledged by Kim, 8.0 m3/h, 4 m3 lost: on site" in text


def test_plot_is_a_picture_of_the_incident(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "reexec_in_venv", lambda _: None)
    monkeypatch.setattr("time.time", lambda: (minute_at(0) + timedelta(hours=1)).timestamp())
    picture = tmp_path / "incident.png"
    assert settings.database.exists()
    assert alarms.main(["show", ID, "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(PNG_SIGNATURE)


@pytest.mark.usefixtures("settings")
def test_unknown_incident_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert alarms.main(["show", "other"]) == 1
    assert "./wvr alarms lists them" in capsys.readouterr().err
