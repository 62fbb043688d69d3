"""Tables of site.toml: the site, its sensors, and what the services do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from shared.contract.messages import MAX_SENSORS, Channel, Name
from shared.domain.value_ranges import Bounds
from shared.settings.section import Minutes, Section


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; for Korea write 'Asia/Seoul'") from None
    return name


def _country(code: str) -> str:
    # Imported only for a country that is set: services that need no holidays must not load the package.
    from shared.runtime.public_holidays import is_supported

    if not is_supported(code):
        raise ValueError(
            f"no public holidays are known for {code!r}; for Korea write 'KR', for a region such as Trieste 'IT-TS'"
        )
    return code


class Site(Section):
    """The site."""

    name: Name = "site1"
    """Name of the site in topics and tables."""
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Seoul"
    """Time zone of files, views and nights (IANA name)."""
    country: Annotated[str, AfterValidator(_country)] = "KR"
    """ISO 3166 code of the country or region whose public holidays count as Sundays."""


Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
"""A month such as "2026-03"."""


class Dma(Section):
    """Facts of the district metered area, for the monthly report."""

    name: str = Field("", max_length=200)
    """Name of the area in reports; empty: the name of the site."""
    connections: int | None = Field(None, ge=1)
    """Service connections."""
    mains_km: float | None = Field(None, gt=0)
    """Length of the mains, km."""
    night_use_m3h: float = Field(0.0, ge=0)
    """Legitimate night use, m³/h: what customers draw in the hour of minimum night flow."""
    billed_m3: dict[Month, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Billed volume by month, m³, such as `"2026-03" = 12345`; it gives the revenue water ratio."""


class Range(Section):
    """What a meter can show. A value outside is a meter fault."""

    min: float | None = None
    """Lowest value, m³/h or bar."""
    max: float | None = None
    """Highest value, m³/h or bar."""

    def model_post_init(self, _: object) -> None:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min} must be below max {self.max}")

    @property
    def bounds(self) -> Bounds:
        """Return the lowest and the highest value."""
        return -1e300 if self.min is None else self.min, 1e300 if self.max is None else self.max


class Meter(Range):
    """One channel of a sensor: its range, and how often it gives a value."""

    every: Minutes | None = None
    """Interval of the values, such as "15m". Without it, the interval is learned from the values."""
    late: Minutes | None = None
    """Time without a value after which the alarm `silence` opens, such as "26h". Without it, it is learned."""


class Sensor(Section):
    """One sensor. With any such table, only named sensors are accepted."""

    flow_rate: Meter = Meter(min=0.0)
    """The flow meter, m³/h."""
    pressure: Meter = Meter(min=0.0)
    """The pressure gauge, bar."""

    every: Minutes | None = None
    """Interval of the readings, such as "15m", for both channels."""
    late: Minutes | None = None
    """Time without a reading after which the alarm `silence` opens, such as "26h", for both channels."""

    def meter(self, channel: Channel) -> Meter:
        """Return the settings of a channel, with those of the sensor where it has none."""
        meter = self.flow_rate if channel == "flow_rate" else self.pressure
        return meter.model_copy(update={"every": meter.every or self.every, "late": meter.late or self.late})

    @property
    def bounds(self) -> tuple[Bounds, Bounds]:
        """Return the bounds of flow rate and pressure."""
        return self.flow_rate.bounds, self.pressure.bounds


class Ingest(Section):
    """Where readings come from."""

    source: Literal["simulator", "file"] = "simulator"
    """`simulator` shows a simulated site; `file`, or a `[source.NAME]` with `files`, follows files in data/sensor/."""
    files: str = Field("*.csv", pattern=r"^[^/]+$")
    """Pattern of the names of files that the source `file` follows, if no `[source.NAME]` table has one."""
    spool_days: float = Field(2.0, gt=0, le=365)
    """Days for which stored readings stay in the spool, to fill a database that is restored from a backup."""
    spool_mb: float = Field(200.0, ge=10, le=100_000)
    """Limit of the spool, MB. Beyond it, the oldest readings are dropped, stored or not."""


ColumnKey = Annotated[str, Field(pattern=r"^(time|date|clock|sensor|quality|([^ /+#,;]+\.)?(flow_rate|pressure))$")]
"""What a column holds."""
UnitKey = Annotated[str, Field(pattern=r"^([^ /+#,;]+\.)?(flow_rate|pressure)$")]
"""A channel, of all sensors or of one."""


