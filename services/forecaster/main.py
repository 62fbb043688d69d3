"""Wiring of the forecaster."""

from __future__ import annotations

from services.forecaster.service import Forecaster
from shared.models.loader import make_model_loader
from shared.runtime.gap_recovery import with_gap_recovery
from shared.runtime.log import start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.public_holidays import make_calendar
from shared.settings import load_settings
from shared.store.history import History


def main() -> None:
    settings = load_settings()
    start_logging(settings.zone)
    history = History(settings.database, settings.zone, settings.site.name, settings.value_ranges)
    holidays = make_calendar(settings.site.country)
    forecaster = Forecaster(
        settings.site.name, settings.zone, history, make_model_loader(settings.data), holidays, settings.value_ranges
    )
    bus = MqttBus("forecaster", settings, history.sensors)
    run(with_gap_recovery(forecaster, history, forecaster.oldest_missing_output, lambda: bus.connections), bus)


if __name__ == "__main__":
    main()
