"""The settings that the last start applied: a running service ends itself when another start has applied others.

Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

POLL_SECONDS = 5.0
SETTLE_SECONDS = 15.0
"""Time for `./wvr up` to restart the services. One that ends while Compose waits for it fails the start."""


def applied_file(data: Path) -> Path:
    """Return the file that names what the last start applied: a line `name digest` for each part."""
    return data / "run/applied"


def describe(site_file: Path, access_list: Path, version: str) -> str:
    """Return the content of that file for these parts. A missing site.toml is an empty one."""
    site = site_file.read_bytes() if site_file.exists() else b""
    digests = {"site.toml": site, "acl": access_list.read_bytes()}
    lines = [f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in digests.items()]
    return "".join([*lines, f"version {version}\n"])


def read_applied(data: Path) -> str:
    """Return the content of the file; empty if nothing was applied yet."""
    try:
        return applied_file(data).read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def changed_parts(before: str, after: str) -> list[str]:
    """Return the names of the parts that differ."""
    old, new = _digests(before), _digests(after)
    return [name for name in new if old.get(name) != new[name]]


def watch_applied(
    on_change: Callable[[list[str]], None], poll_seconds: float = POLL_SECONDS, settle_seconds: float = SETTLE_SECONDS
) -> None:
    """Call `on_change` once, in a thread of its own, with the changed parts after another start has applied others."""
    data = Path(os.environ.get("WVR_DATA", "data"))
    before = read_applied(data)

    def watch() -> None:
        while not (parts := changed_parts(before, read_applied(data))):
            waiting.wait(poll_seconds)
        waiting.wait(settle_seconds)
        on_change(parts)

    waiting = threading.Event()
    threading.Thread(target=watch, name="applied settings", daemon=True).start()


def _digests(text: str) -> Mapping[str, str]:
    return {name: digest for name, _, digest in (line.partition(" ") for line in text.splitlines())}
