"""The application in a real browser: what is clicked is done, what is wrong is said, and nothing is left behind."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

pytest.importorskip("playwright")
pytest.importorskip("trame_rca", reason="The extra web is not installed.")

from Testing.fixtures_browser import accessibility_problems, watched_page
from Testing.web.conftest import Served

pytestmark = pytest.mark.slow


def until(holds: Callable[[], Any], seconds: float = 150.0) -> Any:
    """Wait for something; what it is."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain"
        time.sleep(0.1)
    return found


@contextmanager
def visitor(browser: Any, served: Served) -> Iterator[Any]:
    """A page of a session of its own, with the network beyond the server cut off: nothing is asked for there."""
    with watched_page(browser) as page:
        foreign: list[str] = []

        def guard(route: Any) -> None:
            if route.request.url.startswith((served.address, "blob:", "data:")):
                route.continue_()
            else:
                foreign.append(route.request.url)
                route.abort()

        page.route("**/*", guard)
        page.set_default_timeout(150_000)  # milliseconds; a session starts meanwhile
        page.goto(served.address)
        page.wait_for_selector("[data-view=Red] img")
        yield page
        assert foreign == []


def choose(page: Any, label: str, title: str) -> None:
    """Choose from a list of the page."""
    page.get_by_label(label, exact=True).first.click(force=True)
    page.locator(".v-overlay--active .v-list-item").get_by_text(title, exact=True).click()


def said(page: Any, wanted: str) -> str:
    """The sentence in the page, as soon as it has ``wanted`` in it."""
    page.locator("[data-name=status]", has_text=re.compile(wanted)).wait_for()
    return str(page.locator("[data-name=status]").inner_text())


