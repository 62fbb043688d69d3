"""Valid certificates are accepted; otherwise an error names the file, and no broker starts without TLS."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from cli.bootstrap import ROOT, CommandError
from cli.certificates import FILES, are_present, require_beyond_loopback, validate
from cli.init_site import main, set_up, set_up_broker, set_up_tls
from tests.certs import write_certificates


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def home(tmp_path: Path, authority: trustme.CA) -> Path:
    """Valid certificates in a site's folder."""
    write_certificates(tmp_path, authority)
    return tmp_path / "secrets/tls"


def test_without_certificates_there_is_no_tls(tmp_path: Path) -> None:
    assert not are_present(tmp_path)
    (tmp_path / "secrets/tls").mkdir(parents=True)
    assert not are_present(tmp_path)


@pytest.mark.usefixtures("home")
def test_valid_certificates_are_accepted(tmp_path: Path) -> None:
    assert are_present(tmp_path)
    assert validate(tmp_path).endswith("GMT")


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_reported(tmp_path: Path, home: Path, name: str) -> None:
    (home / name).unlink()
    assert are_present(tmp_path)
    with pytest.raises(CommandError, match=f"secrets/tls/{name}: No such file"):
        validate(tmp_path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"water", b"\x30\x82\x01\xff"])
def test_file_with_invalid_content_is_reported(tmp_path: Path, home: Path, name: str, content: bytes) -> None:
    (home / name).write_bytes(content)
    with pytest.raises(CommandError, match=f"secrets/tls/{name}: holds no"):
        validate(tmp_path)


def test_misspelled_certificate_file_is_an_error(tmp_path: Path, home: Path) -> None:
    for name in FILES:
        (home / name).rename(home / f"{name}.pem")
    assert are_present(tmp_path)
    with pytest.raises(CommandError, match=r"ca.crt: No such file"):
        validate(tmp_path)


def test_key_of_another_certificate_is_reported(tmp_path: Path, home: Path, authority: trustme.CA) -> None:
    authority.issue_cert("elsewhere").private_key_pem.write_to_path(home / "server.key")
    with pytest.raises(CommandError, match=r"server.key: does not match server.crt"):
        validate(tmp_path)


def test_key_with_a_passphrase_is_reported(tmp_path: Path, home: Path) -> None:
    key = load_pem_private_key((home / "server.key").read_bytes(), None)
    encrypted_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"water"))
    (home / "server.key").write_bytes(encrypted_key)
    with pytest.raises(CommandError, match=r"server.key: has a passphrase"):
        validate(tmp_path)


def test_authority_that_did_not_sign_is_reported(tmp_path: Path, home: Path) -> None:
    trustme.CA().cert_pem.write_to_path(home / "ca.crt")
    with pytest.raises(CommandError, match=r"ca.crt: did not sign .*server.crt: unable to get local issuer"):
        validate(tmp_path)


def test_expired_certificate_does_not_prevent_a_start(tmp_path: Path, authority: trustme.CA) -> None:
    write_certificates(tmp_path, authority, expires=datetime(2020, 1, 1, tzinfo=UTC))
    assert "2020" in validate(tmp_path)


def test_certificate_created_as_documented_is_accepted(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    text = (ROOT / "docs/how-to/access.md").read_text(encoding="utf-8")
    commands = text[text.index("openssl req") : text.index("cp server.crt ca.crt")] + "cp server.crt ca.crt"
    home = tmp_path / "secrets/tls"
    home.mkdir(parents=True)
    subprocess.run(["sh", "-ec", commands], cwd=home, check=True, capture_output=True)
    assert validate(tmp_path).endswith("GMT")


def test_copy_for_the_broker_is_removed_with_the_certificates(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "broker"
    set_up(tmp_path)
    set_up_broker(tmp_path, folder)
    set_up_tls(tmp_path, folder, "8883", Path("/seen"))
    conf = (folder / "tls.conf").read_text(encoding="ascii")
    assert conf == "listener 8883\ncertfile /seen/server.crt\nkeyfile /seen/server.key\n"
    assert not [path for path in (*folder.iterdir(), *home.iterdir()) if path.stat().st_mode & 0o077]
    for name in FILES:
        (home / name).unlink()
    set_up_tls(tmp_path, folder, "8883", Path("/seen"))
    assert not (folder / "tls.conf").exists()
    assert not (folder / "server.key").exists()


@pytest.mark.parametrize("published", [True, False])
def test_compose_needs_both_the_certificates_and_the_tls_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], published: bool
) -> None:
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    monkeypatch.setenv("WVR_OWNER", "0:0")
    monkeypatch.setattr("os.chown", lambda *_, **__: None)
    if published:
        monkeypatch.setenv("WVR_TLS", "published")
    else:
        write_certificates(tmp_path, trustme.CA())
    assert main() == 1
    assert "secrets/tls and docker-compose.tls.yml must be used together" in capsys.readouterr().err


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_certificates(bind: str, tmp_path: Path) -> None:
    require_beyond_loopback(tmp_path, bind, "")


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.168.0.10", "wvr-pc"])
def test_other_addresses_need_certificates_or_the_address_again(bind: str, tmp_path: Path) -> None:
    for plaintext in ("", "yes", "10.0.0.1"):
        with pytest.raises(CommandError, match=f"or set WVR_BIND_PLAINTEXT={bind} too"):
            require_beyond_loopback(tmp_path, bind, plaintext)
    require_beyond_loopback(tmp_path, bind, bind)
    write_certificates(tmp_path, trustme.CA())
    require_beyond_loopback(tmp_path, bind, "")
