"""A trained model, run by LiteRT; the only place of ai_edge_litert."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from shared.contract.messages import MAX_ABS_VALUE
from shared.domain.features import AHEAD_FEATURES, ENCODER_HOURS, ENCODER_STEP_HOURS, PAST_FEATURES, ModelInputs, Scaler
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats
from shared.models.manifest import ModelError, read_network

INPUT_SHAPES = [(1, ENCODER_HOURS // ENCODER_STEP_HOURS, PAST_FEATURES), (1, FORECAST_HOURS, AHEAD_FEATURES)]
OUTPUT_SHAPES = [(1, FORECAST_HOURS, 3)]
"""Shapes of what goes into a network and comes out of it."""
OP_RESOLVER = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
"""Without XNNPACK, which makes 0.1 ms of an answer's 0.3 but takes 0.8 MB a model."""
MAX_TENSOR_BYTES = 64_000_000
"""Bytes of all tensors; ours take 300,000."""
WARMUP_INPUTS = ModelInputs(
    np.zeros(INPUT_SHAPES[0][1:], np.float32),
    np.zeros(INPUT_SHAPES[1][1:], np.float32),
    np.zeros(FORECAST_HOURS),
    np.ones(FORECAST_HOURS),
)
"""What each network is asked before it serves."""


@dataclass(frozen=True)
class LiteRTModel:
    """One trained network, ready to answer."""

    id: str
    scaler: Scaler
    interpreter: Interpreter

    def predict(self, inputs: ModelInputs) -> Floats:
        """(169, 3) quantiles in usual deviations."""
        for entry in self.interpreter.get_input_details():
            wanted = inputs.past if tuple(entry["shape"][1:]) == inputs.past.shape else inputs.ahead
            self.interpreter.set_tensor(entry["index"], wanted[np.newaxis])
        self.interpreter.invoke()
        answered = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])
        return np.asarray(answered[0], dtype=np.float64)


def load_litert_model(folder: Path, checksum: str = "") -> LiteRTModel:
    """The model that a folder's manifest names, if a checksum is given the one that has it. Raises ModelError."""
    content, manifest = read_network(folder)
    if checksum and manifest["checksum"] != checksum:
        raise ModelError(f"{folder}: not the model that was announced")
    return load_litert_bytes(content, manifest["id"], _parse_scaler(folder, manifest["scaler"]))


def _parse_scaler(folder: Path, said: Any) -> Scaler:
    """The scaler of a manifest. Raises ModelError."""
    names = [field.name for field in fields(Scaler)]
    if not isinstance(said, dict) or sorted(said) != sorted(names):
        raise ModelError(f"{folder}: scaler: needs {', '.join(names)}")
    if not all(isinstance(said[name], (int, float)) and abs(said[name]) <= MAX_ABS_VALUE for name in names):
        raise ModelError(f"{folder}: scaler: these are not {len(names)} numbers: {str(said)[:200]}")
    numbers = {name: float(said[name]) for name in names}
    if not numbers["spread"] > 0:
        raise ModelError(f"{folder}: scaler: spread must be above 0")
    return Scaler(**numbers)


def load_litert_bytes(content: bytes, identity: str, scaler: Scaler) -> LiteRTModel:
    """A network of LiteRT as it lies in model.tflite. Raises ModelError."""
    try:
        interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=OP_RESOLVER)
        wanted, answered = (
            _float32_shapes(interpreter.get_input_details()),
            _float32_shapes(interpreter.get_output_details()),
        )
        if (wanted, answered) != (INPUT_SHAPES, OUTPUT_SHAPES):
            raise ModelError(
                f"{identity}: takes {wanted} and answers {answered}, not {INPUT_SHAPES} and {OUTPUT_SHAPES}"
            )
        if (size := _tensor_bytes(interpreter)) > MAX_TENSOR_BYTES:
            raise ModelError(f"{identity}: needs {size:,} bytes to work, more than {MAX_TENSOR_BYTES:,}")
        interpreter.allocate_tensors()
        model = LiteRTModel(identity, scaler, interpreter)
        model.predict(WARMUP_INPUTS)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{identity}: LiteRT can't run it: {error}") from error
    return model


def _tensor_bytes(interpreter: Interpreter) -> int:
    """What all tensors of a network take together."""
    graphs = range(interpreter.num_subgraphs())
    tensors = [one for graph in graphs for one in interpreter.get_tensor_details(graph)]
    return sum(math.prod(map(int, one["shape"])) * np.dtype(one["dtype"]).itemsize for one in tensors)


def _float32_shapes(details: Iterable[dict[str, Any]]) -> list[tuple[int, ...]]:
    """Shapes of the tensors, if they hold single-precision numbers."""
    return sorted(tuple(int(size) for size in one["shape"]) for one in details if one["dtype"] is np.float32)
