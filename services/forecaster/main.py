"""Wiring of the forecaster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from services.forecaster.service import Forecaster
from shared.models.litert import LiteRTModel, load_litert_model
from shared.models.manifest import ModelError
from shared.runtime.gap_recovery import with_gap_recovery
from shared.runtime.log import log
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.public_holidays import make_calendar
from shared.settings import load_settings
from shared.store.history import History


def make_model_loader(data: Path) -> Callable[..., LiteRTModel | None]:
    """None when there is no model, it can't serve, is not the announced one, or lies elsewhere than in data/output."""

    def load(path: str, checksum: str = "") -> LiteRTModel | None:
        try:
            folder = (data / path).resolve()
            if not folder.is_relative_to((data / "output").resolve()):
                raise ModelError(f"{path[:200]}: lies outside of data/output")
            return load_litert_model(folder, checksum) if folder.exists() else None
        except (ModelError, OSError, RuntimeError, ValueError) as error:
            log(Forecaster.name, str(error), logging.WARNING)
            return None

    return load


def main() -> None:
    settings = load_settings()
    past = History(settings.database, settings.zone, settings.site.name)
    holidays = make_calendar(settings.site.country)
    forecaster = Forecaster(settings.site.name, settings.zone, past, make_model_loader(settings.data), holidays)
    bus = MqttBus("forecaster", settings, past.sensors)
    run(with_gap_recovery(forecaster, past, forecaster.oldest_missing_output, lambda: bus.connections), bus)


if __name__ == "__main__":
    main()
