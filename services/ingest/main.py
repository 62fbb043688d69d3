"""Wires ingest to its source, the clock and the broker."""

import uuid
from datetime import datetime

from services.ingest.feed import Feed, RejectedLines
from services.ingest.past import simulated_past
from services.ingest.service import Ingest
from services.ingest.sources import SOURCES
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.run import run
from shared.settings import load_settings


def main() -> None:
    settings = load_settings()

    def now() -> datetime:
        return datetime.now(settings.zone)

    service = Ingest(
        settings.site.name,
        uuid.uuid4().hex[:12],
        settings.ingest.source,
        settings.knows,
        RejectedLines(settings.data / "rejected"),
        simulated_past(settings, now()),
    )
    feed = Feed(SOURCES[settings.ingest.source](settings), settings.site.name, now, lambda: service.ahead)
    run(service, MqttBus("ingest", settings), feed)


if __name__ == "__main__":
    main()
