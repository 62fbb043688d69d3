"""Every status code has a meaning and an action, and every text of a problem exists in both languages."""

from __future__ import annotations

import re
from string import Formatter
from typing import get_args

from cli.bootstrap import ROOT
from shared.contract.messages import StatusCode
from shared.contract.status_codes import STATUS_CODES, STATUS_TEXTS, problem, summary

SOURCE_FILES = sorted(path for folder in ("shared", "services") for path in (ROOT / folder).rglob("*.py"))
USED_KEY = re.compile(r'problem\(\s*"(\w+)"|"(\w+)" if .* else "(\w+)"')


def placeholders(text: str) -> set[str]:
    """Return the field names of a format string, with `span_ko` as `span`."""
    return {(field or "").removesuffix("_ko") for _, field, _, _ in Formatter().parse(text) if field}


def test_every_code_has_a_meaning_and_an_action() -> None:
    assert set(STATUS_CODES) == set(get_args(StatusCode))
    for info in STATUS_CODES.values():
        assert all((info.meaning.ko, info.meaning.en, info.action.ko, info.action.en))


def test_every_code_but_ok_has_a_text() -> None:
    assert {code for code, _, _ in STATUS_TEXTS.values()} == set(get_args(StatusCode)) - {"ok"}


def test_both_languages_show_the_same_values() -> None:
    for key, (_, korean, english) in STATUS_TEXTS.items():
        assert placeholders(korean) == placeholders(english), key


def test_every_text_is_used_and_every_used_text_exists() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE_FILES)
    assert {key for key in STATUS_TEXTS if f'"{key}"' not in source.replace(f'    "{key}": (', "")} == set()
    used = {key for groups in USED_KEY.findall(source) for key in groups[:1] if key}
    assert used <= set(STATUS_TEXTS)


def test_summary_has_the_first_code_and_all_texts() -> None:
    code, note = summary([problem("disk_full"), problem("busy", seconds=12)])
    assert code == "database_full"
    assert note.en.endswith("; busy for 12 s")
    assert summary([])[0] == "ok"
