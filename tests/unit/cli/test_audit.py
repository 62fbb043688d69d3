"""The bill of materials is complete, and a package that was not looked up never passes the audit."""

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


class FakeAdvisories(BaseHTTPRequestHandler):
    """An OSV service with an advisory for each package in `flaws`."""

    flaws: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}]
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
        flaw = {
            "id": self.flaws.get(name),
            "summary": "leaks",
            "affected": affected,
            "modified": "2026-01-01T00:00:00Z",
        }
        answer = json.dumps({"vulns": [flaw]} if name in self.flaws else {}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    """The URL of the fake OSV service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeAdvisories)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def pinned(image: str) -> dict[str, tuple[str, set[str]]]:
    """Return version and hashes by package, for packages of the lock file that are installed here in that version."""
    packages = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / f"requirements/{image}.txt").read_text(encoding="utf-8")):
        name, pinned_version = re.match(r"([\w.-]+)==(\S+)", entry).groups()  # type: ignore[union-attr]
        try:
            if version(name) == pinned_version:
                packages[name] = (pinned_version, set(re.findall(r"sha256:([0-9a-f]{64})", entry)))
        except PackageNotFoundError:
            continue
    return packages


@pytest.mark.parametrize("image", IMAGES)
def test_bill_of_materials_lists_the_pinned_packages_with_version_and_hashes(image: str) -> None:
    text = bill_of_materials(image)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {
        component["name"]: (
            component["version"],
            {digest["content"] for source in component["externalReferences"] for digest in source.get("hashes", ())},
        )
        for component in json.loads(text)["components"]
    }
    assert len(listed) >= 12
    assert listed == pinned(image)
    assert bill_of_materials(image) == text


def test_vulnerable_package_is_reported(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeAdvisories, "flaws", {"paho-mqtt": "PYSEC-2026-1"})
    assert main(["--out", str(tmp_path), "--osv-url", service]) == VULNERABLE
    assert f"paho-mqtt {version('paho-mqtt')}: PYSEC-2026-1, fixed in 99" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {f"wvr-{image}.cdx.json" for image in IMAGES}


def test_audit_passes_without_known_vulnerabilities(service: str) -> None:
    code, result_text = audit_result(*query_advisories(service))
    assert code == 0
    assert re.fullmatch(r"no known vulnerability in \d\d packages", result_text)


def test_audit_fails_without_an_answer_of_the_service() -> None:
    code, result_text = audit_result(*query_advisories("http://127.0.0.1:9/"))
    assert code == NOT_AUDITED
    assert result_text.startswith("NOT audited")


def test_package_unknown_to_the_service_is_not_audited() -> None:
    known = {"name": "numpy", "version": "2.4.6", "vulns": []}
    unknown = {"name": "peewee", "skip_reason": "Dependency not found on PyPI"}
    code, result_text = audit_result(json.dumps({"dependencies": [known, unknown]}), "No known vulnerabilities found")
    assert code == NOT_AUDITED
    assert result_text == "NOT audited: 1 of 2 packages, the first: Dependency not found on PyPI"
