"""The configuration files that local mode generates."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from cli.bootstrap import ROOT, CommandError
from cli.init_site import SERVICES
from cli.local_config import broker_folder, mosquitto_conf, supervisor_conf, supervisord_conf
from shared.settings import Settings
from shared.settings.sections import Broker

MOSQUITTO = Path("/usr/sbin/mosquitto")


def directives(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines() if line and not line.startswith(("#", "log_type")))


def test_local_broker_differs_from_the_shipped_one_only_in_paths_and_address(tmp_path: Path) -> None:
    shipped = directives((ROOT / "broker/mosquitto.conf").read_text(encoding="utf-8"))
    broker_folder(tmp_path).mkdir(parents=True)
    local = directives(mosquitto_conf(Settings(data=tmp_path, broker=Broker(port=1999)), "127.0.0.1"))
    local.pop("user", None)
    assert local.keys() == shipped.keys()
    assert {key for key in local if local[key] != shipped[key]} == {
        "listener",
        "password_file",
        "acl_file",
        "persistence_location",
        "include_dir",
    }
    assert local["listener"] == "1999 127.0.0.1"


def test_every_service_restarts_when_it_ends(tmp_path: Path) -> None:
    conf = configparser.ConfigParser(interpolation=None)
    conf.read_string(supervisord_conf(tmp_path / "100%", MOSQUITTO, "KST-9"))
    programs = {name.removeprefix("program:") for name in conf.sections() if name.startswith("program:")}
    assert programs == {"broker", *SERVICES}
    assert all(conf[f"program:{name}"]["autorestart"] == "true" for name in programs)
    assert conf["program:trainer"]["command"].startswith("nice -n 19 ")
    assert "100%%/log" in conf["program:ingest"]["stdout_logfile"]
    assert not any("autostart" in conf[f"program:{name}"] for name in programs)


def test_start_of_a_service_can_be_postponed() -> None:
    sections = supervisord_conf(Path("/data"), MOSQUITTO, "KST-9", start_later="ingest").split("[program:")
    assert [section.split("]")[0] for section in sections if "autostart=false" in section] == ["ingest"]


def test_supervisord_conf_contains_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that supervisord reads back every value, special characters included."""
    variables = {"WVR_DATA": "/a b/100%/it's", "WVR_SITE_FILE": 'a "quoted" \\ one, two', "WVR_BIND": "0.0.0.0"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "log").mkdir()
    (tmp_path / "run").mkdir()
    supervisor_conf(tmp_path).write_text(supervisord_conf(tmp_path, MOSQUITTO, "KST-9"), encoding="utf-8")
    options = ServerOptions()
    options.realize(["-c", str(supervisor_conf(tmp_path))])
    assert variables.items() <= options.configroot.supervisord.environment.items()
    monkeypatch.setenv("WVR_DATA", '"it\'s"')
    with pytest.raises(CommandError, match="can't use WVR_DATA"):
        supervisord_conf(tmp_path, MOSQUITTO, "KST-9")
