"""Debian's Chromium, driven by Playwright: for what only a browser shows, in benches and tests."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

INSTALL = "Chromium is missing: apt-get install chromium (as root, `make test` does it)"


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Raises RuntimeError with what to do where it is not installed."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise RuntimeError(INSTALL)
    unboxed = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=unboxed)
        yield browser
        browser.close()
