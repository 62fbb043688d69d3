"""`./wvr doctor` finds what is wrong, and says so in words."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cli import doctor
from cli.doctor_checks import data_folder, database, freshness, models, services, versions
from cli.init_site import set_up
from shared.domain.features import FEATURES_VERSION as FEATURES
from shared.models.manifest import sha256
from shared.settings import Sensor, Settings
from shared.store import backups
from shared.store.recorder import Recorder
from tests.unit.cli.findings import notes, wrongs
from tests.unit.factories import minute_at

NOW = minute_at(30)


def test_valid_site_has_nothing_wrong(
    site: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WVR_DATA", str(site.data))
    monkeypatch.setattr(services, "is_running", lambda _: False)
    monkeypatch.setattr(database, "MAX_BACKUP_AGE", timedelta(days=9999))
    monkeypatch.setattr(freshness, "MAX_CLOCK_AHEAD", 10**9)
    assert doctor.main([]) == 0
    output = capsys.readouterr().out
    assert "wvr.db passed the integrity check" in output
    assert "everything is in order" in output


def test_a_missing_folder_and_a_small_disk(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.data / "rejected").rmdir()
    monkeypatch.setattr(data_folder, "MIN_FREE_BYTES", 10**18)
    found = wrongs(data_folder.check(site))
    assert "folders are missing" in found
    assert "GB free" in found


def test_a_damaged_database_and_a_damaged_backup(site: Settings) -> None:
    for path in (site.database, *backups.list_backups(site.backups).values()):
        content = path.read_bytes()
        path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    found = wrongs(database.check(site, NOW))
    assert "wvr.db is damaged" in found
    assert "is not valid" in found


def test_an_old_backup(site: Settings) -> None:
    assert "backup is 4 days old" in wrongs(database.check(site, NOW + timedelta(days=4)))


def test_holder_of_the_write_lock_is_named(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SAMPLE_SECONDS", 0.01)
    hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE')"
    command = [sys.executable, "-c", f"{hold}; print(1, flush=True); sys.stdin.read()", str(site.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as editor:
        assert editor.stdout
        editor.stdout.readline()
        assert f"(process {editor.pid}) holds the write lock" in wrongs(database.check(site, NOW))
        editor.communicate()
    assert not wrongs(database.check(site, NOW))


def test_silence_and_a_wrong_clock(site: Settings) -> None:
    assert not wrongs(freshness.check(site, minute_at(12), running=True))
    assert "no reading for 21 minutes" in wrongs(freshness.check(site, NOW, running=True))
    assert "in the future" in wrongs(freshness.check(site, minute_at(-60), running=False))
    assert "the clock shows 1970" in wrongs(freshness.check(site, NOW.replace(year=1970), running=False))


def test_a_clock_that_was_set_back_behind_the_newest_tick(site: Settings) -> None:
    (site.data / "spool").mkdir(exist_ok=True)
    (site.data / "spool/tick").write_text("2027-11-23T14:00:00+00:00\n", encoding="ascii")
    assert "was 365 days ahead before" in wrongs(freshness.check(site, minute_at(12), running=True))
    (site.data / "spool/tick").write_text(minute_at(11).isoformat(), encoding="ascii")
    assert not wrongs(freshness.check(site, minute_at(12), running=True))


def test_verdicts_that_are_behind(site: Settings) -> None:
    with sqlite3.connect(site.database) as source:
        source.execute("UPDATE OUTLIER_VAL_TB SET at = at - 86400")
    assert "verdicts are 24 hours behind" in wrongs(freshness.check(site, minute_at(12), running=False))


def test_a_model_that_is_not_its_manifests(site: Settings) -> None:
    folder = site.models / "flow_rate/001"
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(b"a network")
    manifest = {"id": "m1", "checksum": sha256(b"a network"), "features": FEATURES, "scaler": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")
    assert not wrongs(models.check(site))
    (folder / "model.tflite").write_bytes(b"another")
    assert "model.tflite does not match the manifest" in wrongs(models.check(site))


def test_a_disk_that_is_read_only(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(site.data)
    fields = {name: getattr(real, name) for name in dir(real) if name.startswith("f_")}
    read_only = type("Disk", (), fields | {"f_flag": real.f_flag | os.ST_RDONLY})
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    assert "is read-only" in wrongs(data_folder.check(site))


def test_a_disk_that_is_slow_or_can_hold_no_more_files(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "MIN_FREE_INODE_SHARE", 2.0)
    monkeypatch.setattr(data_folder, "MAX_FLUSH_SECONDS", -1.0)
    found = list(data_folder.check(site))
    assert "more files (inodes)" in wrongs(found)
    assert "for a small write" in notes(found)


def test_a_sensor_of_site_toml_that_never_reported(site: Settings) -> None:
    known = site.model_copy(update={"sensors": {"001": Sensor(), "002": Sensor()}})
    assert "sensor 002 of site.toml has no reading yet" in notes(freshness.check(known, minute_at(12), running=True))


def test_how_old_verdicts_are(site: Settings) -> None:
    output = "\n".join(one.what for one in freshness.check(site, minute_at(12), running=True))
    assert "verdicts keep up with the readings, newest 3 minutes ago" in output


def test_a_database_of_a_newer_version(site: Settings) -> None:
    with sqlite3.connect(site.database) as source:
        source.execute("INSERT INTO schema_migration (name, applied) VALUES ('0099_tomorrow', '2030-01-01')")
    assert "wvr.db was written by a newer WVR (migrations 0099_tomorrow)" in wrongs(versions.check(site))


def test_a_mosquitto_that_is_too_old() -> None:
    assert versions.check_mosquitto("mosquitto version 1.6.9").state == "wrong"
    assert versions.check_mosquitto("mosquitto version 2.0.11").state == "ok"


def test_deep_needs_a_running_site(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "is_running", lambda _: False)
    assert "--deep needs a running site" in wrongs(doctor.run_checks(site, deep=True))


def test_every_problem_has_an_advice(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    site.database.write_bytes(b"no database at all, and long enough to be taken for one".ljust(8192, b"."))
    shutil.rmtree(site.data / "spool")
    monkeypatch.setattr(services, "is_running", lambda _: False)
    monkeypatch.setenv("PATH", "")
    found = list(doctor.run_checks(site, deep=True))
    assert "wvr.db is damaged" in wrongs(found)
    assert "Docker is not installed" in "\n".join(one.what for one in found)
    assert all(one.advice for one in found if one.state != "ok")


@pytest.fixture
def foreign_site() -> Iterator[Settings]:
    """A site in a folder that every user may look into, and only root may write."""
    with tempfile.TemporaryDirectory(prefix="wvr-") as folder:
        Path(folder).chmod(0o755)
        settings = Settings(data=Path(folder) / "data")
        set_up(settings.data)
        Recorder(settings.database, settings.zone, (0,)).close()
        yield settings


@contextmanager
def somebody_else() -> Iterator[None]:
    """Runs as nobody, with root's way back."""
    os.setresgid(65534, 65534, 0)
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_elses_data_folder(foreign_site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "is_running", lambda _: False)
    assert not wrongs(doctor.run_checks(foreign_site))
    with somebody_else():
        output = wrongs(doctor.run_checks(foreign_site))
    assert f"this user may not write {foreign_site.data}" in output
    foreign_site.data.chmod(0o700)
    with somebody_else():
        (finding,) = doctor.run_checks(foreign_site)
    assert "the data folder can't be checked" in finding.what
    assert "run ./wvr as the owner of the data folder" in finding.advice
