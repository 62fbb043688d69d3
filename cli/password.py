"""`./wvr password`: set or remove the passwords of the dashboard. With one, it may be reached from the network."""

from __future__ import annotations

import argparse
import getpass
import json
import shutil
import sys

from cli.bootstrap import CommandError
from cli.dashboard_address import PASSWORDS_FILE
from cli.init_site import write_private
from cli.local_site import data_folder
from services.dashboard.web.access import MIN_PASSWORD_CHARACTERS, ROLES, hash_password, read_passwords


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr password", description=__doc__)
    command.add_argument(
        "role", nargs="?", choices=ROLES, default="operator", help="default: operator; viewer only looks"
    )
    command.add_argument("--remove", action="store_true", help="remove the password of the role")
    return command


def main(arguments: list[str]) -> int:
    """Ask for a password, twice at a terminal, and store its hash. Raises CommandError."""
    options = parser().parse_args(arguments)
    file = data_folder() / PASSWORDS_FILE
    try:
        passwords = dict(read_passwords(file.parent))
        if options.remove:
            passwords.pop(options.role, None)
        else:
            passwords[options.role] = _hash(_ask(options.role))
        if passwords and "operator" not in passwords:
            raise CommandError("a viewer's password needs an operator's: ./wvr password operator")
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if passwords:
            write_private(file, json.dumps(passwords))
            owner = file.parent.parent.parent.stat()
            shutil.chown(file, owner.st_uid, owner.st_gid)
        else:
            file.unlink(missing_ok=True)
    except PermissionError as error:
        raise CommandError(f"{error.filename} belongs to another user; run ./wvr as its owner, or as root") from error
    print(f"{options.role}: password {'removed' if options.remove else 'set'}; sessions of the former one have ended")
    return 0


def _ask(role: str) -> str:
    """Return the password that someone types, or the first line of a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"new password of the {role}, {MIN_PASSWORD_CHARACTERS} characters or more: ")
    if getpass.getpass("once more: ") != password:
        raise CommandError("the two passwords differ; nothing was changed")
    return password


def _hash(password: str) -> str:
    try:
        return hash_password(password)
    except ValueError as error:
        raise CommandError(f"{error}; nothing was changed") from error
