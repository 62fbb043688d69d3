"""Which lock files satisfy a command."""

from __future__ import annotations

import pytest

from cli.bootstrap import LOCKS, ROOT, SIDE_LOCKS, _locks_with


def packages(lock: str) -> set[str]:
    """Return the pinned packages of a lock file."""
    lines = (ROOT / f"requirements/{lock}.txt").read_text(encoding="utf-8").splitlines()
    return {line.split(" ")[0] for line in lines if "==" in line}


@pytest.mark.parametrize("lock", [*LOCKS, *SIDE_LOCKS])
def test_installed_lock_contains_what_a_command_needs(lock: str) -> None:
    for larger in _locks_with(lock):
        assert packages(lock) <= packages(larger), larger


def test_side_lock_serves_commands_of_the_core_only() -> None:
    assert "notifier" in _locks_with("core")
    assert "notifier" not in _locks_with("tables")
    assert _locks_with("notifier") == ("notifier", "local", "dev", "bench")
