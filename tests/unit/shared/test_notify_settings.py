"""Settings of contacts: wrong ones are errors with file, line, key and what to write, and without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.message_template import FIELDS, escape_json, fill
from shared.settings import SettingsError, load_settings
from shared.settings.notify import DEFAULT_BODY


def error_of(folder: Path, text: str) -> str:
    file = folder / "site.toml"
    file.write_text(f"[site]\n[notify.ops]\n{text}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as failure:
        load_settings(file)
    return str(failure.value).removeprefix(str(file))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('from = "info"', ":3: notify.ops.from: Input should be 'warning' or 'critical'"),
        ('quiet = "22-7"', ":3: notify.ops.quiet: write two times such as '22:00-07:00', or '' for none"),
        ('quiet = "22:00-24:00"', ":3: notify.ops.quiet: write two times such as '22:00-07:00', or '' for none"),
        ('daily = "9"', ":3: notify.ops.daily: write a time such as '09:00', or '' for none"),
        ("after = 15", ":3: notify.ops.after: write a number and its unit, such as '15m' or '26h'"),
        ('severity = "critical"', ":3: notify.ops.severity: unknown setting; see docs/reference/settings.md"),
        ('body = "{text}"', ":3: notify.ops.body: this key needs kind = 'webhook'"),
        (
            'kind = "webhook"\nbody = "{titel}"',
            ":4: notify.ops.body: unknown field {titel}; write one of {title}, {text}, {site}, {sensor}, {severity}, "
            "{state}, {key}, {at}, {contact}",
        ),
        (
            'kind = "webhook"\nbody = """{"a": {text}"""',
            ":4: notify.ops.body: not JSON: Expecting ',' delimiter: line 1 column 8 (char 7); set the header "
            "Content-Type if the receiver expects another form",
        ),
        ('kind = "webhook"\nurl = "tgram://a/b"', ":4: notify.ops.url: a webhook's address begins with http://"),
        ('url = "password"', ":3: notify.ops.url: write a URL such as 'ntfy://ntfy.sh/topic', or the name of a file"),
        ('url = "a/b"', ":3: notify.ops.url: write a URL such as 'ntfy://ntfy.sh/topic', or the name of a file"),
    ],
)
def test_wrong_setting_names_line_key_and_what_to_write(tmp_path: Path, text: str, error: str) -> None:
    assert error_of(tmp_path, text).startswith(error)


def test_error_contains_no_secret(tmp_path: Path) -> None:
    text = 'url = "tgram://S3CRET/b"\nheaders = { A = "S3CRET {nothing}" }\nfrom = "S3CRET"\nquiet = "S3CRET"'
    assert "S3CRET" not in error_of(tmp_path, text)


def test_name_of_a_contact_is_the_name_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[notify."../ops"]\n', encoding="ascii")
    with pytest.raises(SettingsError, match=r"notify\.\.\./ops"):
        load_settings(file)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(), min_size=len(FIELDS)))
def test_any_text_survives_in_a_json_body(values: dict[str, str]) -> None:
    body = fill(DEFAULT_BODY, values, lambda _: "", escape_json)
    assert json.loads(body.encode("utf-8", "surrogatepass")) == values


def test_value_is_never_a_template() -> None:
    values = dict.fromkeys(FIELDS, "{secret:token} {title}")
    assert fill("{text}", values, lambda _: "S3CRET", str) == "{secret:token} {title}"
