"""The examples in docs/explanation/ and in docstrings of the product run as shown."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from cli.bootstrap import ROOT

DOCUMENTS = [path for path in sorted((ROOT / "docs/explanation").glob("*.md")) if ">>> " in path.read_text("utf-8")]
MODULES = [
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for folder in ("shared", "services")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ">>> " in path.read_text("utf-8")
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_example_of_a_document_runs(document: Path) -> None:
    assert doctest.testfile(str(document), module_relative=False).failed == 0


@pytest.mark.parametrize("module", MODULES)
def test_example_of_a_module_runs(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert (results.failed, results.attempted > 0) == (0, True)
