"""What people see: drawn off-screen by Slicer's displayable managers, checked where it matters."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from mri_interpret.scene import map_display, views
from mri_interpret.scene.pictures import save_png, slice_picture, view_picture

SIZE = (240, 240)


def coloured(picture, strength=40):
    """Pixels that are not grey: the overlay."""
    spread = picture.max(axis=2).astype(int) - picture.min(axis=2).astype(int)
    spread[:, int(0.8 * SIZE[0]) :] = 0  # legend and orientation marker
    spread[int(0.8 * SIZE[1]) :] = 0
    return spread > strength


def test_the_overlay_of_the_right_hippocampus_is_on_the_left_of_an_axial_slice(built):
    headless, _nodes = built
    views.jump_to(headless.scene, (27.0, -22.0, -15.0))
    picture = slice_picture(headless, "Red", SIZE)
    bright = picture.astype(int).sum(axis=2) * coloured(picture)
    _, column = np.unravel_index(bright.argmax(), bright.shape)
    assert column < SIZE[0] * 0.48  # patient's right is screen left
    assert coloured(picture).sum() > 200


def test_low_values_are_transparent(built):
    headless, nodes = built
    map_display.set_threshold(nodes, "lrp", 2.4e-3 * 0.15)
    views.show_over_scan(headless.scene, nodes.scan, nodes.maps["lrp"])
    views.jump_to(headless.scene, (0.0, -20.0, 12.0))  # far from the relevance
    shown = slice_picture(headless, "Red", SIZE)
    assert coloured(shown).sum() < 0.01 * shown.shape[0] * shown.shape[1]
    views.show_over_scan(headless.scene, nodes.scan, None)
    plain = slice_picture(headless, "Red", SIZE)
    brain = plain[60:180, 60:180].mean()
    assert brain > 60  # the scan is seen through it
    assert abs(shown[60:180, 60:180].mean() - brain) < 3


def test_a_signed_map_shows_blue_and_red(built):
    headless, nodes = built
    views.show_over_scan(headless.scene, nodes.scan, nodes.maps["lrp"], opacity=0.9)
    colours = set()
    for point in ((27.0, -22.0, -15.0), (-14.0, 30.0, 40.0)):
        views.jump_to(headless.scene, point)
        picture = slice_picture(headless, "Red", SIZE).astype(int)
        mask = coloured(picture)
        if (mask & (picture[..., 0] > picture[..., 2])).sum() > 50:
            colours.add("red")
        if (mask & (picture[..., 2] > picture[..., 0])).sum() > 50:
            colours.add("blue")
    assert colours == {"red", "blue"}


@pytest.mark.parametrize("name", ["Red", "Yellow", "Green"])
def test_a_legend_is_drawn_in_each_slice_view(built, name):
    headless, _nodes = built
    picture = slice_picture(headless, name, (400, 400)).astype(int)
    strip = picture[:, int(0.94 * 400) :]  # the bar lies at the right edge
    spread = (strip.max(axis=2) - strip.min(axis=2))[: int(0.8 * 400)]
    assert (spread > 60).sum() > 300


def test_the_3d_view_shows_the_rendering_inside_the_surface(built):
    headless, nodes = built
    full = view_picture(headless, SIZE).astype(int)
    nodes.volume_rendering.SetVisibility(False)
    surface = view_picture(headless, SIZE).astype(int)
    nodes.surface.GetDisplayNode().SetVisibility(False)
    empty = view_picture(headless, SIZE).astype(int)
    brain = np.abs(surface - empty).sum(axis=2) > 12
    hot = np.abs(full - surface).sum(axis=2) > 60
    assert 0.05 < brain.mean() < 0.6
    assert 0.002 < hot.mean() < 0.1
    assert (hot & ~brain).sum() == 0


def test_a_picture_is_saved_as_png(tmp_path):
    from matplotlib import image

    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    save_png(picture, tmp_path / "picture.png")
    np.testing.assert_array_equal((image.imread(tmp_path / "picture.png")[..., :3] * 255).round(), picture)


@pytest.mark.parametrize("view", ["axial", "3d"])
def test_the_picture_is_like_the_committed_one(built, view):
    """Coarse on purpose: drivers draw edges and text a little differently, but not another picture.

    The references are written anew by ``MRI_INTERPRET_WRITE_REFERENCES=1``, and then looked at.
    """
    from matplotlib import image

    headless, nodes = built
    if view == "axial":
        views.show_over_scan(headless.scene, nodes.scan, nodes.maps["lrp"])
    picture = slice_picture(headless, "Red", SIZE) if view == "axial" else view_picture(headless, SIZE)
    path = Path(__file__).parent / "references" / f"{view}.png"
    if os.environ.get("MRI_INTERPRET_WRITE_REFERENCES"):
        save_png(picture, path)
    reference = image.imread(path)[..., :3] * 255.0

    def blocks(values):
        return values.reshape(SIZE[1] // 8, 8, SIZE[0] // 8, 8, 3).mean(axis=(1, 3))

    difference = np.abs(blocks(picture.astype(float)) - blocks(reference)).max(axis=2)
    assert difference.mean() < 3
    assert (difference > 40).mean() < 0.01
