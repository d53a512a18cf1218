"""A Chromium of this machine, driven without a window. Shared with the tests of the page."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def why_not() -> str:
    """What keeps a browser from being driven here, or nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install 'finetune-harness[dev]'"
    return "" if found() else f"no browser is installed, none of {', '.join(NAMES)}: apt-get install chromium"


def found() -> str | None:
    """The browser's path."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own. Its sandbox is off: it does not start as root otherwise, and the page is ours."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found(), args=["--no-sandbox"])
        yield browser
        browser.close()
