"""With certificates the broker also accepts TLS connections; clients verify it with its authority."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import paho.mqtt.client as mqtt
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion

from shared.contract.messages import Message, Tick
from shared.runtime.broker_connection import connection_error, tls_context
from shared.runtime.broker_probe import retained_messages
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings
from shared.settings.sections import Broker
from tests.certs import write_certificates
from tests.contract.acl_broker import acl_broker
from tests.contract.mqtt_client import connected
from tests.e2e.running_site import RunningSite
from tests.unit.shared.runtime.test_buses import FakeListener, receive_messages, ticks


class FakeDetector(FakeListener):
    """A listener for ticks with a service name that the broker knows."""

    name: ClassVar[str] = "detector"
    consumes: ClassVar[tuple[type[Message], ...]] = (Tick,)
    commands: ClassVar[tuple[str, ...]] = ()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A broker with the access list and certificates."""
    data = tmp_path_factory.mktemp("secured")
    write_certificates(data, trustme.CA())
    with acl_broker(data) as site:
        yield site


@pytest.fixture
def authority(secured: RunningSite) -> Path:
    return secured.data / "secrets/tls/ca.crt"


def settings_for(site: RunningSite, ca: Path | None, port: int) -> Settings:
    return Settings(data=site.data, broker=Broker(port=port, tls_port=port, ca=ca))


def test_viewer_connects_by_tls(secured: RunningSite, authority: Path) -> None:
    with connected(secured, "viewer", authority=authority) as viewer:
        viewer.subscribe("#")


def test_missing_and_wrong_passwords_are_refused_by_tls(secured: RunningSite, authority: Path) -> None:
    for user, password in ((None, ""), ("viewer", "wrong")):
        with (
            pytest.raises(PermissionError, match="Not authorized"),
            connected(secured, user, password, authority=authority),
        ):
            pass


def test_unknown_authority_is_refused(secured: RunningSite, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.crt")
    with pytest.raises(ssl.SSLCertVerificationError), connected(secured, "viewer", authority=tmp_path / "other.crt"):
        pass
    with (
        socket.create_connection(("127.0.0.1", secured.tls_port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")


def test_certificate_of_another_name_is_refused(secured: RunningSite, authority: Path) -> None:
    with (
        socket.create_connection(("127.0.0.1", secured.tls_port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'elsewhere'"),
    ):
        tls_context(authority).wrap_socket(plain, server_hostname="elsewhere")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_versions_are_refused(secured: RunningSite, authority: Path, version: ssl.TLSVersion) -> None:
    context = tls_context(authority)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", secured.tls_port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_tls_port_refuses_plain_connections(secured: RunningSite) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
    client.username_pw_set("viewer", secured.password("viewer"))
    client.connect("127.0.0.1", secured.tls_port)
    assert client.loop_forever() != mqtt.MQTT_ERR_SUCCESS
    assert not client.is_connected()


def test_services_connect_by_tls(secured: RunningSite, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WVR_HEARTBEAT", os.devnull)
    settings = settings_for(secured, authority, secured.tls_port)
    detector, ingest = MqttBus("detector", settings), MqttBus("ingest", settings)
    detector.open(FakeDetector())
    ingest.open(FakeDetector())
    for tick in ticks(2):
        ingest.publish(tick)
    ingest.confirm()
    assert receive_messages(detector, 2) == ticks(2)
    detector.close()
    ingest.close()


def test_doctor_connects_by_tls(secured: RunningSite, authority: Path) -> None:
    version = retained_messages(settings_for(secured, authority, secured.tls_port), "$SYS/broker/version")
    assert list(version) == ["$SYS/broker/version"]


def test_connection_errors_are_explained(secured: RunningSite, authority: Path, tmp_path: Path) -> None:
    other_authority = tmp_path / "other.crt"
    trustme.CA().cert_pem.write_to_path(other_authority)
    assert connection_error(settings_for(secured, authority, secured.tls_port).broker) == ""
    assert connection_error(settings_for(secured, None, secured.port).broker) == ""
    assert "certificate verify failed" in connection_error(
        settings_for(secured, other_authority, secured.tls_port).broker
    )
    assert connection_error(settings_for(secured, authority, secured.port).broker)


def test_unreadable_authority_is_reported(secured: RunningSite, tmp_path: Path) -> None:
    (tmp_path / "empty.crt").write_text("", encoding="ascii")
    for name, reason in (("missing.crt", "No such file"), ("empty.crt", "no certificate in PEM")):
        with pytest.raises(SystemExit, match=f"{name}: .*{reason}"):
            MqttBus("detector", settings_for(secured, tmp_path / name, secured.tls_port))
