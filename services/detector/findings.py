"""From the minute's flags to what they mean: which kind of anomaly, how bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.detector.channel import Checks, Gauge
from services.detector.memory import MINUTES
from services.detector.methods.drift import Shift
from services.detector.methods.night import BEGIN, END, Excess, Night
from services.detector.methods.units import looks_converted
from services.detector.sentences import Wording
from shared.contract.messages import Channel, Check, Kind, Method

NEAR = 0.7
"""Part of its limit below which a score is calm."""
HALF = 0.5
NOTHING = Excess(0.0, 0.0, 0, 0.0)
LARGE = 0.2
"""Part of the usual flow from which on an excess is critical."""


Severity = Literal["info", "warning", "critical"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong this minute."""

    key: str
    """Findings of one key are one anomaly."""
    channel: Channel
    method: Method
    kind: Kind
    severity: Severity
    value: float | None = None
    """In the channel's unit."""
    excess: float | None = None
    """Off the usual, in the channel's unit."""
    flow: float | None = None
    """Flow above the usual, m³/h."""
    doubt: float | None = None
    """Half the width of the interval that holds `flow` in nine of ten cases, m³/h."""
    since: int = 0
    """Minutes ago that it began, as far as can be told."""
    wording: Wording | None = None
    """Another sentence than that of the kind."""
    water: float | None = None
    """m³ since then, where `flow` has not been the same all the time."""


def key_of(channel: Channel, named: Kind | Wording) -> str:
    """Which findings an anomaly of this kind or wording goes on with."""
    if named in ("silence", "stuck", "out_of_range", "spike", "drift"):
        return f"{channel}.{named}"
    return {"clock": "clock", "leak": "night", "last_night": "last_night"}.get(named, "usual")


def findings(flow: Gauge, pressure: Gauge, flow_checks: Checks, pressure_checks: Checks, silence: int) -> list[Finding]:
    """What is wrong this minute, the clearest first."""
    found = []
    for gauge, (system, value_check, _) in ((flow, flow_checks), (pressure, pressure_checks)):
        fault = gauge.system.fault
        if fault and system.flag and gauge.system.tells(silence):
            value = gauge.system.last if fault != "silence" else None
            wording: Wording | None = "unit" if gauge.system.converted else None
            key = f"{gauge.channel}.{fault}"
            found.append(Finding(key, gauge.channel, "system", fault, "warning", value, wording=wording))
        elif value_check.flag and gauge.value.spiked:
            found.append(_spike(gauge))
    if flow.value.risen or (pressure.value.risen and _rises(flow, flow_checks[1])):
        found.append(_flow_value(flow, flow_checks[1]))
    elif pressure.value.risen:
        found.append(_pressure_value(flow, pressure, pressure_checks[1]))
    else:
        found += [
            _deviation(gauge)
            for gauge, checks in ((flow, flow_checks), (pressure, pressure_checks))
            if checks[2].flag and _unusual(checks[1])
        ][:1]
    return found


def drifting(gauge: Gauge, shift: Shift) -> Finding:
    """The finding of a meter whose level leaves the other's."""
    key = f"{gauge.channel}.drift"
    last = gauge.system.last
    return Finding(
        key, gauge.channel, "value", "step", "warning", last, shift.size, since=shift.minutes, wording="drift"
    )


def near(*checks: Check) -> bool:
    """Whether any score is not yet calm."""
    return any(check.flag is not None and (check.score or 0.0) >= NEAR * (check.limit or 0.0) for check in checks)


def _rises(flow: Gauge, check: Check) -> bool:
    """Whether flow is up, too, if not beyond its limit: what has lowered the pressure is then not the supplier's."""
    return check.flag is not None and flow.value.scales.up and _unusual(check)


def _unusual(value: Check) -> bool:
    """Whether the usual day doesn't explain a value either: a forecast that follows a burst misses what comes after."""
    return value.flag is None or (value.score or 0.0) >= HALF * (value.limit or 0.0)


def leak(night: Night, usual: float) -> Finding:
    """The finding of a night above its criterion; usual: the site's mean flow in m³/h."""
    size = night.excess or NOTHING
    severity: Severity = "critical" if size.flow >= LARGE * abs(usual) else "warning"
    since = size.nights * MINUTES
    return Finding(
        "night",
        "flow_rate",
        "night",
        "leak",
        severity,
        night.flow,
        size.flow,
        size.flow,
        size.doubt,
        since,
        water=size.water,
    )


def risen_last_night(night: Night, more: Excess) -> Finding:
    """The finding of a single night with more than those before."""
    size = (night.flow, more.flow, more.flow, more.doubt, MINUTES - BEGIN + END)
    return Finding("last_night", "flow_rate", "night", "step", "warning", *size, wording="last_night")


def _spike(gauge: Gauge) -> Finding:
    excess = gauge.value.spikes.excess
    value = (gauge.system.last or 0.0) + excess
    return Finding(f"{gauge.channel}.spike", gauge.channel, "value", "spike", "info", value, excess, since=1)


def _flow_value(flow: Gauge, check: Check) -> Finding:
    value, last = flow.value, flow.system.last
    excess = value.excess()
    severity = _severity(flow, excess, (check.score or 0.0) / (check.limit or 1.0))
    size = (last, excess, excess, value.doubt(), value.since())
    return Finding("usual", "flow_rate", "value", "step", severity, *size, wording=_unit(flow))


def _pressure_value(flow: Gauge, pressure: Gauge, check: Check) -> Finding:
    value = pressure.value
    excess = value.excess()
    kind: Kind = "step" if excess > 0.0 else "pressure_drop"
    ratio = (check.score or 0.0) / (check.limit or 1.0)
    more = flow.value.excess() if flow.value.residual == flow.value.residual else None
    return Finding(
        "usual",
        "pressure",
        "value",
        kind,
        _severity(flow, more or 0.0, ratio),
        pressure.system.last,
        excess,
        more,
        flow.value.doubt() if more is not None else None,
        value.since(),
        _unit(pressure) if kind == "step" else None,
    )


def _unit(gauge: Gauge) -> Wording | None:
    value, residual = gauge.system.last or 0.0, gauge.value.residual
    return "unit" if looks_converted(gauge.channel, value, value - residual) else None


def _deviation(gauge: Gauge) -> Finding:
    next(gauge.prediction.scales.beyond(), None)
    excess = gauge.prediction.excess()
    flow = excess if gauge.channel == "flow_rate" else None
    return Finding("usual", gauge.channel, "prediction", "deviation", "info", gauge.system.last, excess, flow)


def _severity(flow: Gauge, excess: float, ratio: float) -> Severity:
    return "critical" if excess >= LARGE * abs(flow.usual_mean) and ratio >= 1.5 else "warning"
