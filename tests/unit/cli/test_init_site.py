"""The first start creates folders, users and passwords; later starts keep them."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

from cli.init_site import FOLDERS, SERVICES, USERS, mosquitto_hash, set_up, set_up_broker
from shared.runtime.broker_connection import client_id
from shared.settings import Settings


def passwords(data: Path) -> dict[str, str]:
    return {user: (data / "secrets" / user / "password").read_text(encoding="ascii") for user in USERS}


def test_first_start_creates_all_folders_and_a_password_for_every_user(tmp_path: Path) -> None:
    set_up(tmp_path)
    assert all((tmp_path / folder).is_dir() for folder in FOLDERS)
    assert len(set(passwords(tmp_path).values())) == len(USERS)
    assert all(len(password) >= 40 for password in passwords(tmp_path).values())


def test_next_start_keeps_the_passwords(tmp_path: Path) -> None:
    set_up(tmp_path)
    before = passwords(tmp_path)
    set_up(tmp_path)
    assert passwords(tmp_path) == before


def test_client_ids_are_random_and_stay(tmp_path: Path) -> None:
    set_up(tmp_path)
    ids = {service: client_id(service, Settings(data=tmp_path)) for service in SERVICES}
    assert all(len(text.removeprefix(f"wvr-{service}-")) >= 40 for service, text in ids.items())
    assert len(set(ids.values())) == len(SERVICES)
    set_up(tmp_path)
    assert {service: client_id(service, Settings(data=tmp_path)) for service in SERVICES} == ids


def test_only_the_owner_can_read_secrets(tmp_path: Path) -> None:
    set_up(tmp_path)
    set_up_broker(tmp_path, tmp_path / "secrets/broker")
    for path in (tmp_path / "secrets").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_password_hash_equals_that_of_mosquitto_passwd() -> None:
    # mosquitto_passwd 2.0.11 wrote this for the password "water".
    salt = "jnJwFoFPkXoMUgkW"
    digest = "TE+SrGM2khPiUEv3Mh/3SmhsnhWgyTJyDThra8Uo4+IgHybQ6i6UCu3cBfe2PlWn6bTPgq9lcLlx8CYKuWDQ2w=="
    assert mosquitto_hash("water", b64decode(salt)) == f"$7$101${salt}${digest}"
