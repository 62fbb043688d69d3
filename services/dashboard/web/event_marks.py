"""Incidents and works as marks of a chart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from services.dashboard.queries.events import Event
from services.dashboard.queries.site_time import wall_seconds
from services.dashboard.web.chart_data import Mark, MarkKind
from services.dashboard.web.stored import StoredPage

LABELLED_SHARE = 0.07
"""A mark that is narrower than this share of the chart has no label; the list below the chart names all."""
NOW_SHARE = 0.01
"""The present is marked if more than this share of the chart lies behind it."""
MAX_MARKS = 100
"""The worst and longest incidents of a span are marked; the list below the chart has all."""
RANKS = {"critical": 0, "warning": 1, "info": 2}


def event_marks(stored: StoredPage, events: Iterable[Event], start: int, stop: int) -> Iterator[Mark]:
    """Yield the marks of [start, stop), epoch seconds, and the present if it is within."""
    ends = [(event, stored.present if event.cleared_at is None else event.cleared_at) for event in events]
    worst_first = sorted(ends, key=lambda item: (RANKS[item[0].severity], item[0].opened_at - item[1]))
    labelled: list[tuple[int, int]] = []
    for event, end in worst_first[:MAX_MARKS]:
        first, last = (min(max(at, start), stop) for at in (event.opened_at, end))
        is_labelled = last - first >= LABELLED_SHARE * (stop - start)
        is_labelled &= all(last <= other_first or first >= other_last for other_first, other_last in labelled)
        if is_labelled:
            labelled.append((first, last))
        label = stored.page.localized(event.label) if is_labelled else ""
        yield Mark(_wall(stored, first), _wall(stored, last), label, mark_kind(event))
    if start < stored.present < stop - NOW_SHARE * (stop - start):
        present = _wall(stored, stored.present)
        yield Mark(present, present, stored.page.text("history.now"), "now")


def mark_kind(event: Event) -> MarkKind:
    """Return how an event is drawn."""
    return "works" if event.is_works else event.severity


def _wall(stored: StoredPage, at: int) -> int:
    return wall_seconds(at, stored.database.zone) * 1000
