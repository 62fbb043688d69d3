"""Parses numbers as people and spreadsheets write them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from services.ingest.sources.parser import parse_value
from services.ingest.sources.timestamps import LineError

MISSING_WORDS = frozenset(
    """- -- --- bad badinput n/a #n/a na #na null nan -nan none nodata novalue error err #error #value!
    #ref! #div/0! #num! #name? #null! i/otimeout commfail commerror offline off-line ? invalid uncertain
    missing fault 점검 점검중 결측 결측치 결측값 오류 통신오류 통신이상 통신두절 통신불량 불량 이상 고장
    미측정 미수신 없음 교체 교체중 단수""".split()
)
"""Words in place of a value, in lower case and without blanks: the value is missing."""
_MARKS = re.compile(r"[*#_.=~]+|-?1\.#(qnan|snan|ind|inf)\d*")
"""Rows of signs, and the way in which Windows writes that a number is none."""
_SENTINEL = re.compile(r"-?9{4,}(\.(9+|0+))?|-999(\.(9+|0+))?")
"""Numbers that loggers write in place of a value."""
_FORMS = {
    ".": re.compile(r"[+-]?([1-9]\d{0,2}(,\d{3})+|\d*)(\.\d*)?(e[+-]?\d+)?"),
    ",": re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d*)(,\d*)?(e[+-]?\d+)?"),
}
"""Decimal sign to the numbers that are written with it."""
_GROUPS = str.maketrans("", "", " \u00a0\u202f'’")
"""Characters that separate thousands and nothing else."""


class Values:
    """Parses the values of a file, whose decimal sign is known, and counts those that are missing by their text."""

    def __init__(self, decimal: str = ".", missing: Iterable[str] = ()) -> None:
        """Make a parser; `missing` are further texts in place of a value, as written in the settings.

        A decimal sign of "" is settled by the first number that has one.
        """
        self._decimal = decimal
        self._missing = {_plain(text) for text in missing}
        self.missing: Counter[str] = Counter()
        """Text in place of a value to the number of values that are missing for it."""

    def parse(self, text: str) -> float | None:
        """Return a number; None for an empty text, a word or number in place of a value. Raises LineError."""
        if not text:
            return None
        if self.is_missing(text):
            self.missing[text] += 1
            return None
        number = unicodedata.normalize("NFKC", text).translate(_GROUPS).casefold()
        decimal = self._decimal or self._settle(number)
        if _FORMS[decimal].fullmatch(number):
            group = "," if decimal == "." else "."
            number = number.replace(group, "").replace(",", ".")
        return parse_value(number)

    def _settle(self, number: str) -> str:
        """Return the decimal sign of the first number that has a sign. Raises LineError if it has two meanings."""
        if "," not in number and "." not in number:
            return "."
        decimal = find_decimal([number])
        if decimal is None:
            raise LineError(
                "{number!r}의 쉼표가 소수점인지 천 단위 구분인지 알 수 없습니다: [source.이름] 테이블에 "
                'decimal = "," 또는 decimal = "."을 적으세요',
                '{number!r} may have a decimal comma or thousands: write decimal = "," or decimal = "." '
                "in a [source.NAME] table of site.toml",
                number=number[:40],
            )
        self._decimal = decimal
        return decimal

    def is_missing(self, text: str) -> bool:
        """Whether a text stands in place of a value."""
        word = _plain(text)
        return (
            word in MISSING_WORDS
            or word in self._missing
            or _MARKS.fullmatch(word) is not None
            or _SENTINEL.fullmatch(word.replace(",", ".")) is not None
        )


def find_decimal(texts: Iterable[str]) -> str | None:
    """Return the decimal sign that all numbers allow, '.' or ','; None if none does or a comma may be either.

    >>> find_decimal(["12,34", "4,1"]), find_decimal(["1,234.5"]), find_decimal(["1,234"])
    (',', '.', None)
    """
    signs = {".", ","}
    has_comma = False
    for text in texts:
        number = text.translate(_GROUPS).casefold()
        fitting = {sign for sign, form in _FORMS.items() if form.fullmatch(number)}
        if fitting:
            signs &= fitting
            has_comma = has_comma or "," in number
    if len(signs) == 2:
        return None if has_comma else "."
    return signs.pop() if signs else None


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
