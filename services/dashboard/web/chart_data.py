"""The data of a chart, as static/charts.js draws it: panels above each other on one time axis.

Times are epoch milliseconds of the site's wall clock (`formats.chart_time`); None as a value makes a gap.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from starlette.responses import Response

Role = Literal["measured", "expected", "limit", "forecast", "usual", "compare", "minimum", "accent", "abnormal"]
"""Meaning of a series; the style sheet gives each a colour in light and dark (`--chart-ROLE`)."""
MarkKind = Literal["critical", "warning", "info", "works", "now"]


@dataclass(frozen=True)
class Series:
    """A line, points, bars or a band of one panel."""

    name: str
    """In the viewer's language, for legend and tooltip."""
    role: Role
    data: Sequence[Sequence[float | None]]
    """(time, value); for a band (time, low, high)."""
    shape: Literal["line", "step", "points", "bars", "band"] = "line"
    live: str = ""
    """`SENSOR.flow_rate` or `SENSOR.pressure`: new minutes of this sensor are appended."""

    def scaled(self, factor: float) -> Series:
        """Return the series in another unit."""
        if factor == 1.0:
            return self
        rows = [[row[0], *(None if value is None else value * factor for value in row[1:])] for row in self.data]
        return replace(self, data=rows)


@dataclass(frozen=True)
class Panel:
    """One value axis."""

    name: str
    unit: str
    series: Sequence[Series]
    digits: int = 1
    """Decimal places in the tooltip."""


@dataclass(frozen=True)
class Mark:
    """A span of the time axis; with equal ends a line."""

    start: int
    end: int
    label: str
    kind: MarkKind


@dataclass(frozen=True)
class Chart:
    """A chart; `start` and `end` are the ends of the time axis."""

    panels: Sequence[Panel]
    start: int
    end: int
    marks: Sequence[Mark] = ()
    zoom: bool = False
    """Whether wheel, touch and keyboard zoom and pan; the page receives the event `wvr:zoom` with start and end."""
    extra: dict[str, Any] = field(default_factory=dict)
    """For a view's own use."""

    def response(self) -> Response:
        """Return the chart as JSON."""
        text = json.dumps(self, default=vars, ensure_ascii=False, separators=(",", ":"))
        return Response(text, media_type="application/json", headers={"cache-control": "no-store"})
