"""`./wvr doctor` reports what is wrong, with advice."""

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
from shared.settings import Settings
from shared.settings.sections import Sensor
from shared.store import backups
from shared.store.recorder import Recorder
from tests.unit.cli.findings import notes, problems
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


def test_missing_folder_and_low_disk_space_are_reported(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.data / "rejected").rmdir()
    monkeypatch.setattr(data_folder, "MIN_FREE_BYTES", 10**18)
    text = problems(data_folder.check(site))
    assert "folders are missing" in text
    assert "GB free" in text


def test_damaged_database_and_damaged_backup_are_reported(site: Settings) -> None:
    for path in (site.database, *backups.list_backups(site.backups).values()):
        content = path.read_bytes()
        path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    text = problems(database.check(site, NOW))
    assert "wvr.db is damaged" in text
    assert "is not valid" in text


def test_old_backup_is_reported(site: Settings) -> None:
    assert "backup is 4 days old" in problems(database.check(site, NOW + timedelta(days=4)))


def test_holder_of_the_write_lock_is_reported(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SAMPLE_SECONDS", 0.01)
    lock_script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE')"
    )
    command = [sys.executable, "-c", f"{lock_script}; print(1, flush=True); sys.stdin.read()", str(site.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as editor:
        assert editor.stdout
        editor.stdout.readline()
        assert f"(process {editor.pid}) holds the write lock" in problems(database.check(site, NOW))
        editor.communicate()
    assert not problems(database.check(site, NOW))


def test_missing_readings_and_a_wrong_clock_are_reported(site: Settings) -> None:
    assert not problems(freshness.check(site, minute_at(12), running=True))
    assert "no reading for 21 minutes" in problems(freshness.check(site, NOW, running=True))
    assert "in the future" in problems(freshness.check(site, minute_at(-60), running=False))
    assert "the clock shows 1970" in problems(freshness.check(site, NOW.replace(year=1970), running=False))


def test_clock_behind_the_newest_tick_is_reported(site: Settings) -> None:
    (site.data / "spool").mkdir(exist_ok=True)
    (site.data / "spool/tick").write_text("2027-11-23T14:00:00+00:00\n", encoding="ascii")
    assert "was 365 days ahead before" in problems(freshness.check(site, minute_at(12), running=True))
    (site.data / "spool/tick").write_text(minute_at(11).isoformat(), encoding="ascii")
    assert not problems(freshness.check(site, minute_at(12), running=True))


def test_delayed_verdicts_are_reported(site: Settings) -> None:
    with sqlite3.connect(site.database) as source:
        source.execute("UPDATE OUTLIER_VAL_TB SET at = at - 86400")
    assert "verdicts are 24 hours behind" in problems(freshness.check(site, minute_at(12), running=False))


def test_model_that_does_not_match_its_manifest_is_reported(site: Settings) -> None:
    folder = site.models / "flow_rate/001"
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(b"a network")
    manifest = {"id": "m1", "checksum": sha256(b"a network"), "features": FEATURES, "scaler": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")
    assert not problems(models.check(site))
    (folder / "model.tflite").write_bytes(b"another")
    assert "model.tflite does not match the manifest" in problems(models.check(site))


def test_read_only_disk_is_reported(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(site.data)
    fields = {name: getattr(disk, name) for name in dir(disk) if name.startswith("f_")}
    read_only_disk = type("Disk", (), fields | {"f_flag": disk.f_flag | os.ST_RDONLY})
    monkeypatch.setattr(os, "statvfs", lambda _: read_only_disk)
    assert "is read-only" in problems(data_folder.check(site))


def test_slow_disk_and_missing_inodes_are_reported(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "MIN_FREE_INODE_SHARE", 2.0)
    monkeypatch.setattr(data_folder, "MAX_FLUSH_SECONDS", -1.0)
    findings = list(data_folder.check(site))
    assert "more files (inodes)" in problems(findings)
    assert "for a small write" in notes(findings)


def test_sensor_of_site_toml_without_readings_is_noted(site: Settings) -> None:
    settings = site.model_copy(update={"sensors": {"001": Sensor(), "002": Sensor()}})
    assert "sensor 002 of site.toml has no reading yet" in notes(freshness.check(settings, minute_at(12), running=True))


def test_age_of_the_newest_verdict_is_reported(site: Settings) -> None:
    output = "\n".join(finding.what for finding in freshness.check(site, minute_at(12), running=True))
    assert "verdicts keep up with the readings, newest 3 minutes ago" in output


def test_database_of_a_newer_version_is_reported(site: Settings) -> None:
    with sqlite3.connect(site.database) as source:
        source.execute("INSERT INTO schema_migration (name, applied) VALUES ('0099_tomorrow', '2030-01-01')")
    assert "wvr.db was written by a newer WVR (migrations 0099_tomorrow)" in problems(versions.check(site))


def test_old_mosquitto_is_reported() -> None:
    assert versions.check_mosquitto("mosquitto version 1.6.9").state == "wrong"
    assert versions.check_mosquitto("mosquitto version 2.0.11").state == "ok"


def test_deep_needs_a_running_site(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "is_running", lambda _: False)
    assert "--deep needs a running site" in problems(doctor.run_checks(site, deep=True))


def test_every_problem_has_advice(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    site.database.write_bytes(b"not a database, but long enough to look like one".ljust(8192, b"."))
    shutil.rmtree(site.data / "spool")
    monkeypatch.setattr(services, "is_running", lambda _: False)
    monkeypatch.setenv("PATH", "")
    findings = list(doctor.run_checks(site, deep=True))
    assert "wvr.db is damaged" in problems(findings)
    assert "Docker is not installed" in "\n".join(finding.what for finding in findings)
    assert all(finding.advice for finding in findings if finding.state != "ok")


@pytest.fixture
def foreign_site() -> Iterator[Settings]:
    """A site in a folder that every user may read and only root may write."""
    with tempfile.TemporaryDirectory(prefix="wvr-") as folder:
        Path(folder).chmod(0o755)
        settings = Settings(data=Path(folder) / "data")
        set_up(settings.data)
        Recorder(settings.database, settings.zone, (0,)).close()
        yield settings


@contextmanager
def as_user_nobody() -> Iterator[None]:
    """Run as the user nobody; return to root at the end."""
    os.setresgid(65534, 65534, 0)
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_data_folder_of_another_user_is_reported(foreign_site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "is_running", lambda _: False)
    assert not problems(doctor.run_checks(foreign_site))
    with as_user_nobody():
        output = problems(doctor.run_checks(foreign_site))
    assert f"this user may not write {foreign_site.data}" in output
    foreign_site.data.chmod(0o700)
    with as_user_nobody():
        (finding,) = doctor.run_checks(foreign_site)
    assert "the data folder can't be checked" in finding.what
    assert "run ./wvr as the owner of the data folder" in finding.advice
