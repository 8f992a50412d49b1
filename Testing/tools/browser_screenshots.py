"""Take the pictures of the application in the browser in docs/images.

Run ``python -m Testing.tools.browser_screenshots RESULT [FOLDER]`` on the folder of the sample's result when the
application's look or the bundled model changed, and look at what it made: the usual views by night, four maps side by
side by day, and a phone.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from Testing.fixtures_browser import ARGUMENTS, PHONE, browser_program, watched_page
from Testing.tools.report_screenshots import save

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DESKTOP = (1280, 860)


def main(result: Path, folder: Path) -> None:
    """Serve the result, visit it twice, and end the server."""
    command = [sys.executable, "-m", "mri_interpret", "view", str(result), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=browser_program(), args=ARGUMENTS, chromium_sandbox=False)
            for name, more in (
                ("desktop", {"size": DESKTOP}),
                ("phone", {"size": PHONE, "is_mobile": True, "has_touch": True}),
            ):
                with watched_page(browser, **more) as page:
                    page.set_default_timeout(60_000)
                    page.goto(address)
                    page.wait_for_selector("[data-name=answer]")  # a folder that is one result opens by itself
                    page.wait_for_timeout(5000)
                    if name == "phone":
                        save(page, folder / "browser_phone.webp")
                        continue
                    save(page, folder / "browser.webp")
                    page.get_by_role("button", name="Light", exact=True).click()
                    page.get_by_role("button", name="Compare methods").click()
                    page.wait_for_selector("[data-view=Compare1] img")
                    page.wait_for_timeout(5000)
                    page.evaluate("window.scrollTo(0, 0)")
                    save(page, folder / "browser_compare.webp")
            browser.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=IMAGES)
    options = parser.parse_args()
    main(options.result, options.folder)
