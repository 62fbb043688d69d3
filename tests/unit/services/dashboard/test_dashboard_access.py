"""Passwords, sessions and attempts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from cli import password
from cli.bootstrap import CommandError
from cli.dashboard_address import PASSWORDS_FILE as FILE_OF_COMMAND
from cli.dashboard_address import dashboard_address
from services.dashboard.main import is_loopback
from services.dashboard.web import access as module
from services.dashboard.web.access import KEY_FILE, LOCAL_USER, PASSWORDS_FILE, Access, TooManyAttempts, hash_password

GOOD = "correct horse battery"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The secrets of a dashboard with an operator's password."""
    (tmp_path / KEY_FILE).write_text("key", encoding="ascii")
    (tmp_path / PASSWORDS_FILE).write_text(json.dumps({"operator": hash_password(GOOD)}), encoding="ascii")
    return tmp_path


def test_session_belongs_to_who_logged_in(folder: Path) -> None:
    session = Access(folder).log_in(" Kim ", GOOD, "10.0.0.1")
    user = Access(folder).user(session)
    assert user is not None
    assert (user.name, user.role, user.may_change) == ("Kim", "operator", True)


def test_forged_and_missing_sessions_belong_to_nobody(folder: Path) -> None:
    access = Access(folder)
    session = access.log_in("Kim", GOOD, "10.0.0.1")
    assert session is not None
    assert [access.user(text) for text in (None, "", "x", session[:-2], f"a{session}")] == [None] * 5


def test_session_ends_after_twelve_hours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(folder)
    session = access.log_in("Kim", GOOD, "10.0.0.1")
    monkeypatch.setattr(module, "SESSION_SECONDS", -1)
    assert access.user(session) is None


def test_another_password_ends_sessions(folder: Path) -> None:
    access = Access(folder)
    session = access.log_in("Kim", GOOD, "10.0.0.1")
    (folder / PASSWORDS_FILE).write_text(json.dumps({"operator": hash_password(f"{GOOD} 2")}), encoding="ascii")
    assert access.user(session) is None


def test_sixth_attempt_within_a_minute_is_refused_even_if_right(folder: Path) -> None:
    access = Access(folder)
    assert [access.log_in("Kim", "wrong", "10.0.0.1") for _ in range(5)] == [None] * 5
    with pytest.raises(TooManyAttempts):
        access.log_in("Kim", GOOD, "10.0.0.1")
    assert access.log_in("Kim", GOOD, "10.0.0.2")


def test_everyone_here_is_an_operator_without_a_password(folder: Path) -> None:
    (folder / PASSWORDS_FILE).unlink()
    access = Access(folder)
    assert not access.has_password
    assert access.user(None) == LOCAL_USER


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the command."""
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    return tmp_path


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let the command read a password from a pipe."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{text}\n"))


def test_command_stores_a_hash_that_only_the_owner_reads(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, GOOD)
    assert password.main([]) == 0
    file = data / FILE_OF_COMMAND
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text(encoding="ascii"))["operator"].startswith("$argon2id$")
    typed(monkeypatch, "another password")
    assert password.main(["viewer"]) == 0
    with pytest.raises(CommandError, match="needs an operator's"):
        password.main(["operator", "--remove"])
    assert password.main(["viewer", "--remove"]) == 0
    assert password.main(["operator", "--remove"]) == 0
    assert not file.exists()


def test_command_refuses_a_short_password(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "eleven char")
    with pytest.raises(CommandError, match="12 to 200 characters"):
        password.main([])
    assert not (data / FILE_OF_COMMAND).exists()


def test_others_reach_the_dashboard_only_with_a_password(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WVR_DASHBOARD__BIND", "0.0.0.0")
    with pytest.raises(CommandError, match=r"WVR_DASHBOARD__BIND=0\.0\.0\.0: .* \./wvr password"):
        dashboard_address().require_password(data)
    typed(monkeypatch, GOOD)
    password.main([])
    dashboard_address().require_password(data)
    monkeypatch.setenv("WVR_DASHBOARD__BIND", "here")
    with pytest.raises(CommandError, match="write an IP address"):
        dashboard_address().require_password(data)


@pytest.mark.parametrize(
    ("address", "is_safe"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.0.4", False),
        ("::", False),
    ],
)
def test_loopback_addresses(address: str, is_safe: bool) -> None:
    assert is_loopback(address) == is_safe
