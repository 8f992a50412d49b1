"""A real browser without a window, for tests of pages: Chromium as the system has it, driven by Playwright.

``.ci/run`` installs Chromium where it may; without one these tests are skipped, and say so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
DESKTOP, PHONE = (1280, 900), (390, 844)  # width and height in CSS pixels
# WebGL is drawn by the processor, so that pictures are the same on every machine; root may not use the sandbox.
ARGUMENTS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage"]


def browser_program() -> str | None:
    """Path of the first browser that is installed; None if there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a test file; each :func:`watched_page` has its own cookies and storage."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed.")
    program = browser_program()
    if program is None:
        pytest.skip(f"No browser is installed: none of {', '.join(PROGRAMS)}.")
    sandbox = not (hasattr(os, "geteuid") and os.geteuid() == 0)
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=ARGUMENTS, chromium_sandbox=sandbox)
        yield started
        started.close()


@contextmanager
def watched_page(
    browser: Browser, *, size: tuple[int, int] = DESKTOP, dark: bool = False, offline: bool = False, **more: Any
) -> Iterator[Page]:
    """A page in a session of its own. Leaving the block fails if the page wrote an error into its console.

    Parameters
    ----------
    browser
        The fixture.
    size
        Of the window, in CSS pixels.
    dark
        Whether the reader prefers dark pages.
    offline
        Whether the network is cut off.
    more
        For ``Browser.new_context``, such as ``has_touch=True`` or ``java_script_enabled=False``.
    """
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", offline=offline, **more
    )
    context.set_default_timeout(30_000)  # milliseconds; machines that test are slow
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    try:
        yield page
    finally:
        context.close()
    if errors:
        raise AssertionError(f"The page's console: {errors}")


def accessibility_problems(page: Page) -> list[str]:
    """What axe-core finds on a page against WCAG 2.1 A and AA: rule, what it asks, and the first elements at fault."""
    with pytest.MonkeyPatch.context() as patch:
        # It reads its script in the locale's encoding, which a library in this process may have set to ASCII.
        patch.setattr(Path, "read_text", partialmethod(Path.read_text, encoding="utf-8"))
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed.")
    wanted = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}
    found = axe.Axe().run(page, options=wanted).response["violations"]
    return [f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]
