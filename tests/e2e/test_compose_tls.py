"""TLS in Docker: only the broker, with certificates of a temporary authority."""

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
    """A site with certificates, not yet started; removed with its data at the end."""
    require_docker()
    site = RunningSite.create(tmp_path, free_port(), simulated(0), free_port())
    write_certificates(site.data, trustme.CA())
    site.compose("build", "init")
    yield site
    site.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture
def with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set COMPOSE_FILE as `./wvr up` does."""
    monkeypatch.setenv("COMPOSE_FILE", os.pathsep.join(str(ROOT / name) for name in TLS_COMPOSE_FILES))


def start(site: RunningSite) -> tuple[int, str]:
    """Start the broker; return the exit code and the output of init."""
    code = site.run("docker", "compose", "--project-directory", str(ROOT), "up", "--wait", "broker").returncode
    return code, site.compose("logs", "--no-log-prefix", "init")


@pytest.mark.usefixtures("with_tls")
def test_viewer_connects_by_tls_and_the_plain_port_stays_on_loopback(
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


def test_address_beyond_loopback_needs_certificates_or_a_second_word(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder(site.data))
    monkeypatch.setenv("WVR_BIND", "0.0.0.0")
    code, output = start(site)
    assert code
    assert "WVR_BIND=0.0.0.0 opens the broker to the network" in output
    assert not site.listens()
    monkeypatch.setenv("WVR_BIND_PLAINTEXT", "0.0.0.0")
    code, output = start(site)
    assert code == 0, output


@pytest.mark.usefixtures("with_tls")
def test_deleted_password_is_replaced_and_the_old_one_is_refused(site: RunningSite) -> None:
    assert start(site)[0] == 0
    old_password = site.password("viewer")
    site.compose("down", "--timeout", "5")
    shutil.rmtree(site.data / "secrets/viewer")
    assert start(site)[0] == 0
    with connected(site, "viewer"):
        pass
    with pytest.raises(PermissionError), connected(site, "viewer", old_password):
        pass
