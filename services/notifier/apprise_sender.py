"""Sends by an apprise URL. The package is imported at the first message: it costs 20 MB."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from services.notifier.contact import Severity
from services.notifier.secret_files import SecretFiles
from services.notifier.sending import SendError
from services.notifier.state import Outgoing
from shared.settings.notify import Notify

TYPES: dict[Severity, str] = {"info": "info", "warning": "warning", "critical": "failure"}
"""Severity to apprise's type, which chooses colour and sound."""
DETAILS = ("Socket Exception", "Response Details")
"""Start of the debug texts that say why: the warning before only says that something failed."""
MAX_REASON_CHARACTERS = 400
NOISY_LOGGERS = ("apprise", "urllib3", "requests")
"""Their texts contain URLs with tokens; none may reach the log."""


class AppriseSender:
    """Sends each message by apprise."""

    def __init__(self, name: str, table: Notify, secrets: SecretFiles) -> None:
        self._name, self._table, self._secrets = name, table, secrets

    def send(self, message: Outgoing) -> None:
        """Send a message. Raises SendError with what apprise has logged about the failure."""
        url = self._secrets.url(self._table.url or self._name)
        with _Captured() as texts:
            try:
                is_sent = _notify(url, message)
            except Exception as error:
                raise SendError(self._secrets.mask(f"{type(error).__name__}: {error}")) from None
        if not is_sent:
            reason = "; ".join(dict.fromkeys(texts)) or "apprise gave no reason; check the URL"
            raise SendError(self._secrets.mask(reason)[:1000])


def _notify(url: str, message: Outgoing) -> bool:
    import apprise

    service = apprise.Apprise()
    if not service.add(url):
        raise ValueError("not a URL that apprise knows; see https://github.com/caronc/apprise/wiki")
    kind = apprise.NotifyType(TYPES[message.severity])
    return bool(service.notify(title=message.title, body=message.text, notify_type=kind, body_format="text"))


_capturing: ContextVar[_Captured | None] = ContextVar("_capturing", default=None)
"""Whose attempt logs; apprise copies the context into its own threads."""


class _Captured(logging.Handler):
    """Collects the warnings of one attempt with their details, and keeps the texts of apprise out of the log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._texts: list[str] = []
        self.addFilter(lambda _: _capturing.get() is self)

    def __enter__(self) -> list[str]:
        for name in NOISY_LOGGERS:
            logging.getLogger(name).propagate = False
        logging.getLogger("apprise").addHandler(self)
        logging.getLogger("apprise").setLevel(logging.DEBUG)
        _capturing.set(self)
        return self._texts

    def __exit__(self, *_: object) -> None:
        _capturing.set(None)
        logging.getLogger("apprise").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING or text.startswith(DETAILS):
            self._texts.append(" ".join(text.split())[:MAX_REASON_CHARACTERS])
