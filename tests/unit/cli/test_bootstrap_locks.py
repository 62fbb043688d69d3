"""Which lock files satisfy a command."""

from __future__ import annotations

import pytest

from cli.bootstrap import LOCKS, ROOT


def packages(lock: str) -> set[str]:
    """Return the pinned packages of a lock file."""
    lines = (ROOT / f"requirements/{lock}.txt").read_text(encoding="utf-8").splitlines()
    return {line.split(" ")[0] for line in lines if "==" in line}


@pytest.mark.parametrize(("lock", "part"), [(lock, part) for lock, parts in LOCKS.items() for part in parts])
def test_a_lock_file_contains_the_packages_of_its_parts(lock: str, part: str) -> None:
    assert packages(part) <= packages(lock)