class FileTable(Section):
    """Files with readings, and their form where they don't settle it; also for `./wvr import` and `./wvr replay`."""

    kind: Literal["file"] = "file"
    """Kind of the source."""
    files: str = Field("", pattern=r"^[^/]*$")
    """Pattern of the names of files in data/sensor/ and the folders below it that are followed; empty: none."""
    after: Literal["keep", "archive", "delete"] = "keep"
    """What becomes of a file that was read to its end, once a newer one is there. The archive is data/archive/."""
    columns: dict[ColumnKey, str] = Field(default_factory=dict)
    """What a column holds to its title, or to its position from 1 in a file without a header."""
    units: dict[UnitKey, str] = Field(default_factory=dict)
    """Unit of a channel, `flow_rate`, or of a sensor's channel, `"001.flow_rate"`, where the title names none."""
    dates: Literal["", "year first", "day first", "month first"] = ""
    """Order of day, month and year; empty: as the file settles it."""
    decimal: Literal["", ".", ","] = ""
    """Decimal sign; empty: as the file settles it."""
    missing: tuple[str, ...] = ()
    """Texts or numbers in place of a missing value, besides the known ones."""
    good: tuple[str, ...] = ()
    """Marks of good values in the column of quality; all others are bad. Empty: the known ones."""


class Simulator(Section):
    """The simulated site."""

    seed: int = Field(1, ge=0)
    """Seed of the random numbers. The same seed gives the same site."""
    sensors: tuple[Name, ...] = Field(("001",), min_length=1, max_length=MAX_SENSORS)
    """Names of the simulated sensors."""
    mean_flow: float = Field(60.0, gt=0, le=1e6)
    """Mean flow rate, m³/h."""
    mean_pressure: float = Field(4.0, gt=0, le=1e6)
    """Mean pressure, bar."""
    history_days: int = Field(365, ge=0, le=1100)
    """Days of history that the first start creates."""


class Detection(Section):
    """The checks of readings."""

    false_alarms_per_week: float = Field(0.5, gt=0, le=20)
    """False-alarm budget of a sensor that the limits are set for."""
    silence_minutes: int = Field(10, ge=2, le=1440)
    """Minutes without a reading after which the alarm `silence` opens."""
    stuck_minutes: int = Field(180, ge=10, le=2880)
    """Shortest run of one value, minutes, that is `stuck`. Coarse meters learn a longer one."""


class Training(Section):
    """The training of forecast models."""

    automatic: bool = True
    """Train at the trainer's start, each year, after an import and after a rejected challenger."""
    min_days: int = Field(35, ge=21, le=730)
    """Days of readings that a training needs."""
    month: int = Field(1, ge=1, le=12)
    """Month of the yearly training, on its first day at 03:00."""
    epochs: int = Field(10, ge=1, le=500)
    """Passes through the training data, at most."""
    seed: int = Field(1, ge=0)
    """Seed of the training. The same data and seed give the same model."""


Horizons = Annotated[tuple[Annotated[int, Field(ge=0, le=168)], ...], Field(max_length=169)]


class Store(Section):
    """The database."""

    retention_days: int = Field(365, ge=35, le=3650)
    """Days after which minute rows, forecasts and scores are deleted."""
    horizons: Horizons = (0, 1, 24, 48, 72, 96, 120, 144, 168)
    """Horizons, hours, that are kept of forecasts older than the newest."""


class Reporter(Section):
    """The text files for receivers."""

    horizons_hours: Horizons = (24, 48, 72, 96, 120, 144, 168)
    """Horizons, hours, of the forecast columns in server.txt."""
    repeated_column: bool = False
    """A last column in alert.txt and server.txt: 1 where the values of a slow sensor repeat its newest reading."""
    outbox_days: int = Field(7, ge=1, le=365)
    """Days for which blocks of server.txt stay in the outbox."""


class Display(Section):
    """How the dashboard shows values and numbers. Files, messages, alarm texts and losses stay in m³/h and bar."""

    flow_rate: Literal["m3/h", "l/s", "m3/day"] = "m3/h"
    """Unit of the flow rate."""
    pressure: Literal["bar", "kPa", "MPa", "kgf/cm2", "m", "psi"] = "bar"
    """Unit of the pressure."""
    decimal: Literal[".", ","] = "."
    """Decimal sign; thousands have the other one."""


class DashboardSection(Section):
    """The dashboard; set by the environment only."""

    bind: str = "127.0.0.1"
    """Address that the dashboard listens on. Beyond loopback it needs a password: `./wvr password`."""
    port: int = Field(8080, ge=1, le=65_535)
    """Port of the dashboard."""
    published: str = ""
    """In a container, the address of the host at which the dashboard is reached; empty: `bind`."""


class Broker(Section):
    """The broker; set by the environment only."""

    host: str = "127.0.0.1"
    """Address of the broker."""
    port: int = Field(1883, ge=1, le=65_535)
    """Port without TLS."""
    tls_port: int = Field(8883, ge=1, le=65_535)
    """Port with TLS; used with certificates in data/secrets/tls/."""
    ca: Path | None = None
    """Certificate of the authority that signed the broker's. With it, services and commands connect by TLS."""

    @property
    def connect_port(self) -> int:
        """Return the port that services and commands connect to."""
        return self.tls_port if self.ca else self.port
