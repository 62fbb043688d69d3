"""Loads models from the data folder for the forecaster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from shared.models.litert import LiteRTModel, load_litert_model
from shared.models.manifest import ModelError
from shared.runtime.log import log


def make_model_loader(data: Path) -> Callable[..., LiteRTModel | None]:
    """Return a function that loads the model in a folder relative to `data`.

    It returns None when there is no model, the model is invalid or has another checksum, or the folder lies outside
    of data/output.
    """

    def load(path: str, checksum: str = "") -> LiteRTModel | None:
        try:
            folder = (data / path).resolve()
            if not folder.is_relative_to((data / "output").resolve()):
                raise ModelError(f"{path[:200]}: lies outside of data/output")
            return load_litert_model(folder, checksum) if folder.exists() else None
        except (ModelError, OSError, RuntimeError, ValueError) as error:
            log("forecaster", "model_rejected", logging.WARNING, reason=str(error))
            return None

    return load
