"""Kinds of contacts: how each is sent a message."""

from __future__ import annotations

from collections.abc import Callable

from services.notifier.apprise_sender import AppriseSender
from services.notifier.secret_files import SecretFiles
from services.notifier.sending import Sender
from services.notifier.webhook import Webhook
from shared.settings import Settings
from shared.settings.notify import Notify

KINDS: dict[str, Callable[[str, Notify, SecretFiles], Sender]] = {"apprise": AppriseSender, "webhook": Webhook}
"""`kind` of a `[notify.NAME]` table to its sender."""


def secret_files(settings: Settings) -> SecretFiles:
    """Return the secrets of the contacts."""
    return SecretFiles(settings.secrets or settings.data / "secrets/notifier")


def senders_of(settings: Settings, secrets: SecretFiles) -> dict[str, Sender]:
    """Return the sender of each contact."""
    return {name: KINDS[table.kind](name, table, secrets) for name, table in settings.notify.items()}