def picture(page: Any, view: str = "Red") -> Any:
    """The pixels of a view, (height, width, 3), int."""
    from PIL import Image

    content = page.locator(f"[data-view={view}] .mi-stream").screenshot()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def coloured(page: Any, view: str = "Red") -> int:
    """How many pixels of the middle of a view, where legends and markers are not, are not grey."""
    pixels = picture(page, view)
    height, width = pixels.shape[:2]
    middle = pixels[height // 5 : -height // 5, width // 5 : -width // 4]
    return int(np.count_nonzero(np.ptp(middle, axis=2) > 40))


def offset(page: Any, view: str) -> float:
    """Where a slice view cuts, in RAS mm."""
    _, letter, value, _ = page.locator(f"[data-view={view}] label").inner_text().split()
    return float(value) * (-1 if letter in "LPI" else 1)


def open_result(page: Any) -> None:
    choose(page, "Saved result of the folders", "open/small")
    page.wait_for_selector("[data-name=answer]")


def test_a_saved_result_is_clicked_through(browser, served):
    with visitor(browser, served) as page:
        choose(page, "Saved result of the folders", "open/newer")
        assert "newer version" in said(page, "newer")
        open_result(page)
        assert "Research use only" in page.locator(".mi-banner").inner_text()
        assert f"The model says {served.explanation.prediction.predicted}" in page.inner_text("[data-name=answer]")
        titles = page.locator("[data-map]").all_inner_texts()
        assert [title.split("\n")[0] for title in titles][:2] == ["Summary score", "LRP"]
        assert any("fail" in title for title in titles)

        page.click("[data-map=lrp]")
        page.wait_for_selector("[data-map=lrp][aria-current=true]")
        table = served.explanation.region_table
        row = (
            table[(table["method"] == "lrp") & (table["space"] == "native")]
            .set_index("region")
            .loc["Right-Hippocampus"]
        )
        page.locator("[data-table=regions] tbody tr", has_text="Right hippocampus").click()
        until(lambda: abs(offset(page, "Red") - row["peak_s"]) < 0.1)
        assert abs(offset(page, "Yellow") - row["peak_r"]) < 0.1
        assert abs(offset(page, "Green") - row["peak_a"]) < 0.1
        until(lambda: coloured(page) > 300)  # the map lies over the grey scan there

        before = coloured(page)
        threshold = page.get_by_label("Threshold (the map's units)")
        highest = float(np.abs(served.explanation.maps["lrp"].native.array).max())
        threshold.fill(f"{0.9 * highest:.4g}")
        threshold.press("Tab")
        until(lambda: 0 < coloured(page) < before / 3)
        threshold.fill("much")
        threshold.press("Tab")
        assert "much is no number" in said(page, "no number")

        page.get_by_text("Is this map to be believed?").click()
        assert page.locator("[data-table=trust] tbody tr").count() >= 2
        assert accessibility_problems(page) == []
        page.locator("[data-view=Green] input[type=range]").fill("0")
        until(lambda: abs(offset(page, "Green")) < 5)
        page.get_by_role("button", name="Compare methods").click()
        page.locator("[data-view=Compare2] select").select_option("consensus")
        until(lambda: coloured(page, "Compare1") > 300 and coloured(page, "Compare2") > 300)
        at = page.locator(".mi-cursor label").inner_text()
        page.locator("[data-view=Compare1] .mi-stream").hover()

        def rolled() -> bool:  # Slicer takes a view's first roll for its being entered
            page.mouse.wheel(0, 100)
            page.wait_for_timeout(300)
            return bool(page.locator(".mi-cursor label").inner_text() != at)

        until(rolled)
        page.get_by_role("button", name="Usual views").click()
        page.wait_for_selector("[data-view=Red] img")

        with page.expect_download() as download:
            page.get_by_text("Save report").click()
        report = download.value.path().read_text("utf-8")
        assert "Research use only" in report
        assert "<html" in report


def test_a_scan_is_explained_through_reload_and_cancel_while_another_visitor_sees_none_of_it(browser, served):
    with visitor(browser, served) as page, visitor(browser, served) as other:
        choose(page, "Scan of the folders", "open/brain.nii.gz")
        said(page, "press Explain")
        until(lambda: picture(page).max() > 100)
        assert coloured(page) == 0
        choose(page, "Model", "small")
        page.get_by_role("button", name="Fast").click()
        page.get_by_text("More", exact=True).click()
        choose(page, "Kind of scan", "Skull-stripped brain")
        choose(page, "Regions", "Atlas laid over it")
        choose(page, "Trust checks", "Off")
        explain, cancel = (
            page.get_by_role("button", name="Explain", exact=True),
            page.get_by_role("button", name="Cancel"),
        )
        explain.click()
        cancel.click()
        assert said(page, "Cancelled") == "Cancelled."
        explain.click()
        cancel.wait_for()
        page.reload()
        cancel.wait_for()  # it still runs
        page.wait_for_selector("[data-name=answer]")
        assert [t.split("\n")[0] for t in page.locator("[data-map]").all_inner_texts()][1:4] == [
            "Guided backpropagation",
            "Grad-CAM",
            "Grad-CAM++",
        ]
        until(lambda: coloured(page) > 300)
        assert other.locator("[data-name=scan]").inner_text() == ""
        assert other.locator("[data-name=answer]").count() == 0


def test_what_is_sent_is_opened_or_refused_in_the_page(browser, served, tmp_path):
    with visitor(browser, served) as page:
        program = tmp_path / "program.nii.gz"
        program.write_bytes(b"MZ\x90\x00" + bytes(3000))
        page.locator("input[type=file]").set_input_files(program)
        assert str(tmp_path) not in said(page, r"program\.nii\.gz ")
        page.locator("input[type=file]").set_input_files(Path(program).rename(tmp_path / "program.exe"))
        assert "cannot be sent here" in said(page, "program.exe")
        size = {"Content-Length": str(5 * 2**30), "Content-Type": "multipart/form-data; boundary=b"}
        with urlopen(Request(page.url.replace("index.html", "upload"), b"--b", size), timeout=60) as answer:
            assert b"are taken" in answer.read()  # before the body has come
        assert "5,1" in said(page, "MiB")
        assert not list(served.temporary.rglob("program*"))
        page.get_by_text("Load sample").click()
        said(page, "Colin27 T1 is open")
        until(lambda: picture(page).max() > 100)
        assert coloured(page) == 0
        choose(page, "Model", "small")
        page.get_by_role("button", name="Fast").click()
        page.get_by_text("More", exact=True).click()
        choose(page, "Regions", "Atlas laid over it")
        choose(page, "Trust checks", "Off")
        page.get_by_role("button", name="Explain", exact=True).click()
        page.wait_for_selector("[data-name=answer]")
        until(lambda: coloured(page) > 300)


def test_a_closed_tab_ends_the_session_and_a_killed_server_its_orphans(browser, served):
    until(lambda: not served.descendants())  # of the visitors before
    with visitor(browser, served) as page:
        choose(page, "Saved result of the folders", "open/small")
        until(lambda: len(served.descendants()) >= 2)  # a session and its worker
        running = served.descendants()
    until(lambda: not any(one.is_running() for one in running))
    assert not list(served.temporary.glob("*/session-*"))
    with visitor(browser, served) as page:
        running = until(served.descendants)
        served.process.kill()
        until(lambda: not any(one.is_running() for one in running))
        page.goto("about:blank")
