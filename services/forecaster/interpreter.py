"""A trained model, run by LiteRT; the only place of ai_edge_litert."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from services.forecaster.manifest import ModelError, read_model
from shared.domain.features import Inputs, Scaler
from shared.domain.series import Floats


@dataclass(frozen=True)
class LiteModel:
    """One trained network, ready to answer."""

    id: str
    scaler: Scaler
    interpreter: Interpreter

    def answer(self, inputs: Inputs) -> Floats:
        """(169, 3) quantiles in scales of the residual."""
        for entry in self.interpreter.get_input_details():
            wanted = inputs.past if "past" in entry["name"] else inputs.ahead
            self.interpreter.set_tensor(entry["index"], wanted[np.newaxis])
        self.interpreter.invoke()
        answered = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])
        return np.asarray(answered[0], dtype=np.float64)


def open_model(folder: Path) -> LiteModel:
    """The model that a folder's manifest names. Raises ModelError."""
    content, manifest = read_model(folder)
    try:
        scaler = Scaler(**manifest["scaler"])
    except TypeError as error:
        raise ModelError(f"{folder}: scaler: {error}") from error
    return open_content(content, manifest["id"], scaler)


def open_content(content: bytes, identity: str, scaler: Scaler) -> LiteModel:
    """A network of LiteRT as it lies in model.tflite. Raises ModelError."""
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{identity}: LiteRT can't open it: {error}") from error
    return LiteModel(identity, scaler, interpreter)
