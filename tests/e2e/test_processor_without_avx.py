"""A processor without AVX: doctor's check, the trainer's message and a LiteRT forecast under qemu-user."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

QEMU = shutil.which("qemu-x86_64")
pytestmark = pytest.mark.skipif(QEMU is None, reason="qemu-x86_64 is missing: apt-get install qemu-user")
SITE = '[site]\nname = "site1"\n'
DOCTOR = """
from cli.doctor_checks import models
from shared.settings import load_settings
for finding in models.check(load_settings()):
    print(finding.state, finding.what)
"""
TRAINER = """
import services.trainer.main as main
from shared.contract.messages import Progress, Status
class Bus:
    connections = 0
    def __init__(self, name, settings): pass
def run(trainer, bus, problems):
    for message in trainer.start():
        print(type(message).__name__, message.text.en)
    print([problem.code for problem in problems()])
main.MqttBus, main.run = Bus, run
main.main()
"""
MAKE_NETWORK = """
import sys, pathlib
import numpy as np
from services.trainer import network
weights = np.zeros((169, network.ENSEMBLE_SIZE + 2, 3), np.float32)
pathlib.Path(sys.argv[1]).write_bytes(network.to_litert(network.build_model(), weights))
"""
FORECAST = """
import sys, pathlib
import numpy as np
from shared.domain.features import Scaler
from shared.models.litert import WARMUP_INPUTS, load_litert_bytes
model = load_litert_bytes(pathlib.Path(sys.argv[1]).read_bytes(), "m", Scaler(10.0, 5.0))
quantiles = model.predict(WARMUP_INPUTS)
print(quantiles.shape, bool(np.isfinite(quantiles).all()))
"""


def on_old_processor(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program on an emulated Nehalem (2008, without AVX)."""
    (folder / "site.toml").write_text(SITE, encoding="ascii")
    variables = {"WVR_DATA": str(folder), "WVR_SITE_FILE": str(folder / "site.toml"), "PYTHONPATH": ".", "LANG": "C"}
    command = [str(QEMU), "-cpu", "Nehalem", sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)


def test_doctor_says_that_no_model_can_be_trained(tmp_path: Path) -> None:
    result = on_old_processor(tmp_path, DOCTOR)
    assert result.stdout.startswith("note this machine's processor has no AVX, which TensorFlow needs"), result.stderr


def test_trainer_says_it_and_goes_on(tmp_path: Path) -> None:
    result = on_old_processor(tmp_path, TRAINER)
    assert "no model can be trained here" in result.stdout, result.stderr
    assert result.stdout.endswith("['processor_without_avx']\n")
    assert result.returncode == 0
    events = [json.loads(line).get("event") for line in result.stdout.splitlines() if line.startswith("{")]
    assert "training_impossible" in events


@pytest.mark.full
def test_existing_model_forecasts(tmp_path: Path) -> None:
    network = str(tmp_path / "network")
    subprocess.run([sys.executable, "-c", MAKE_NETWORK, network], check=True, capture_output=True)
    result = on_old_processor(tmp_path, FORECAST, network)
    assert result.stdout == "(169, 3) True\n", result.stderr


@pytest.mark.full
def test_tensorflow_really_ends_without_a_word(tmp_path: Path) -> None:
    assert on_old_processor(tmp_path, "import tensorflow").returncode != 0
