"""A site without Docker: `./wvr up --local`."""

from __future__ import annotations

import configparser
import os
import shlex
import signal
import subprocess
from pathlib import Path

from cli import autostart
from cli.local_config import broker_folder
from tests.conftest import free_port
from tests.e2e import site_assertions
from tests.e2e.running_site import RunningSite, simulated
from tests.polling import wait_for


def test_every_service_is_healthy(local_site: RunningSite) -> None:
    site_assertions.assert_all_services_healthy(local_site)


def test_alert_is_written_each_minute_and_the_viewer_receives_its_messages(local_site: RunningSite) -> None:
    """Takes up to two minutes of real time: two minutes must pass."""
    site_assertions.assert_alert_is_written_each_minute(local_site)


def test_dashboard_shows_the_site(local_site: RunningSite) -> None:
    site_assertions.assert_dashboard_shows_the_site(local_site)


def test_viewer_may_publish_nothing(local_site: RunningSite) -> None:
    site_assertions.assert_viewer_may_publish_nothing(local_site)


def test_no_password_is_shown(local_site: RunningSite) -> None:
    output = local_site.wvr("up").stdout
    assert f"{local_site.data}/secrets/viewer/password" in output
    assert not any(local_site.password(user) in output for user in ("viewer", "operator"))


def test_killed_process_is_restarted(local_site: RunningSite) -> None:
    before = {service: local_site.process(service) for service in ("broker", "detector")}
    for process in before.values():
        os.kill(process, signal.SIGKILL)

    def have_restarted() -> bool:
        return all(local_site.process(service) not in (0, process) for service, process in before.items())

    wait_for(have_restarted, 30, f"{', '.join(before)} run again")
    wait_for(lambda: local_site.wvr("status").returncode == 0, 60, "all is healthy again")
    local_site.wait_for_alert_after(local_site.alert_minute())


def test_service_without_messages_is_restarted(local_site: RunningSite) -> None:
    """Within 45 s of its last message, and the simulated meter still sends one each minute."""
    acl_file = broker_folder(local_site.data) / "acl"
    acl = acl_file.read_text(encoding="ascii")
    status_topic = "wvr/v1/+/service/detector"
    old_process = local_site.process("detector")
    try:
        acl_file.write_text(
            acl.replace(f"topic readwrite {status_topic}", f"topic write {status_topic}"), encoding="ascii"
        )
        os.kill(local_site.process("broker"), signal.SIGHUP)
        wait_for(lambda: local_site.process("detector") not in (0, old_process), 120, "detector runs again")
    finally:
        acl_file.write_text(acl, encoding="ascii")
        os.kill(local_site.process("broker"), signal.SIGHUP)
    assert "nothing received from the broker" in local_site.wvr("logs", "detector").stdout
    wait_for(lambda: local_site.wvr("status").returncode == 0, 60, "all is healthy again")


def test_changed_site_file_takes_effect_with_up(local_site: RunningSite) -> None:
    site_file = local_site.data.parent / "site.toml"
    old_text, old_process = site_file.read_text(encoding="ascii"), local_site.process("detector")
    assert "already runs" in local_site.wvr("up").stdout
    assert local_site.process("detector") == old_process
    site_file.write_text(f"{old_text}[detection]\nstuck_minutes = 200\n", encoding="ascii")
    changed = local_site.wvr("up")
    assert changed.returncode == 0, changed.stderr
    assert "changed since the last start: site.toml" in changed.stdout
    assert local_site.process("detector") not in (0, old_process)
    local_site.wait_for_alert_after(local_site.alert_minute())


def test_running_site_is_backed_up(local_site: RunningSite) -> None:
    backup_run = local_site.wvr("backup")
    assert backup_run.returncode == 0, backup_run.stderr
    (backup,) = (local_site.data / "backup").glob("wvr-*.db")
    assert f"backup/{backup.name} is complete and valid" in backup_run.stdout


