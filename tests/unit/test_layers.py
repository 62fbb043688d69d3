"""Who may import what: the table of docs/explanation/architecture.md, kept true."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.bootstrap import ROOT

CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "time_ns", "perf_counter", "sleep"}
FOREIGN = {"pydantic", "paho", "schedule", "peewee", "playhouse", "tensorflow", "keras", "ai_edge_litert"}
LOADING = {"load", "load_model", "load_weights", "from_pickle", "read_pickle", "eval", "exec"}
LEARNING = {"pandas", "sklearn", "joblib"}
ONLY_IN = {
    "tensorflow": ("services/trainer/network.py",),
    "keras": ("services/trainer/network.py",),
    "ai_edge_litert": ("shared/models/litert.py", "services/trainer/network.py"),
    "holidays": ("shared/runtime/public_holidays.py",),
    "pydantic": ("shared/contract/codec.py", "shared/settings.py"),
    "paho": ("shared/runtime/mqtt_bus.py", "shared/runtime/broker_probe.py"),
    "schedule": ("services/ingest/source_poller.py",),
    "peewee": ("shared/store/",),
    "playhouse": ("shared/store/",),
    "pandas": ("services/trainer/",),
    "sklearn": ("services/trainer/",),
    "joblib": ("services/trainer/",),
}
FILES = sorted(path for folder in ("shared", "services", "cli") for path in (ROOT / folder).rglob("*.py"))
PURE = [
    path for path in FILES if "shared/domain" in str(path) or (path.name == "service.py" and "services/" in str(path))
]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_package_is_imported_only_in_its_room(path: Path) -> None:
    for module in imported(path):
        rooms = ONLY_IN.get(module.split(".")[0])
        assert rooms is None or name(path).startswith(rooms), f"{module} belongs to {rooms}"


@pytest.mark.parametrize("path", PURE, ids=name)
def test_services_and_domain_know_neither_clock_nor_effects(path: Path) -> None:
    modules = set(imported(path))
    assert not {
        module for module in modules if module.split(".")[0] in FOREIGN | LEARNING | {"time", "os", "subprocess"}
    }
    assert not {module for module in modules if module.startswith(("shared.store", "shared.runtime.mqtt_bus"))}
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in CLOCKS]


@pytest.mark.parametrize("path", [path for path in FILES if "/shared/" in str(path)], ids=name)
def test_what_is_shared_knows_no_service(path: Path) -> None:
    assert not [module for module in imported(path) if module.startswith(("services", "cli"))]


@pytest.mark.parametrize("path", [path for path in FILES if "/services/" in str(path)], ids=name)
def test_no_service_knows_another(path: Path) -> None:
    own = name(path).split("/")[1]
    others = [module for module in imported(path) if module.startswith("services.") and module.split(".")[1] != own]
    assert not others


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_that_can_carry_code_is_ever_loaded(path: Path) -> None:
    """scaler.joblib and model.keras are for people; manifest.json has the numbers, and model.tflite its checksum."""
    modules = {module.split(".")[0] for module in imported(path)}
    assert not modules & {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    called = {ast.unparse(call.func) for call in calls}
    own = {"self.load_model"}  # the forecaster's
    assert not {one for one in called if one.split(".")[-1] in LOADING} - own
    assert not [word for call in calls for word in call.keywords if word.arg == "allow_pickle"]
