"""`./wvr notify`: list the contacts; send a test message to one or all of them."""

from __future__ import annotations

import argparse
import secrets
from datetime import datetime

from cli.bootstrap import CommandError
from services.notifier.contact import contacts_of
from services.notifier.senders import secret_files, senders_of
from services.notifier.sending import SendError
from services.notifier.state import Outgoing
from services.notifier.texts import text_of
from shared.settings import Settings, SettingsError, load_settings
from shared.settings.notify import Notify


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr notify", description=__doc__)
    actions = command.add_subparsers(dest="action", metavar="list|test", required=True)
    actions.add_parser("list", help="list the contacts of site.toml")
    test = actions.add_parser("test", help="send a test message, and print why it failed")
    test.add_argument("name", nargs="?", default="", metavar="NAME", help="contact; default: all")
    return command


def main(arguments: list[str]) -> int:
    """Return 0 if every test message was sent."""
    options = parser().parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        raise CommandError(str(error)) from error
    if not settings.notify:
        raise CommandError("site.toml has no [notify.NAME] table, so nobody is notified; see docs/how-to/notify.md")
    if options.action == "list":
        for name, table in settings.notify.items():
            print(f"{name:<12} {_description(table)}")
        return 0
    if options.name and options.name not in settings.notify:
        raise CommandError(f"no contact {options.name!r} in site.toml; there are: {', '.join(settings.notify)}")
    names = [options.name] if options.name else list(settings.notify)
    sent = [_test(settings, name) for name in names]
    return 0 if all(sent) else 1


def _test(settings: Settings, name: str) -> bool:
    """Send a test message and print the result; return whether it was sent."""
    contact = next(contact for contact in contacts_of(settings.notify) if contact.name == name)
    key = f"test-{secrets.token_hex(4)}"
    message = Outgoing(
        key=key,
        contact=name,
        severity="info",
        state="test",
        title=text_of("test.title", contact.language, place=settings.dma.name or settings.site.name),
        text=f"{text_of('test.text', contact.language)}\n{text_of('key', contact.language, key=key)}",
        site=settings.site.name,
        sensor="",
        at=datetime.now(settings.zone),
    )
    try:
        senders_of(settings, secret_files(settings))[name].send(message)
    except SendError as error:
        print(f"{name}: not sent: {error}")
        return False
    print(f"{name}: sent ({key})")
    return True


def _description(table: Notify) -> str:
    """Return a contact's rules, without its URL."""
    parts = [table.kind, f"from {table.severity}", table.language]
    parts += [f"quiet {table.quiet}"] if table.quiet else []
    parts += [f"after {table.after} min without acknowledgement"] if table.after else []
    parts += [f"daily {table.daily}"] if table.daily else ["no daily message"]
    return ", ".join(parts)
