"""`./wvr doctor` finds what is wrong, and says so in words."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cli import doctor
from cli.checks import database, folders, models, readings, running
from cli.checks.finding import Finding
from cli.setup_site import set_up
from services.forecaster.manifest import sha256
from shared.contract.messages import Status
from shared.domain.features import VERSION as FEATURES
from shared.settings import Settings
from shared.store import backups
from shared.store.recorder import Recorder
from shared.version import VERSION
from tests.unit.makers import at, reading, verdict

NOW = at(30)


@pytest.fixture
def site(tmp_path: Path) -> Settings:
    """A stopped site with ten judged readings and a backup."""
    settings = Settings(data=tmp_path / "data")
    set_up(settings.data)
    recorder = Recorder(settings.database, settings.zone, (0,))
    recorder.write([*(reading(minute) for minute in range(10)), *(verdict(minute) for minute in range(10))])
    recorder.close()
    backups.make(settings.database, settings.backups, NOW, lambda *_: None)
    return settings


def wrongs(found: object) -> str:
    assert hasattr(found, "__iter__")
    return "\n".join(one.what for one in found if isinstance(one, Finding) and one.state == "wrong")


def test_a_sound_site_has_nothing_wrong(
    site: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WVR_DATA", str(site.data))
    monkeypatch.setattr(running, "is_running", lambda _: False)
    monkeypatch.setattr(database, "OLDEST_BACKUP", timedelta(days=9999))
    monkeypatch.setattr(readings, "AHEAD", 10**9)
    assert doctor.main([]) == 0
    said = capsys.readouterr().out
    assert "wvr.db is sound" in said
    assert "all is well" in said


def test_a_missing_folder_and_a_small_disk(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.data / "rejected").rmdir()
    monkeypatch.setattr(folders, "LEAST_FREE", 10**18)
    found = wrongs(folders.check(site))
    assert "folders are missing" in found
    assert "GB free" in found


def test_a_damaged_database_and_a_damaged_backup(site: Settings) -> None:
    for path in (site.database, *backups.listed(site.backups).values()):
        content = path.read_bytes()
        path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    found = wrongs(database.check(site, NOW))
    assert "wvr.db is damaged" in found
    assert "is not sound" in found


def test_an_old_backup(site: Settings) -> None:
    assert "backup is 4 days old" in wrongs(database.check(site, NOW + timedelta(days=4)))


def test_who_holds_the_write_lock(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PAUSE", 0.01)
    hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE')"
    command = [sys.executable, "-c", f"{hold}; print(1, flush=True); sys.stdin.read()", str(site.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as editor:
        assert editor.stdout
        editor.stdout.readline()
        assert f"(process {editor.pid}) holds the write lock" in wrongs(database.check(site, NOW))
        editor.communicate()
    assert not wrongs(database.check(site, NOW))


def test_silence_and_a_wrong_clock(site: Settings) -> None:
    assert not wrongs(readings.check(site, at(12), running=True))
    assert "no reading for 21 minutes" in wrongs(readings.check(site, NOW, running=True))
    assert "in the future" in wrongs(readings.check(site, at(-60), running=False))
    assert "the clock says 1970" in wrongs(readings.check(site, NOW.replace(year=1970), running=False))


def test_a_clock_that_was_set_back_behind_the_newest_tick(site: Settings) -> None:
    (site.data / "spool").mkdir(exist_ok=True)
    (site.data / "spool/tick").write_text("2027-11-23T14:00:00+00:00\n", encoding="ascii")
    assert "was 365 days ahead before" in wrongs(readings.check(site, at(12), running=True))
    (site.data / "spool/tick").write_text(at(11).isoformat(), encoding="ascii")
    assert not wrongs(readings.check(site, at(12), running=True))


def test_verdicts_that_are_behind(site: Settings) -> None:
    with sqlite3.connect(site.database) as source:
        source.execute("UPDATE OUTLIER_VAL_TB SET at = at - 86400")
    assert "verdicts are 24 hours behind" in wrongs(readings.check(site, at(12), running=False))


def test_a_model_that_is_not_its_manifests(site: Settings) -> None:
    folder = site.models / "flow_rate/001"
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(b"a network")
    manifest = {"id": "m1", "checksum": sha256(b"a network"), "features": FEATURES, "scaler": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")
    assert not wrongs(models.check(site))
    (folder / "model.tflite").write_bytes(b"another")
    assert "model.tflite is not what the manifest says" in wrongs(models.check(site))


def test_what_a_status_means() -> None:
    well = Status("site1", "detector", "online", VERSION, at(0), at(30), 80.0, 0, "")
    assert not wrongs(running.of_service("detector", well, NOW))
    assert "never reported" in wrongs(running.of_service("detector", None, NOW))
    assert "is offline since" in wrongs(running.of_service("detector", replace(well, state="offline"), NOW))
    assert "the disk is full" in wrongs(running.of_service("detector", replace(well, note="the disk is full"), NOW))
    assert "nothing for 30 minutes" in wrongs(running.of_service("detector", replace(well, at=at(0)), NOW))


def test_a_broker_that_is_not_there(site: Settings) -> None:
    unused = site.model_copy(update={"broker": site.broker.model_copy(update={"port": 1})})
    assert "can't be reached" in wrongs(running.check(unused, NOW))


def test_a_broker_that_answers(settings: Settings) -> None:
    found = list(running.check(settings, NOW))
    assert found[0].what.endswith("knows the operator")
    assert "ingest has never reported" in wrongs(found)
