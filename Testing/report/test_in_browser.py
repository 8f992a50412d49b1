"""The report in a real browser: what the planes say at the cursor is what the files hold, and everybody can read it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.planes_of import planes_of
from mri_interpret.planes.viewer import viewer
from mri_interpret.report.page import page_with
from mri_interpret.report.pictures import ReportPictures
from PIL import Image

from Testing.fixtures_browser import DESKTOP, PHONE, accessibility_problems, watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

READY = ".planes[data-ready]"
PLACE = "document.querySelector('[data-part=place]')"


@pytest.fixture(scope="module")
def address(hostile: Explanation, empty_pictures: ReportPictures, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page's address."""
    pictures = replace(empty_pictures, planes=viewer(planes_of(hostile), has_rows=True))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page_with(hostile, pictures), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The page, opened once for all tests, without a network."""
    with watched_page(browser, offline=True) as page:
        page.goto(address)
        page.wait_for_selector(READY)
        yield page


def part(name: str) -> str:
    return f'[data-part="{name}"]'


def show(page: Page, key: str) -> None:
    page.select_option(part("map"), key)
    page.wait_for_function("key => document.querySelector('[data-part=map]').dataset.shown === key", arg=key)


def pixels_of(page: Page) -> np.ndarray:
    """The planes as they are on the screen, (rows, columns, RGB)."""
    page.wait_for_timeout(100)  # a frame later
    return np.asarray(Image.open(io.BytesIO(page.locator("canvas").screenshot())).convert("RGB")).astype(int)


def reddish(page: Page) -> int:
    """How many pixels have a colour of the map: purple, red or yellow, and not the crosshair's turquoise."""
    pixels = pixels_of(page)
    return int((pixels[..., 0] - pixels[..., 1:].min(axis=2) > 24).sum())


def test_the_value_and_region_at_the_cursor_are_those_of_the_files(opened: Page, hostile: Explanation) -> None:
    maps = {name: one.native for name, one in hostile.maps.items()}
    maps |= {"summary": hostile.summary, "spread": hostile.spread}
    names = {region.label: region.name for region in hostile.regions}
    place = opened.locator(part("place"))
    box = opened.locator("canvas").bounding_box()
    assert box is not None
    opened.locator("canvas").scroll_into_view_if_needed()
    seen = 0
    for step, (key, volume) in enumerate(maps.items()):
        show(opened, key)
        size = max(float(np.abs(volume.array).max()), 1e-12)
        for across in (0.10, 0.17, 0.47):
            opened.locator("canvas").click(
                position={"x": across * box["width"], "y": (0.4 + 0.03 * step) * box["height"]}
            )
            voxel = tuple(int(one) for one in str(place.get_attribute("data-voxel")).split())
            told = str(place.get_attribute("data-value"))
            inside = all(0 <= one < n for one, n in zip(voxel, volume.shape, strict=True)) and hostile.mask.array[voxel]
            assert bool(told) == bool(inside)
            if inside:
                assert float(told) == pytest.approx(float(volume.array[voxel]), abs=size / 2000)
                label = int(hostile.atlas_in_scan.array[voxel])
                assert names.get(label, "no region") in place.inner_text()
                seen += 1
    assert seen >= 8


def test_threshold_share_and_opacity_hide_and_show(opened: Page, hostile: Explanation) -> None:
    show(opened, "summary")
    share, threshold = opened.locator(part("share")), opened.locator(part("threshold"))
    counts = []
    for press in ("End", "Home"):  # everything, and a thousandth of the brain
        share.press(press)
        counts.append(reddish(opened))
    assert counts[0] > 5 * counts[1]
    assert opened.locator(part("share-said")).inner_text() == "top 0.1 %"
    magnitudes = np.abs(hostile.summary.array[hostile.mask.array > 0])
    assert float(threshold.input_value()) == pytest.approx(np.quantile(magnitudes, 0.999), rel=1e-4)
    threshold.fill(repr(float(np.quantile(magnitudes, 0.8))))
    threshold.press("Enter")
    assert opened.locator(part("share-said")).inner_text() == "top 20 %"
    shown = reddish(opened)
    assert counts[1] < shown < counts[0]
    opened.locator(part("opacity")).press("Home")
    assert reddish(opened) == 0
    opened.locator(part("opacity")).press("End")


