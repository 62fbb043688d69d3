"""Documents are true where a program can check it: links, log events, lengths, words."""

from __future__ import annotations

import ast
import re

from cli.bootstrap import ROOT

DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "data/README.md",
    ROOT / "tests/cases/README.md",
]
EVENT = re.compile(r"[a-z]+(_[a-z]+)+")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#[^)\s]*)?\)")
MAX_README_LINES, MAX_DECISION_LINES = 120, 25
IDIOM = re.compile(r"\b(told|owed|afresh|anew|heed|wishes)\b", re.IGNORECASE)
"""Words of the first build's private language."""


def logged_events() -> set[str]:
    """Return the keys of all log events in the code."""
    events = set()
    for folder in ("shared", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in LOG_CALLS:
                    texts = [part.value for part in node.args if isinstance(part, ast.Constant)]
                    events |= {
                        text for text in texts if isinstance(text, str) and re.fullmatch(r"[a-z]+(_[a-z]+)+", text)
                    }
    return events


LOG_CALLS = {"log", "_log_once_a_minute"}


def test_every_relative_link_resolves() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in DOCUMENTS
        for target in LINK.findall(document.read_text(encoding="utf-8"))
        if target and "://" not in target and not (document.parent / target).exists()
    ]
    assert broken == []


def test_log_events_page_lists_every_event() -> None:
    page = (ROOT / "docs/reference/log-events.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z_]+)`", page, re.MULTILINE))
    assert logged_events() - {"db_writer"} == listed


def test_readmes_and_decisions_are_short() -> None:
    limits = {ROOT / "README.md": MAX_README_LINES, ROOT / "README.ko.md": MAX_README_LINES}
    limits |= dict.fromkeys((ROOT / "docs/decisions").glob("*.md"), MAX_DECISION_LINES)
    too_long = [path.name for path, limit in limits.items() if len(path.read_text("utf-8").splitlines()) > limit]
    assert too_long == []


def test_documents_avoid_the_old_idiom() -> None:
    idioms = [
        f"{document.relative_to(ROOT)}: {word}"
        for document in DOCUMENTS
        for word in IDIOM.findall(document.read_text(encoding="utf-8"))
    ]
    assert idioms == []
