"""The one-time `init` of Compose and local mode: folders, broker users and their random passwords."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import sys
from pathlib import Path
from typing import NamedTuple

from cli import certificates
from cli.bootstrap import CommandError
from cli.mosquitto import ACCESS_LIST, posix_zone, require_valid_access_list
from shared.runtime.applied_settings import applied_file, describe
from shared.runtime.broker_connection import CLIENT_ID_FILE
from shared.settings import SettingsError, load_settings
from shared.version import VERSION

FOLDERS = (
    "sensor",
    "spool",
    "notifier",
    "rejected",
    "output/Learning_lstm/flow_rate",
    "output/Learning_lstm/pressure",
    "backup",
    "log",
    "run/heartbeat",
    "secrets",
)
SERVICES = ("ingest", "detector", "forecaster", "trainer", "db_writer", "reporter", "dashboard", "notifier")
USERS = (*SERVICES, "viewer", "operator")
SESSION_KEY_FILE = "session_key"
"""File in data/secrets/dashboard/: the key that signs the sessions of browsers."""
PBKDF2_ROUNDS = 101
"""Default of mosquitto_passwd; enough since the passwords are 256 random bits."""


class Owner(NamedTuple):
    """User id and group id."""

    uid: int
    gid: int


MOSQUITTO = Owner(1883, 1883)
"""User of the image eclipse-mosquitto."""


def set_up(data: Path) -> None:
    """Create missing folders, passwords and client ids in the data folder; existing ones stay."""
    for folder in FOLDERS:
        (data / folder).mkdir(parents=True, exist_ok=True)
    (data / "secrets").chmod(0o700)
    for user in USERS:
        _password(data / "secrets" / user)
    for service in SERVICES:
        _secret(data / "secrets" / service, CLIENT_ID_FILE)
    _secret(data / "secrets/dashboard", SESSION_KEY_FILE)
    write_private(data / "secrets/viewer/mosquitto_sub", _client_options("viewer", data / "secrets/viewer"))
    for file in certificates.folder(data).glob("*"):
        file.parent.chmod(0o700)
        file.chmod(0o600)


def set_up_broker(data: Path, folder: Path) -> None:
    """Write the broker's private files into a folder: password hashes, access list, login of the health check."""
    homes = {user: data / "secrets" / user for user in USERS} | {"broker": folder}
    lines = (f"{user}:{mosquitto_hash(_password(home))}\n" for user, home in homes.items())
    write_private(folder / "passwd", "".join(lines))
    write_private(folder / "acl", ACCESS_LIST.read_text(encoding="ascii"))
    write_private(folder / "mosquitto_rr", _client_options("broker", folder))


def set_up_tls(data: Path, folder: Path, listener: str, seen_in: Path) -> None:
    """Write the TLS configuration, if there are certificates.

    `listener` is "PORT ADDRESS"; `seen_in` is the path of the folder as the broker sees it.
    Raises CommandError with the invalid file.
    """
    for name in ("tls.conf", *certificates.BROKER_FILES):
        (folder / name).unlink(missing_ok=True)
    if not certificates.are_present(data):
        return
    certificates.validate(data)
    home = certificates.folder(data)
    for name in certificates.BROKER_FILES:
        # Only comments of a PEM file can be other than ASCII.
        write_private(folder / name, (home / name).read_text(encoding="ascii", errors="replace"))
    certificate, key = (seen_in / name for name in certificates.BROKER_FILES)
    write_private(folder / "tls.conf", f"listener {listener}\ncertfile {certificate}\nkeyfile {key}\n")


def record_applied(data: Path) -> None:
    """Record the present site.toml, access list and version as applied: services that run with others end."""
    write_private(applied_file(data), describe_present())


def describe_present() -> str:
    """Return the description of the present site.toml, access list and version."""
    return describe(Path(os.environ.get("WVR_SITE_FILE", "site.toml")), ACCESS_LIST, VERSION)


def mosquitto_hash(password: str, salt: bytes | None = None) -> str:
    """Return the hash of a password in the format of mosquitto_passwd: `$7$rounds$salt$hash`, PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ROUNDS, dklen=64)
    return f"$7${PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def chown_data(data: Path, owner: Owner) -> None:
    """Give the data folder to the services' user and the broker's folder to the broker's user."""
    broker = data / "secrets/broker"
    for folder, _, files in os.walk(data):
        new_owner = MOSQUITTO if Path(folder) == broker else owner
        for path in (Path(folder), *(Path(folder, file) for file in files)):
            os.chown(path, *new_owner, follow_symlinks=False)


def write_private(path: Path, text: str) -> None:
    """Write a file atomically; only its owner can read it."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600, exist_ok=False)
    with temporary.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _password(home: Path) -> str:
    return _secret(home, "password")


def _secret(home: Path, name: str) -> str:
    """Return the random text of a file in a user's folder, after creating it if there is none."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    file = home / name
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
    return file.read_text(encoding="ascii").strip()


def _client_options(user: str, home: Path) -> str:
    """Return the options file of the mosquitto clients in $XDG_CONFIG_HOME; it keeps passwords off command lines."""
    return f"-u {user}\n-P {_password(home)}\n"


def main() -> int:
    """Set up the data folder for Compose; WVR_OWNER=uid:gid is the services' user."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    data = settings.data
    folder = data / "secrets/broker"
    try:
        require_valid_access_list(ACCESS_LIST)
        set_up(data)
        set_up_broker(data, folder)
        write_private(folder / "zone", posix_zone(settings.site.timezone))
        if certificates.are_present(data) != ("WVR_TLS" in os.environ):
            raise CommandError(
                f"{certificates.folder(data)} and docker-compose.tls.yml must be used together; start WVR with ./wvr up"
            )
        bind = os.environ.get("WVR_BIND") or "127.0.0.1"
        certificates.require_beyond_loopback(data, bind, os.environ.get("WVR_BIND_PLAINTEXT", ""))
        set_up_tls(data, folder, "8883", Path("/run/wvr"))
        record_applied(data)
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        chown_data(data, Owner(*map(int, os.environ["WVR_OWNER"].split(":"))))
    # Only now can the broker read its files: its health check lets it read them again when this file is newer.
    (folder / "ready").touch()
    print(f"{data}: folders, broker users and passwords are ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
