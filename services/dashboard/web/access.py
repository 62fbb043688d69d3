"""Who may see and who may change: passwords of the roles viewer and operator, sessions, attempts.

Without a password, everyone on this machine is an operator; `main.py` then listens on loopback only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from itsdangerous import BadSignature, URLSafeTimedSerializer
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

Role = Literal["viewer", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)
PASSWORDS_FILE, KEY_FILE = "passwords.json", "session_key"
"""Files in data/secrets/dashboard/: role to argon2id hash, and the key that signs sessions."""
MIN_PASSWORD_CHARACTERS = 12
MAX_PASSWORD_CHARACTERS = 200
SESSION_SECONDS = 12 * 3600
ATTEMPTS: tuple[RateLimitItem, ...] = tuple(parse_many("5/minute;20/hour"))
"""Attempts to log in from one address. Argon2 costs time and memory, so right passwords count too."""
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""Parameters that OWASP recommends for argon2id (Password Storage Cheat Sheet, 2024)."""
MAX_NAME_CHARACTERS = 40


@dataclass(frozen=True)
class User:
    """Someone at a browser."""

    name: str
    """As given at the login; in logs, and with what they acknowledge. Empty: asked for when it is needed."""
    role: Role

    @property
    def may_change(self) -> bool:
        """Whether commands are allowed."""
        return self.role == "operator"


LOCAL_USER = User("", "operator")
"""Everyone on this machine while there is no password."""


class TooManyAttempts(Exception):
    """The address has tried too often; it has to wait."""


class Access:
    """Passwords and sessions of one site. The passwords are read again when their file changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._key = (folder / KEY_FILE).read_text(encoding="ascii").strip()

    @property
    def cookie(self) -> str:
        """Return the name of the session cookie; two sites on one host, which share cookies, have two names."""
        return f"wvr_{hashlib.sha256(self._key.encode()).hexdigest()[:8]}"

    @property
    def has_password(self) -> bool:
        """Whether someone has to log in."""
        return bool(read_passwords(self._folder))

    def log_in(self, name: str, password: str, address: str) -> str | None:
        """Return the value of a new session cookie; None for a wrong password. Raises TooManyAttempts."""
        hits = [self._limiter.hit(limit, address) for limit in ATTEMPTS]
        if not all(hits):
            raise TooManyAttempts
        for role, stored in read_passwords(self._folder).items():
            try:
                HASHER.verify(stored, password[:MAX_PASSWORD_CHARACTERS])
            except VerificationError:
                continue
            return self._serializer(stored).dumps([role, name.strip()[:MAX_NAME_CHARACTERS]])
        return None

    def user(self, session: str | None) -> User | None:
        """Return who a session belongs to; None if someone has to log in."""
        passwords = read_passwords(self._folder)
        if not passwords:
            return LOCAL_USER
        for role, stored in passwords.items():
            try:
                signed_role, name = self._serializer(stored).loads(session or "", max_age=SESSION_SECONDS)
            except (BadSignature, ValueError):
                continue
            if signed_role == role:
                return User(name, role)
        return None

    def _serializer(self, stored: str) -> URLSafeTimedSerializer:
        """Return the signer of a role's sessions; another password ends them."""
        return URLSafeTimedSerializer(self._key, salt=stored)


def read_passwords(folder: Path) -> dict[Role, str]:
    """Return the argon2id hash by role; empty without a password."""
    try:
        stored = json.loads((folder / PASSWORDS_FILE).read_text(encoding="ascii"))
    except FileNotFoundError:
        return {}
    return {role: stored[role] for role in ROLES if role in stored}


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password. Raises ValueError if it is too short or too long."""
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise ValueError(f"a password needs {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters")
    return HASHER.hash(password)