def test_doctor_finds_nothing_wrong_on_a_running_site(local_site: RunningSite) -> None:
    output = local_site.wvr("doctor").stdout
    assert "wvr.db passed the integrity check" in output
    assert "accepts the operator" in output
    assert "db_writer is online" in output


def test_running_site_imports_and_replaces_readings(local_site: RunningSite, tmp_path: Path) -> None:
    table = tmp_path / "scada.csv"
    table.write_text("시각;유량(L/s);수압(kPa)\n2024.05.01 00:00;1,5;300\n2024.05.01 00:01;1,6;301\n", encoding="cp949")
    arguments = ("import", str(table), "--sensor", "001")
    assert "2 readings would be stored" in local_site.wvr(*arguments, "--dry-run").stdout
    assert "pass --yes" in local_site.wvr(*arguments).stderr
    stored = local_site.wvr(*arguments, "--yes")
    assert stored.returncode == 0, stored.stderr
    assert "2 readings stored" in stored.stdout
    assert "by the running site" in stored.stdout
    table.write_text(table.read_text(encoding="cp949").replace("1,6", "1,7"), encoding="cp949")
    kept = local_site.wvr(*arguments, "--yes").stdout
    assert "1 already there and equal, 1 already there and different (kept)" in kept
    replaced = local_site.wvr(*arguments, "--yes", "--replace")
    assert replaced.returncode == 0, replaced.stderr
    assert "2 already there and equal, 0 already there" in local_site.wvr(*arguments, "--dry-run").stdout


def test_ended_sensor_is_renamed_and_retired(local_site: RunningSite, tmp_path: Path) -> None:
    site_assertions.assert_ended_sensor_can_be_renamed_and_retired(local_site, tmp_path)


def test_broker_keeps_its_messages_over_a_restart(local_site: RunningSite) -> None:
    before = local_site.process("broker")
    site_assertions.assert_broker_keeps_messages_over_restart(local_site)
    assert local_site.process("broker") not in (0, before)


def test_systemd_unit_starts_all_services_after_a_power_cut(local_site: RunningSite) -> None:
    """Run the unit's command with an empty environment, as systemd does; ingest must start too.

    Takes a minute of real time: alert.txt must get its next line.
    """
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(autostart.render_unit(local_site.data))
    last_minute = local_site.wait_for_alert_after(None)
    cut_power(local_site)
    command = shlex.split(unit["Service"]["ExecStart"])
    started = subprocess.Popen(command, cwd=unit["Service"]["WorkingDirectory"], env={"PATH": os.defpath})
    wait_for(lambda: local_site.wvr("status").returncode == 0, 60, "all is healthy again")
    local_site.wait_for_alert_after(last_minute)
    assert local_site.wvr("down").returncode == 0
    assert started.wait(30) == 0, "systemd must not restart it"
    assert local_site.wvr("up", "--local").returncode == 0


def test_port_in_use_is_reported(local_site: RunningSite, tmp_path: Path) -> None:
    started = RunningSite.create(tmp_path, local_site.port, simulated(0)).wvr("up", "--local")
    assert started.returncode == 1
    assert f"port {local_site.port} of 127.0.0.1 is in use" in started.stderr


def test_down_stops_all_processes(tmp_path: Path) -> None:
    site = RunningSite.create(tmp_path, free_port(), simulated(0))
    try:
        assert site.wvr("up", "--local").returncode == 0
    finally:
        stopped = site.wvr("down")
    assert stopped.returncode == 0
    assert site.wvr("status").returncode == 1
    assert not [path for path in Path("/proc").glob("[0-9]*/environ") if str(site.data).encode() in environment(path)]


def cut_power(site: RunningSite) -> None:
    """Kill all processes of the site at once; leave every file as it is."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        if str(site.data).encode() in environment(path) and int(path.parent.name) != os.getpid():
            os.kill(int(path.parent.name), signal.SIGKILL)
    wait_for(lambda: not site.listens(), what="the broker has stopped")


def environment(path: Path) -> bytes:
    """Return the environment of a process; empty if it has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
