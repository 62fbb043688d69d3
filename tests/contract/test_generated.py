"""What is generated from the contract is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bootstrap import ROOT
from cli.contract import contents


@pytest.mark.parametrize("path", ["broker/acl", "docs/reference/asyncapi.json"])
def test_generated_files_are_what_the_code_declares(path: str) -> None:
    assert Path(ROOT / path).read_text(encoding="utf-8") == contents()[path], "write it again with ./wvr contract"
