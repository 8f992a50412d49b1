"""The browser for tests does what tests of pages rely on: it draws WebGL, and an error in a console fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from Testing.fixtures_browser import watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_an_error_in_the_console_fails_and_webgl_draws(browser: Browser) -> None:
    with watched_page(browser, dark=True, offline=True) as page:
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert page.evaluate("!!document.createElement('canvas').getContext('webgl2')")
    with pytest.raises(AssertionError, match="not well"), watched_page(browser) as page:
        page.set_content("<script>console.error('not well')</script>")
