"""A sensor that catches up is not silent."""

from __future__ import annotations

from shared.domain.pace import BEHIND, PATIENCE, Pace

NOW = 1_800_000_000


def test_what_lives_in_the_present_never_catches_up() -> None:
    pace = Pace()
    for minute in range(3):
        pace.hear(NOW + 60 * minute)
        pace.tick(NOW + 60 * minute)
        assert not pace.catches_up
    pace.tick(NOW + 10_000)
    assert not pace.catches_up


def test_a_backlog_may_stand_still_for_a_while() -> None:
    pace = Pace()
    pace.hear(NOW - BEHIND - 60)
    pace.tick(NOW)
    for _ in range(PATIENCE):
        assert pace.catches_up
        pace.tick(NOW)
    assert not pace.catches_up
