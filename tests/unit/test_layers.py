"""Allowed imports of every file, as in the table of docs/explanation/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from cli.bootstrap import ROOT

CLOCK_CALLS = {"now", "utcnow", "today", "time", "monotonic", "time_ns", "perf_counter", "sleep"}
LOADING_CALLS = {"load", "load_model", "load_weights", "from_pickle", "read_pickle", "eval", "exec"}
"""Calls that may run code from a file."""
CODE_FORMATS = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
ALLOWED_FOLDERS = {
    "tensorflow": ("services/trainer/network.py",),
    "keras": ("services/trainer/network.py",),
    "ai_edge_litert": ("shared/models/litert.py", "services/trainer/network.py"),
    "holidays": ("shared/runtime/public_holidays.py",),
    "pydantic": (
        "shared/contract/codec.py",
        "shared/settings/",
        "cli/reference.py",
        "services/notifier/state_file.py",
        "services/notifier/message_queue.py",
    ),
    "apprise": ("services/notifier/apprise_sender.py",),
    "paho": ("shared/runtime/mqtt_bus.py", "shared/runtime/broker_probe.py"),
    "schedule": ("services/ingest/source_poller.py",),
    "peewee": ("shared/store/",),
    "playhouse": ("shared/store/",),
    "pandas": ("services/trainer/", "services/ingest/tables/table_rows.py"),
    "charset_normalizer": ("services/ingest/tables/encoding.py",),
    "sklearn": ("services/trainer/",),
    "joblib": ("services/trainer/",),
    "starlette": ("services/dashboard/",),
    "uvicorn": ("services/dashboard/main.py",),
    "jinja2": ("services/dashboard/web/page.py",),
    "markupsafe": ("services/dashboard/web/",),
    "argon2": ("services/dashboard/web/access.py",),
    "itsdangerous": ("services/dashboard/web/access.py",),
    "limits": ("services/dashboard/web/access.py",),
}
"""Package to the files or folders that may import it."""
ALLOWED_LAYERS = {
    "shared/contract": {"shared.contract", "shared.version"},
    "shared/domain": {"shared.domain", "shared.contract"},
    "shared/runtime": {"shared.runtime", "shared.contract", "shared.domain", "shared.settings", "shared.version"},
    "shared/store": {"shared.store", "shared.contract", "shared.domain", "shared.runtime"},
    "shared/models": {"shared.models", "shared.contract", "shared.domain", "shared.runtime"},
}
"""Folder to the packages of WVR that it may import."""
FILES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for folder in ("shared", "services", "cli")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every module that a file imports, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_pure(name: str) -> bool:
    """Return whether a file may use neither clock nor I/O: the domain and each service's logic."""
    return name.startswith("shared/domain/") or (name.startswith("services/") and Path(name).name == "service.py")


def test_packages_are_imported_only_where_allowed() -> None:
    violations = [
        f"{name} imports {module}"
        for name, tree in FILES.items()
        for module in imported(tree)
        if not name.startswith(ALLOWED_FOLDERS.get(module.split(".")[0], ("",)))
    ]
    assert violations == []


def test_services_and_domain_use_neither_clock_nor_io() -> None:
    forbidden = {*ALLOWED_FOLDERS, "time", "os", "subprocess", "shared.store"} - {"holidays"}
    for name, tree in FILES.items():
        if is_pure(name):
            modules = {module.split(".")[0] for module in imported(tree)} | {
                ".".join(module.split(".")[:2]) for module in imported(tree)
            }
            assert modules & forbidden == set(), name
            calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            clocks = {call.attr for call in calls if isinstance(call, ast.Attribute)} & CLOCK_CALLS
            assert clocks == set(), name


def test_each_layer_imports_only_the_layers_below_it() -> None:
    for name, tree in FILES.items():
        folder = "/".join(name.split("/")[:2])
        own = {module for module in imported(tree) if module.startswith(("shared.", "services.", "cli."))}
        packages = {".".join(module.split(".")[:2]) for module in own}
        if folder in ALLOWED_LAYERS:
            assert packages <= ALLOWED_LAYERS[folder], name
        elif name.startswith("services/"):
            service = f"services.{name.split('/')[1]}"
            assert {package for package in packages if not package.startswith("shared.")} <= {service}, name


def test_no_file_that_can_contain_code_is_loaded() -> None:
    """scaler.joblib and model.keras are for people; WVR reads manifest.json, and model.tflite after its checksum."""
    for name, tree in FILES.items():
        assert {module.split(".")[0] for module in imported(tree)} & CODE_FORMATS == set(), name
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        called = {ast.unparse(call.func).split(".")[-1] for call in calls}
        assert called & LOADING_CALLS == set(), name
        assert not [keyword for call in calls for keyword in call.keywords if keyword.arg == "allow_pickle"], name
