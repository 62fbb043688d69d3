"""Wire ingest to its source, the clock and the broker."""

from contextlib import suppress
from datetime import datetime

from services.ingest.dead_letters import DeadLetterFiles
from services.ingest.initial_history import initial_history
from services.ingest.service import Ingest
from services.ingest.source_poller import SourcePoller, TickFile
from services.ingest.sources.registry import SOURCES
from services.ingest.spool import Spool
from services.ingest.tick_clock import TickClock
from shared.contract.service import Unavailable
from shared.contract.status_codes import Problem
from shared.domain.reading_clock import ReadingClock
from shared.domain.series import MINUTE, NO_READINGS, Series
from shared.runtime.log import start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import load_settings
from shared.store.history import History


def main() -> None:
    settings = load_settings()
    start_logging(settings.zone)

    def now() -> datetime:
        return datetime.now(settings.zone)

    folder, days, megabytes = settings.data / "spool", settings.ingest.spool_days, settings.ingest.spool_mb
    spool = Spool(folder, settings.site.name, days, megabytes)
    history = History(settings.database, settings.zone, settings.site.name)

    def stored(sensor: str, start: int, stop: int) -> Series:
        """Return stored readings; none while the database can't be read: db_writer keeps the first values anyway."""
        try:
            return history.readings(sensor, start, stop)
        except Unavailable:
            return NO_READINGS

    tick_file = TickFile(folder / "tick")
    tick_clock = TickClock(tick_file.read(), tick_file.save)
    now_minute = tick_clock.last if tick_clock.last is not None else int(now().timestamp()) // MINUTE

    def newest_stored(sensor: str) -> int | None:
        with suppress(Unavailable):
            stored_range = history.reading_range(sensor)
            return stored_range[1] // MINUTE if stored_range else None
        return None

    service = Ingest(
        settings.site.name,
        spool,
        settings.live_source,
        SensorRegistry(settings.sensors, history.sensors),
        DeadLetterFiles(settings.data / "rejected"),
        initial_history(settings, now),
        ReadingClock(now_minute, newest_stored),
        stored,
    )
    source = SOURCES[settings.live_source](settings, history.sensors())
    poller = SourcePoller(
        source,
        settings.site.name,
        settings.zone,
        tick_clock,
        now,
        lambda: service.in_flight,
        spool.on_position_committed,
        lambda: not service.is_holding,
    )
    bus = MqttBus("ingest", settings)

    def problems() -> list[Problem]:
        return [problem for problem in (spool.problem, tick_clock.problem) if problem]

    run(service, bus, poller, problems, service.flush_minute)


if __name__ == "__main__":
    main()
