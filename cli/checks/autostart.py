"""Does WVR start again by itself after a power cut."""

from __future__ import annotations

from collections.abc import Iterator

from cli.autostart import installed, runs_systemd, with_docker
from cli.checks.finding import Finding, note, ok
from cli.place import supervisor
from shared.settings import Settings


def check(settings: Settings) -> Iterator[Finding]:
    """Looks at what systemd starts."""
    if not runs_systemd():
        advice = "let this machine's own start-up run ./wvr up"
        yield note("no systemd runs here: whether WVR starts again after a power cut can't be seen", advice)
    elif installed() or (not supervisor(settings.data) and with_docker()):
        yield ok("WVR starts again after a power cut")
    else:
        yield note("after a power cut WVR stays down", "./wvr autostart on")
