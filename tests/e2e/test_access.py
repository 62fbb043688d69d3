"""Access to a local site whose services connect by TLS: passwords and keys are only in the folders of their owners."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cli.certificates import folder
from cli.init_site import USERS
from tests.certs import write_certificates
from tests.conftest import free_port
from tests.contract.mqtt_client import connected
from tests.e2e import site_assertions
from tests.e2e.running_site import RunningSite, simulated
from tests.polling import wait_for


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A local site with certificates, whose services connect by TLS."""
    home = tmp_path_factory.mktemp("access")
    site = RunningSite.create(home, free_port(), simulated(0), free_port())
    write_certificates(site.data, trustme.CA())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WVR_BROKER__CA", str(authority(site)))
        try:
            started = site.wvr("up", "--local")
            assert started.returncode == 0, started.stdout + started.stderr
            assert f"TLS      127.0.0.1:{site.tls_port}, certificate valid until" in started.stdout
            yield site
        finally:
            site.wvr("down")


def authority(site: RunningSite) -> Path:
    return folder(site.data) / "ca.crt"


def passwords(site: RunningSite) -> dict[str, str]:
    """Return the password of every user, and of the broker's health check."""
    broker = (site.data / "run/broker/password").read_text(encoding="ascii")
    return {user: site.password(user) for user in USERS} | {"broker": broker}


def files_containing(site: RunningSite, secrets: list[bytes]) -> set[str]:
    """Return the files of the site that contain one of the secrets."""
    files = [path for path in site.data.rglob("*") if path.is_file()]
    matches = [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
    return {str(path.relative_to(site.data)) for path in matches}


def test_all_services_connect_only_by_tls(site: RunningSite) -> None:
    site_assertions.assert_all_services_healthy(site)
    with connected(site, "viewer", authority=authority(site)) as viewer:
        viewer.subscribe("#")
        wait_for(lambda: any("/service/" in topic for topic, _ in viewer.received), what="a status")
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = [(row.split()[2].split(":")[1], row.split()[3]) for row in table]
    established = [int(port, 16) for port, state in rows if state == "01"]
    assert established.count(site.tls_port) >= 6
    assert site.port not in established


def test_passwords_and_keys_are_only_in_the_folders_of_their_owners(site: RunningSite) -> None:
    user_passwords = passwords(site)
    for user, password in (
        ("viewer", "wrong"),
        ("operator", user_passwords["viewer"]),
        (user_passwords["reporter"], user_passwords["ingest"]),
    ):
        with pytest.raises(PermissionError), connected(site, user, password):
            pass
    runs = [site.wvr(*command.split()) for command in ("up", "status", "doctor", "logs", "logs broker", "validate")]
    output = "".join(run.stdout + run.stderr for run in runs)
    assert not [user for user, password in user_passwords.items() if password in output]
    user_files = {f"secrets/{user}/password" for user in USERS} | {"secrets/viewer/mosquitto_sub"}
    broker_files = {"run/broker/password", "run/broker/mosquitto_rr"}
    assert (
        files_containing(site, [password.encode() for password in user_passwords.values()]) == user_files | broker_files
    )
    key_files = {"secrets/tls/server.key", "run/broker/server.key"}
    assert files_containing(site, [(folder(site.data) / "server.key").read_bytes()]) == key_files
    for name in user_files | broker_files | key_files:
        assert (site.data / name).stat().st_mode & 0o777 == 0o600, name
        assert (site.data / name).parent.stat().st_mode & 0o777 == 0o700, name


def test_no_password_is_on_a_command_line_or_in_an_environment(site: RunningSite) -> None:
    site_processes, encoded_passwords = 0, [password.encode() for password in passwords(site).values()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            visible_bytes = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        site_processes += str(site.data).encode() in visible_bytes
        assert not any(password in visible_bytes for password in encoded_passwords), process
    assert site_processes >= 10, "supervisord, the broker and eight services"


def test_deleted_password_is_replaced_and_the_old_one_is_refused(site: RunningSite) -> None:
    before = passwords(site)
    assert site.wvr("down").returncode == 0
    shutil.rmtree(site.data / "secrets/reporter")
    started = site.wvr("up", "--local")
    assert started.returncode == 0, started.stdout + started.stderr
    site_assertions.assert_all_services_healthy(site)
    after = passwords(site)
    assert {user for user in after if after[user] != before[user]} == {"reporter"}
    with connected(site, "reporter", after["reporter"]):
        pass
    with pytest.raises(PermissionError), connected(site, "reporter", before["reporter"]):
        pass


def test_invalid_certificate_prevents_a_start(site: RunningSite) -> None:
    assert site.wvr("down").returncode == 0
    (folder(site.data) / "server.crt").write_text("water", encoding="ascii")
    refused = site.wvr("up", "--local")
    assert refused.returncode == 1
    assert f"{folder(site.data)}/server.crt: holds no certificate in PEM" in refused.stderr
    assert not site.listens()
