"""How long it takes until the report of a whole gate is open, in a real browser, and how large it is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.browser import chromium, why_not
from benchmarks.figure import Figure
from benchmarks.large_report import RECIPES, large_run
from harness.report import to_html

REPEATS = 7
# From the start of the navigation until the page is loaded and has been painted once more.
_OPENED = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"""


def open_report() -> Iterator[Figure]:
    """Seconds from asking for the page until it is there; a browser that has never seen it, each time."""
    if reason := why_not():
        raise SystemExit(f"not measured: {reason}")
    text = to_html(large_run())
    with tempfile.TemporaryDirectory(prefix="harness-report-") as folder, chromium() as browser:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        seconds = []
        for _ in range(REPEATS):
            page = browser.new_page()
            page.goto(path.as_uri())
            seconds.append(page.evaluate(_OPENED) / 1000)
            page.close()
    yield Figure(f"the report of {RECIPES} recipes opens in Chromium", seconds, "s", 1.0)
    yield Figure(f"the size of the report of {RECIPES} recipes", [len(text.encode()) / 1e6], "MB", 8.0)
