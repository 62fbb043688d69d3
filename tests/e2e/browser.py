"""A real Chromium for tests of the dashboard, and what is wrong with a page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from cli import assets
from cli.bootstrap import ensure_program
from services.dashboard.web.texts import Language, load_catalogue

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP, PHONE = (1400, 900), (390, 844)
VISIBLE_TEXTS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), texts = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (text && !element.closest("[hidden], [lang]:not(html), code")) texts.push(text);
  }
  return texts;
}"""
KEY = re.compile(r"\b[a-z]+\.[a-z_]+_[a-z_]+\b")
"""A key of a catalogue in place of its text."""
ENGLISH = {text for text in load_catalogue("en").values() if "{" not in text and " " in text}


@dataclass
class WatchedPage:
    """A page with the errors that it has logged and the requests that it has made to other hosts."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record errors and requests from now on."""
        self.page.on("console", lambda message: self._add(message.type in ("error", "warning"), message.text))
        self.page.on("pageerror", lambda error: self._add(True, str(error)))
        self.page.on("request", lambda request: self._add(not request.url.startswith((self.url, "data:")), request.url))

    def visit(self, path: str) -> None:
        """Open a view and wait until its live part is connected and its charts are drawn."""
        self.page.goto(f"{self.url}{path}", wait_until="load")
        self.page.wait_for_function(
            "() => !document.querySelector('[sse-connect]') || 'connected' in document.body.dataset"
        )
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('[data-chart]')].every((chart) => chart.querySelector('canvas, p'))"
        )

    def untranslated(self, language: Language) -> list[str]:
        """Return the visible texts that are not in a language, and keys of the catalogues."""
        texts: list[str] = self.page.evaluate(VISIBLE_TEXTS)
        keys = [text for text in texts if KEY.search(text) and not re.search(r"[가-힣 ]", text)]
        if language == "en":
            return keys + [text for text in texts if re.search(r"[가-힣]", text)]
        return keys + [text for text in texts if text in ENGLISH]

    def accessibility_problems(self, axe: str) -> list[str]:
        """Return the serious and critical findings of axe-core."""
        self.page.evaluate(axe)
        result: dict[str, Any] = self.page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{violation['id']}: {violation['nodes'][0]['html'][:200]} {violation['nodes'][0]['failureSummary'][:300]}"
            for violation in result["violations"]
            if violation["impact"] in ("serious", "critical")
        ]

    def _add(self, is_problem: bool, text: str) -> None:
        if is_problem:
            self.problems.append(text)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    program = ensure_program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, size: tuple[int, int] = DESKTOP, **options: Any) -> Iterator[WatchedPage]:
    """Open a page in a new browser context: its own cookies, English, in New York."""
    width, height = size
    defaults = {"locale": "en-US", "timezone_id": "America/New_York"}
    context = browser.new_context(viewport={"width": width, "height": height}, **{**defaults, **options})
    try:
        watched = WatchedPage(context.new_page(), url)
        watched.watch()
        yield watched
    finally:
        context.close()


def axe_source(folder: Path) -> str:
    """Return the script of axe-core."""
    return assets.fetch_axe(folder).read_text(encoding="utf-8")


def screenshot_folder(default: Path) -> Path:
    """Return where screenshots are kept: WVR_SCREENSHOTS, else a temporary folder."""
    folder = Path(os.environ.get("WVR_SCREENSHOTS") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