def test_both_signs_have_their_colours(opened: Page, hostile: Explanation) -> None:
    inside = hostile.mask.array > 0
    signed = next(
        name
        for name, one in hostile.maps.items()
        if one.native.array[inside].min() < 0 < one.native.array[inside].max()
    )
    show(opened, signed)
    opened.locator(part("share")).press("End")
    pixels = pixels_of(opened)
    assert ((pixels[..., 0] - pixels[..., 2]) > 60).sum() > 20
    # Blue, and not the crosshair, whose green is as strong.
    assert ((pixels[..., 2] - pixels[..., 0] > 60) & (pixels[..., 2] - pixels[..., 1] > 30)).sum() > 20


def test_a_row_of_the_table_goes_to_its_peak(opened: Page) -> None:
    row = opened.locator("[data-peak]").first
    peak = [float(one) for one in str(row.get_attribute("data-peak")).split()]
    row.get_by_role("button").click()
    opened.wait_for_function("document.activeElement.tagName === 'CANVAS'")
    place = opened.locator(part("place"))
    np.testing.assert_allclose([float(one) for one in str(place.get_attribute("data-mm")).split()], peak, atol=0.02)
    assert opened.locator(part("map")).input_value() == "summary"
    assert "Left-Hippocampus" in place.inner_text()


def test_keys_move_the_cursor(opened: Page) -> None:
    place = opened.locator(part("place"))

    def at() -> np.ndarray:
        return np.array([float(one) for one in str(place.get_attribute("data-mm")).split()])

    opened.locator("canvas").focus()
    start = at()
    for key, axis, sign in (("ArrowLeft", 0, 1), ("ArrowUp", 1, 1), ("PageDown", 2, -1)):
        opened.keyboard.press(key)
        moved = at() - start
        assert np.sign(moved[axis]) == sign
        opened.keyboard.press("Shift+" + {"ArrowLeft": "ArrowRight", "ArrowUp": "ArrowDown", "PageDown": "PageUp"}[key])
        assert (at() - start)[axis] == pytest.approx(-9 * moved[axis], abs=0.05)
        start = at()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(opened: Page, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert accessibility_problems(opened) == []


def test_a_finger_moves_the_cursor_on_a_phone_and_nothing_is_wider_than_the_screen(
    browser: Browser, address: str
) -> None:
    with watched_page(browser, size=PHONE, offline=True, has_touch=True, is_mobile=True) as page:
        page.goto(address)
        page.wait_for_selector(READY)
        canvas, place = page.locator("canvas"), page.locator(part("place"))
        canvas.scroll_into_view_if_needed()
        before, box = place.get_attribute("data-mm"), canvas.bounding_box()
        assert box is not None
        finger = page.context.new_cdp_session(page)
        at = {"x": box["x"] + 0.25 * box["width"], "y": box["y"] + 0.3 * box["height"]}
        finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
        page.wait_for_timeout(80)  # no finger is quicker
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_function(
            "before => document.querySelector('[data-part=place]').dataset.mm !== before", arg=before
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_without_javascript_the_page_is_whole_and_has_no_planes(browser: Browser, address: str) -> None:
    with watched_page(browser, size=DESKTOP, java_script_enabled=False) as page:
        page.goto(address)
        assert not page.locator(".planes").is_visible()
        assert page.get_by_role("heading", name="Where in the brain").is_visible()


def test_a_browser_without_webgl_says_so_and_keeps_the_rest(browser: Browser, address: str) -> None:
    with watched_page(browser) as page:
        page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
        page.goto(address)
        assert "lacks WebGL 2" in page.locator(part("none")).inner_text()
        assert not page.locator(part("viewer")).is_visible()
        assert page.get_by_role("heading", name="Which regions").is_visible()


def test_a_notebook_shows_the_planes_in_a_frame(
    browser: Browser, small_explanation: Explanation, tmp_path: Path
) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><title>A notebook</title>{small_explanation._repr_html_()}", encoding="utf-8")
    with watched_page(browser, offline=True) as page:
        page.goto(path.as_uri())
        page.locator("iframe").scroll_into_view_if_needed()
        frame = page.frame_locator("iframe")
        frame.locator(READY).wait_for()
        assert frame.locator(part("map")).locator("option").count() == len(small_explanation.maps) + 3
        assert "mm · voxel" in frame.locator(part("place")).inner_text()
        sizes = page.locator("iframe").evaluate("one => [one.contentDocument.body.scrollHeight, one.clientHeight]")
        assert sizes[0] <= sizes[1]  # nothing to scroll within the frame


def test_in_print_folded_methods_are_open_and_planes_are_left_out(opened: Page) -> None:
    opened.emulate_media(media="print", color_scheme="dark")
    assert not opened.locator(".planes").is_visible()
    assert opened.locator("details.method .facts").first.is_visible()
    assert not opened.locator("details.record").is_visible()  # pages of numbers, which provenance.json has
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    opened.emulate_media(media="screen", color_scheme="light")
