"""Catalogues of texts: texts/LANGUAGE/VIEW.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, get_args

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
FOLDER = Path(__file__).parent.parent / "texts"


def load_catalogue(language: Language) -> dict[str, str]:
    """Return "view.key" to text; a table in a file adds a level: "view.table.key"."""
    return {
        key: text
        for file in sorted((FOLDER / language).glob("*.toml"))
        for key, text in _flat(file.stem, tomllib.loads(file.read_text(encoding="utf-8")))
    }


def _flat(prefix: str, values: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        item
        for key, value in values.items()
        for item in (_flat(f"{prefix}.{key}", value) if isinstance(value, dict) else [(f"{prefix}.{key}", str(value))])
    ]


class Texts:
    """All catalogues."""

    def __init__(self) -> None:
        self._catalogues = {language: load_catalogue(language) for language in LANGUAGES}

    def text(self, language: Language, key: str, **values: object) -> str:
        """Return the text of a key such as "now.title" with its values. Raises KeyError for an unknown key."""
        return self._catalogues[language][key].format(**values)


def preferred_language(header: str) -> Language:
    """Return the first known language of an Accept-Language header, else Korean."""
    for part in header.split(","):
        code = part.split(";")[0].strip()[:2].lower()
        if code in LANGUAGES:
            return "ko" if code == "ko" else "en"
    return "ko"
