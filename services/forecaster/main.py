"""Wiring of the forecaster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from services.forecaster.interpreter import LiteModel, open_model
from services.forecaster.manifest import ModelError
from services.forecaster.service import Forecaster
from shared.runtime.log import log
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.run import run
from shared.runtime.unbroken import unbroken
from shared.settings import load_settings
from shared.store.history import History


def loader(data: Path) -> Callable[[str], LiteModel | None]:
    """Opens the model in a folder given relative to the data folder; None when there is none or it can't serve."""

    def load(path: str) -> LiteModel | None:
        if not (data / path).exists():
            return None
        try:
            return open_model(data / path)
        except ModelError as error:
            log(Forecaster.name, str(error), logging.WARNING)
            return None

    return load


def main() -> None:
    settings = load_settings()
    past = History(settings.database, settings.zone, settings.site.name)
    forecaster = Forecaster(settings.site.name, settings.zone, past, loader(settings.data))
    run(unbroken(forecaster, past.mark, lambda: None, past.whole), MqttBus("forecaster", settings, past.sensors))


if __name__ == "__main__":
    main()
