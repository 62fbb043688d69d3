"""Trained networks, run by LiteRT.

The only module that imports ai_edge_litert.
"""

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
"""Shapes of a network's inputs and outputs."""
OP_RESOLVER = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
"""Without XNNPACK, which saves 0.2 ms of the 0.3 ms of a prediction but takes 0.8 MB a model."""
MAX_TENSOR_BYTES = 64_000_000
"""Limit of all tensors of a network; a normal one takes 300,000 bytes."""
WARMUP_INPUTS = ModelInputs(
    np.zeros(INPUT_SHAPES[0][1:], np.float32),
    np.zeros(INPUT_SHAPES[1][1:], np.float32),
    np.zeros(FORECAST_HOURS),
    np.ones(FORECAST_HOURS),
)
"""Inputs of a trial prediction before a network is used."""


@dataclass(frozen=True)
class LiteRTModel:
    """A trained network, ready for predictions."""

    id: str
    scaler: Scaler
    interpreter: Interpreter

    def predict(self, inputs: ModelInputs) -> Floats:
        """Return quantiles (169, 3) in residual standard deviations."""
        for entry in self.interpreter.get_input_details():
            tensor = inputs.past if tuple(entry["shape"][1:]) == inputs.past.shape else inputs.ahead
            self.interpreter.set_tensor(entry["index"], tensor[np.newaxis])
        self.interpreter.invoke()
        output = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])
        return np.asarray(output[0], dtype=np.float64)


def load_litert_model(folder: Path, checksum: str = "") -> LiteRTModel:
    """Load the model of a folder's manifest. Raises ModelError when it is invalid or has another checksum, if given."""
    content, manifest = read_network(folder)
    if checksum and manifest["checksum"] != checksum:
        raise ModelError(f"{folder}: the checksum is not the announced one")
    return load_litert_bytes(content, manifest["id"], _parse_scaler(folder, manifest["scaler"]))


def _parse_scaler(folder: Path, entry: Any) -> Scaler:
    """Return the scaler of a manifest. Raises ModelError."""
    names = [field.name for field in fields(Scaler)]
    if not isinstance(entry, dict) or sorted(entry) != sorted(names):
        raise ModelError(f"{folder}: scaler: needs {', '.join(names)}")
    if not all(isinstance(entry[name], (int, float)) and abs(entry[name]) <= MAX_ABS_VALUE for name in names):
        raise ModelError(f"{folder}: scaler: expected {len(names)} numbers, got {str(entry)[:200]}")
    numbers = {name: float(entry[name]) for name in names}
    if not numbers["spread"] > 0:
        raise ModelError(f"{folder}: scaler: spread must be above 0")
    return Scaler(**numbers)


def load_litert_bytes(content: bytes, identity: str, scaler: Scaler) -> LiteRTModel:
    """Load a network from the content of model.tflite. Raises ModelError."""
    try:
        interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=OP_RESOLVER)
        inputs = _float32_shapes(interpreter.get_input_details())
        outputs = _float32_shapes(interpreter.get_output_details())
        if (inputs, outputs) != (INPUT_SHAPES, OUTPUT_SHAPES):
            raise ModelError(
                f"{identity}: takes {inputs} and returns {outputs}, expected {INPUT_SHAPES} and {OUTPUT_SHAPES}"
            )
        if (size := _tensor_bytes(interpreter)) > MAX_TENSOR_BYTES:
            raise ModelError(f"{identity}: its tensors need {size:,} bytes, more than {MAX_TENSOR_BYTES:,}")
        interpreter.allocate_tensors()
        model = LiteRTModel(identity, scaler, interpreter)
        model.predict(WARMUP_INPUTS)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{identity}: LiteRT can't run it: {error}") from error
    return model


def _tensor_bytes(interpreter: Interpreter) -> int:
    """Return the size of all tensors of a network."""
    graphs = range(interpreter.num_subgraphs())
    tensors = [tensor for graph in graphs for tensor in interpreter.get_tensor_details(graph)]
    return sum(math.prod(map(int, tensor["shape"])) * np.dtype(tensor["dtype"]).itemsize for tensor in tensors)


def _float32_shapes(details: Iterable[dict[str, Any]]) -> list[tuple[int, ...]]:
    """Return the shapes of the float32 tensors."""
    return sorted(tuple(int(size) for size in entry["shape"]) for entry in details if entry["dtype"] is np.float32)
