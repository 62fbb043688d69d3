"""Generated files match the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bootstrap import ROOT
from cli.contract import contents

CONTENTS = contents()


@pytest.mark.parametrize("path", CONTENTS)
def test_generated_file_matches_the_code(path: str) -> None:
    assert Path(ROOT / path).read_text(encoding="utf-8") == CONTENTS[path], "regenerate it with ./wvr contract"
