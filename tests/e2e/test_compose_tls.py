"""TLS in Docker: the broker alone, with certificates of a throw-away authority."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cli.bootstrap import ROOT
from cli.certificates import folder
from cli.compose import TLS_COMPOSE_FILES
from tests.certs import write_certificates
from tests.conftest import free_port
from tests.contract.mqtt_client import connected
from tests.e2e.conftest import require_docker
from tests.e2e.running_site import RunningSite, simulated

pytestmark = pytest.mark.docker


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RunningSite]:
    """A site with certificates, not yet started; gone with its data afterwards."""
    require_docker()
    site = RunningSite.create(tmp_path, free_port(), simulated(0), free_port())
    write_certificates(site.data, trustme.CA())
    site.compose("build", "init")
    yield site
    site.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture
def with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `./wvr up` does, and .env may."""
    monkeypatch.setenv("COMPOSE_FILE", os.pathsep.join(str(ROOT / name) for name in TLS_COMPOSE_FILES))


def start(site: RunningSite) -> tuple[int, str]:
    """Exit code of a start of the broker, and what init output."""
    code = site.run("docker", "compose", "--project-directory", str(ROOT), "up", "--wait", "broker").returncode
    return code, site.compose("logs", "--no-log-prefix", "init")


@pytest.mark.usefixtures("with_tls")
def test_the_viewer_comes_in_by_tls_and_plain_stays_on_loopback(
    site: RunningSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WVR_BIND", "0.0.0.0")
    authority = tmp_path / "ca.crt"
    authority.write_bytes((folder(site.data) / "ca.crt").read_bytes())
    code, output = start(site)
    assert code == 0, output
    with connected(site, "viewer", authority=authority) as viewer:
        viewer.subscribe("#")
    with pytest.raises(PermissionError), connected(site, "viewer", "wrong", authority=authority):
        pass
    container = site.compose("ps", "--quiet", "broker").strip()
    ports = json.loads(site.run("docker", "inspect", container).stdout)[0]["HostConfig"]["PortBindings"]
    assert ports == {
        "1883/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(site.port)}],
        "8883/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(site.tls_port)}],
    }


@pytest.mark.usefixtures("with_tls")
def test_invalid_certificate_prevents_a_start(site: RunningSite) -> None:
    (folder(site.data) / "server.key").write_text("water", encoding="ascii")
    code, output = start(site)
    assert code
    assert "/data/secrets/tls/server.key: holds no key in PEM" in output
    assert not site.listens()


def test_certificates_without_a_tls_port_prevent_a_start(site: RunningSite) -> None:
    code, output = start(site)
    assert code
    assert "docker-compose.tls.yml must be used together" in output
    assert not site.listens()


@pytest.mark.usefixtures("with_tls")
def test_deleted_password_is_replaced_and_the_old_one_is_refused(site: RunningSite) -> None:
    assert start(site)[0] == 0
    old = site.password("viewer")
    site.compose("down", "--timeout", "5")
    shutil.rmtree(site.data / "secrets/viewer")
    assert start(site)[0] == 0
    with connected(site, "viewer"):
        pass
    with pytest.raises(PermissionError), connected(site, "viewer", old):
        pass
