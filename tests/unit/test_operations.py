"""docs/operations.md has a row for every status text that the code can say."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import get_args, get_type_hints

import pytest
from supervisor.states import ProcessStates

from cli.bootstrap import ROOT
from shared.contract.messages import Status

RAISED = {"Unavailable", "BackupError", "beat", "_tell"}
"""Calls whose text becomes a status, by way of the loop or of db_writer's note."""
SPEAKERS = {
    ("shared/store/sqlite_errors.py", "hindrance"),
    ("shared/store/repair.py", "heal"),
    ("shared/store/schema.py", "later"),
    ("shared/store/schema.py", "earlier"),
}
"""Functions whose text others pass on."""
NOTES = {"note", "status_text", "_doubt", "refusal", "busy"}
"""Names and properties that hold a text for the status."""
PASSED_ON = {
    "services/ingest/tick_clock.py: self._doubt",
    "services/ingest/service.py: self._spool.note",
    "shared/runtime/mqtt_bus.py: '; '.join(filter(None, (self._outbox.refusal, busy or self._note)))",
    "shared/runtime/mqtt_bus.py: note",
    "shared/runtime/loop.py: note()",
    "shared/runtime/loop.py: told",
    "shared/store/read_connection.py: other",
    "shared/store/recorder.py: self._file.note",
    "shared/store/write_connection.py: newer",
    "shared/store/write_connection.py: told(self._path)",
    "shared/store/write_connection.py: what",
}
"""What comes from the texts of others; anything else that can't be read off the code is a gap in this test."""
GAP = "…"
FILES = sorted(path for folder in ("shared", "services") for path in (ROOT / folder).rglob("*.py"))

Assigned = dict[str, list[ast.expr]]


def assignments(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Target and value of each, also where several are assigned at once."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    yield from zip(target.elts, node.value.elts, strict=True)
                else:
                    yield target, node.value


def named(tree: ast.AST) -> Assigned:
    """What each name of a file is, also one that it imports from another room of ours."""
    found: Assigned = defaultdict(list)
    for target, value in assignments(tree):
        if isinstance(target, ast.Name):
            found[target.id].append(value)
    for node in ast.walk(tree):
        source = ROOT / f"{(getattr(node, 'module', '') or '').replace('.', '/')}.py"
        if isinstance(node, ast.ImportFrom) and source in FILES:
            theirs = assignments(ast.parse(source.read_text(encoding="utf-8")))
            wanted = {alias.name for alias in node.names}
            for target, value in theirs:
                if isinstance(target, ast.Name) and target.id in wanted:
                    found[target.id].append(value)
    return found


def spoken(tree: ast.AST, file: str) -> Iterator[ast.expr]:
    """Expressions whose text may become a status."""
    yield from (value for target, value in assignments(tree) if ast.unparse(target).split(".")[-1] in NOTES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in RAISED:
            yield node.args[0]
        elif isinstance(node, ast.FunctionDef) and ((file, node.name) in SPEAKERS or node.name in NOTES - {"refusal"}):
            yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value)


def texts(said: ast.expr, assigned: Assigned) -> list[str]:
    """Every text that an expression can be, with … for what the code alone does not tell."""
    if isinstance(said, ast.Constant):
        return [said.value] if isinstance(said.value, str) else []
    if isinstance(said, ast.JoinedStr):
        return ["".join(parts) for parts in product(*(texts(value, assigned) for value in said.values))]
    if isinstance(said, ast.FormattedValue):
        known = texts(said.value, assigned) if isinstance(said.value, ast.Name) else [GAP]
        return [GAP] if GAP in known else known
    if isinstance(said, ast.IfExp):
        return texts(said.body, assigned) + texts(said.orelse, assigned)
    if isinstance(said, ast.BoolOp):
        return [text for value in said.values for text in texts(value, assigned)]
    if isinstance(said, ast.Name):
        others = {name: values for name, values in assigned.items() if name != said.id}
        return [text for value in assigned.get(said.id, []) for text in texts(value, others)] or [GAP]
    return [GAP]


def statuses() -> Iterator[tuple[str, str]]:
    """File and text of each status."""
    for path in FILES:
        tree, file = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT).as_posix()
        assigned = named(tree)
        for said in spoken(tree, file):
            found = set(texts(said, assigned)) - {""}
            known = found - {GAP}
            yield from ((file, text) for text in known or ({f"{file}: {ast.unparse(said)}"} if found else ()))


STATUSES = sorted(set(statuses()))


def rows() -> list[str]:
    """First cells of the tables of docs/operations.md."""
    lines = (ROOT / "docs/operations.md").read_text(encoding="utf-8").splitlines()
    return [line.split(" | ")[0] for line in lines if line.startswith("| `")]


def tells(row: str, text: str) -> bool:
    """Whether a row has all parts of a text, in order."""
    place = 0
    for part in text.split(GAP):
        place = row.find(part.strip(), place)
        if place < 0:
            return False
    return True


@pytest.mark.parametrize(("file", "text"), STATUSES)
def test_every_status_has_a_row(file: str, text: str) -> None:
    if text not in PASSED_ON:
        assert any(tells(row, text) for row in rows()), f"docs/operations.md doesn't explain {text!r} of {file}"


def test_the_known_statuses_are_among_them() -> None:
    said = {text for _, text in STATUSES}
    assert "the database is locked by another program: …; readings wait until it lets go" in said
    assert "the spool was full: unstored readings were dropped up to number …" in said
    assert "…: wvr.db was damaged (…) and is now …; the backup … was restored" in said
    assert said > PASSED_ON


def test_every_state_has_a_row() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    short, long = text.split("| `./wvr status` says |")[1].split("| a service says |")
    supervisors = {name.lower() for name in vars(ProcessStates) if name.isupper()} - {"running"}
    dockers = {"created", "running", "paused", "restarting", "exited", "dead", "starting", "healthy", "unhealthy"}
    assert {state for state in supervisors | dockers | {"done"} if f"`{state}`" not in short} == set()
    assert {state for state in get_args(get_type_hints(Status)["state"]) if f"`{state}`" not in long} == set()


def test_no_row_is_of_the_past() -> None:
    lines = (ROOT / "docs/operations.md").read_text(encoding="utf-8").split("| a service says |")[1].splitlines()[2:]
    table = [line.split(" | ")[0] for line in lines[: lines.index("")] if line.startswith("| `")]
    table = [row for row in table if "stderr only" not in row]
    assert [row for row in table if not any(tells(row, text) for _, text in STATUSES)] == []
