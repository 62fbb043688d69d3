"""Numbers with any decimal sign, and texts in place of a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.sources.timestamps import LineError
from services.ingest.tables.values import Values, find_decimal

NUMBERS = (
    st.decimals(min_value=-900_000, max_value=900_000, places=2)
    .map(float)
    .filter(lambda number: abs(number) != 9999.99)
)
GERMAN = str.maketrans(",.", ".,")


@given(NUMBERS, st.sampled_from(["{:.2f}", "{:,.2f}"]), st.sampled_from([".", ","]))
def test_what_is_written_in_a_form_reads_back_and_settles_the_sign(number: float, form: str, decimal: str) -> None:
    text = form.format(number) if decimal == "." else form.format(number).translate(GERMAN)
    assert Values(decimal).parse(text) == number
    assert find_decimal([text, "12", "-"]) == decimal


@pytest.mark.parametrize(("texts", "decimal"), [(["1,234"], None), (["1,5", "1.5"], None), (["1.234"], "."), ([], ".")])
def test_the_sign_is_not_guessed(texts: list[str], decimal: str | None) -> None:
    assert find_decimal(texts) == decimal


@pytest.mark.parametrize(
    "text", ["", "-", "Bad", "Bad Input", "#N/A", "점검", "결측", "***", "NaN", "1.#QNAN", "-9999", "9999.99", "999999"]
)
def test_words_and_sentinels_are_missing(text: str) -> None:
    values = Values()
    assert values.parse(text) is None
    assert values.missing == ({text: 1} if text else {})


def test_configured_texts_are_missing_and_others_are_rejected() -> None:
    assert Values(missing=["-1"]).parse("-1") is None
    for text in ("wet", "12.3 m", "1,2", "1_0", "inf"):
        with pytest.raises(LineError):
            Values().parse(text)
