"""Wires ingest to its source, the clock and the broker."""

from datetime import datetime

from services.ingest.feed import Feed, NewestTick
from services.ingest.minutes import Minutes
from services.ingest.past import simulated_past
from services.ingest.rejected import RejectedLines
from services.ingest.service import Ingest
from services.ingest.sources import SOURCES
from services.ingest.spool import Spool
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.register import Register
from shared.runtime.run import run
from shared.settings import load_settings
from shared.store.history import History


def main() -> None:
    settings = load_settings()

    def now() -> datetime:
        return datetime.now(settings.zone)

    folder, days, megabytes = settings.data / "spool", settings.ingest.spool_days, settings.ingest.spool_mb
    spool = Spool(folder, settings.site.name, days, megabytes)
    history = History(settings.database, settings.zone, settings.site.name)
    newest = NewestTick(folder / "tick")
    minutes = Minutes(newest.read(), newest.keep)
    service = Ingest(
        settings.site.name,
        spool,
        settings.ingest.source,
        Register(settings.sensors, history.sensors),
        RejectedLines(settings.data / "rejected"),
        simulated_past(settings, now),
    )
    source = SOURCES[settings.ingest.source](settings)
    feed = Feed(source, settings.site.name, settings.zone, minutes, now, lambda: service.ahead, spool.placed)
    bus = MqttBus("ingest", settings)
    run(service, bus, feed, lambda: "; ".join(filter(None, (service.note, minutes.note))), service.keep)


if __name__ == "__main__":
    main()
