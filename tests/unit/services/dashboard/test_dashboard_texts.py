"""The catalogues of both languages have the same keys and placeholders."""

from __future__ import annotations

import re
import tomllib

import pytest

from cli.bootstrap import ROOT
from services.dashboard.views import MENU, VIEWS
from services.dashboard.web.texts import FOLDER, LANGUAGES, Language, Texts, load_catalogue, preferred_language

CATALOGUES = {language: load_catalogue(language) for language in LANGUAGES}
DASHBOARD = ROOT / "services/dashboard"
KEY = re.compile(r"""\b(?:t|text)\(\s*"([a-z_]+(?:\.[a-z_]+)+)"[,)]""")
"""A text with a literal key in a template or module."""


def placeholders(text: str) -> set[str]:
    """Return the names in braces."""
    return set(re.findall(r"\{(\w+)\}", text))


def test_both_languages_have_the_same_files_keys_and_placeholders() -> None:
    files = {language: {file.name for file in (FOLDER / language).iterdir()} for language in LANGUAGES}
    assert files["ko"] == files["en"]
    assert CATALOGUES["ko"].keys() == CATALOGUES["en"].keys()
    for key, korean in CATALOGUES["ko"].items():
        assert placeholders(korean) == placeholders(CATALOGUES["en"][key]), key


def test_no_text_is_empty_and_korean_ones_are_korean() -> None:
    hangul = re.compile(r"[가-힣]")
    for key, korean in CATALOGUES["ko"].items():
        english = CATALOGUES["en"][key]
        assert korean.strip(), key
        assert english.strip(), key
        assert not hangul.search(english), key
        assert hangul.search(korean) or korean == english, f"{key}: {korean}"


def test_every_view_has_a_title_and_every_menu_item_a_word() -> None:
    for name in VIEWS:
        assert f"{name}.title" in CATALOGUES["en"], name
        assert name not in MENU or f"{name}.menu" in CATALOGUES["en"], name


def test_every_key_in_templates_and_modules_exists() -> None:
    files = [*DASHBOARD.glob("templates/*.html"), *DASHBOARD.rglob("*.py")]
    used = {key for file in files for key in KEY.findall(file.read_text(encoding="utf-8"))}
    missing = used - CATALOGUES["en"].keys() - {"nights.title"}  # the example of views/__init__.py
    assert used
    assert missing == set()


def test_catalogues_hold_plain_texts_only() -> None:
    for language in LANGUAGES:
        for file in (FOLDER / language).glob("*.toml"):
            assert tomllib.loads(file.read_text(encoding="utf-8")), file
    assert Texts().text("en", "base.age_minutes", n=3) == "3 min ago"


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "ko"), ("en-US,en;q=0.9", "en"), ("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("de,en;q=0.5", "en"), ("de", "ko")],
)
def test_the_browser_chooses_the_language(header: str, language: Language) -> None:
    assert preferred_language(header) == language
