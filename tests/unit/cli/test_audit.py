"""What is in the images is listed whole, and what was not looked up never passes as harmless."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cli.audit import IMAGES, NOT_AUDITED, VULNERABLE, audit_result, bill_of_materials, main, query_advisories
from cli.bootstrap import ROOT


class Advisories(BaseHTTPRequestHandler):
    """An OSV service that knows a flaw of each package named in `flaws`."""

    flaws: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}]
        affected = [{"package": {"name": asked, "ecosystem": "PyPI"}, "ranges": ranges}]
        flaw = {
            "id": self.flaws.get(asked),
            "summary": "leaks",
            "affected": affected,
            "modified": "2026-01-01T00:00:00Z",
        }
        answer = json.dumps({"vulns": [flaw]} if asked in self.flaws else {}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    """Where advisories can be asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def pinned(image: str) -> dict[str, tuple[str, set[str]]]:
    """Package of a lock file to version and hashes, of those that are installed here with that version."""
    found = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / f"requirements/{image}.txt").read_text(encoding="utf-8")):
        name, wanted = re.match(r"([\w.-]+)==(\S+)", entry).groups()  # type: ignore[union-attr]
        try:
            if version(name) == wanted:
                found[name] = (wanted, set(re.findall(r"sha256:([0-9a-f]{64})", entry)))
        except PackageNotFoundError:
            continue
    return found


@pytest.mark.parametrize("image", IMAGES)
def test_each_package_is_listed_with_version_and_hashes_and_nothing_else(image: str) -> None:
    text = bill_of_materials(image)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {
        one["name"]: (
            one["version"],
            {digest["content"] for source in one["externalReferences"] for digest in source.get("hashes", ())},
        )
        for one in json.loads(text)["components"]
    }
    assert len(listed) >= 12
    assert listed == pinned(image)
    assert bill_of_materials(image) == text


def test_what_is_known_to_be_vulnerable_is_named(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Advisories, "flaws", {"paho-mqtt": "PYSEC-2026-1"})
    assert main(["--out", str(tmp_path), "--osv-url", service]) == VULNERABLE
    assert f"paho-mqtt {version('paho-mqtt')}: PYSEC-2026-1, fixed in 99" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {f"wvr-{image}.cdx.json" for image in IMAGES}


def test_audit_passes_without_known_vulnerabilities(service: str) -> None:
    code, words = audit_result(*query_advisories(service))
    assert code == 0
    assert re.fullmatch(r"no known vulnerability in \d\d packages", words)


def test_a_service_that_does_not_answer_is_no_audit() -> None:
    code, words = audit_result(*query_advisories("http://127.0.0.1:9/"))
    assert code == NOT_AUDITED
    assert words.startswith("NOT audited")


def test_a_package_that_the_service_does_not_know_is_not_audited() -> None:
    known = {"name": "numpy", "version": "2.4.6", "vulns": []}
    unknown = {"name": "peewee", "skip_reason": "Dependency not found on PyPI"}
    code, words = audit_result(json.dumps({"dependencies": [known, unknown]}), "No known vulnerabilities found")
    assert code == NOT_AUDITED
    assert words == "NOT audited: 1 of 2 packages, the first: Dependency not found on PyPI"
