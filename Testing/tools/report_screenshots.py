"""Take the pictures of a report in Resources/Screenshots, in the browser that tests use, and print it.

Run ``python -m Testing.tools.report_screenshots REPORT [FOLDER]`` on the sample's ``report.html`` when its look
changed; look at what it made: the page on a desktop by day and on a phone by night,
and REPORT's PDF beside it, which is not committed.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from mri_interpret.drawing.canvas import encode_webp
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from Testing.fixtures_browser import ARGUMENTS, PHONE, browser_program, watched_page

SCREENSHOTS = Path(__file__).resolve().parents[2] / "Resources" / "Screenshots"
DESKTOP = (1180, 1000)


def save(page: Page, path: Path) -> None:
    """What the window shows, as WebP."""
    path.write_bytes(encode_webp(Image.open(io.BytesIO(page.screenshot())).convert("RGB")))


def main(report: Path, folder: Path) -> None:
    """Desktop and light, phone and dark, and on paper."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_program(), args=ARGUMENTS, chromium_sandbox=False)
        for name, more in (
            ("report", {"size": DESKTOP}),
            ("report_phone", {"size": PHONE, "dark": True, "is_mobile": True, "has_touch": True}),
        ):
            with watched_page(browser, offline=True, **more) as page:
                page.set_default_timeout(300_000)
                page.goto(report.resolve().as_uri())
                page.wait_for_selector(".planes[data-ready]")
                if name == "report":
                    page.pdf(path=report.with_suffix(".pdf"), format="A4", print_background=False)
                page.evaluate("document.querySelector('#summary').scrollIntoView()")
                page.wait_for_timeout(1000)
                save(page, folder / f"{name}.webp")
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=SCREENSHOTS)
    options = parser.parse_args()
    main(options.report, options.folder)
