"""The 3D picture: the hot spot is where it belongs, and a machine without 3D says so."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from mri_interpret.drawing.rendering import NoRendering, rendering_backend
from mri_interpret.drawing.surface_3d import _head, summary_picture
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.images.volume import Volume
from mri_interpret.planes.slices import as_float, brain_box
from PIL import Image


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def _spot(explanation: Explanation, side: float) -> Volume:
    """A summary with one hot spot, 35 mm to the side of the brain's centre."""
    index = np.moveaxis(np.indices(explanation.scan.shape, dtype=float), 0, -1)
    world = index @ explanation.scan.affine[:3, :3].T + explanation.scan.affine[:3, 3]
    centre = world[explanation.mask.array > 0].mean(axis=0) + np.array([side * 35.0, 0, 0])
    values = np.exp(-0.5 * (np.linalg.norm(world - centre, axis=-1) / 9.0) ** 2)
    return explanation.summary.with_array(values.astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize(("side", "left_half"), [(1.0, True), (-1.0, False)])
def test_seen_from_below_the_patients_right_is_on_the_left(
    small_explanation: Explanation, side: float, left_half: bool
) -> None:
    picture = summary_picture(_spot(small_explanation, side), small_explanation.mask, small_explanation.scan)
    pixels = _pixels(picture.data)
    width = pixels.shape[1] // 3
    below = pixels[:, 2 * width :]
    hot = (below[..., 0] - below[..., 2]) > 70
    assert hot.sum() > 50
    assert (np.argwhere(hot)[:, 1].mean() < width / 2) == left_half
    assert "right on the left" in picture.caption


@pytest.mark.slow
def test_a_zero_summary_shows_the_brain_alone(small_explanation: Explanation) -> None:
    nothing = small_explanation.summary.with_array(np.zeros(small_explanation.scan.shape, np.float32))
    picture = summary_picture(nothing, small_explanation.mask, small_explanation.scan)
    pixels = _pixels(picture.data)
    assert "zero everywhere" in picture.caption
    assert not ((pixels[..., 0] - pixels[..., 2]) > 70).any()
    assert (pixels.min(axis=-1) < 230).mean() > 0.05  # the brain is there


def test_the_head_is_drawn_for_a_whole_head_only(small_explanation: Explanation) -> None:
    box = brain_box(small_explanation.mask)
    scan = as_float(small_explanation.scan)
    stripped = scan.with_array(scan.array * small_explanation.mask.array)
    found = _head(scan, small_explanation.mask, box)
    assert found is not None
    head, grid = found
    brain = small_explanation.mask.array.sum() * small_explanation.scan.grid.voxel_volume
    assert 1.1 * brain < (head > 0.5).sum() * grid.voxel_volume < 3 * brain
    assert _head(stripped, small_explanation.mask, box) is None


def test_without_vtk_there_is_a_sentence_instead(
    small_explanation: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vtk", None)
    with pytest.raises(NoRendering, match="not installed"):
        summary_picture(small_explanation.summary, small_explanation.mask, small_explanation.scan)


def test_without_opengl_there_is_a_sentence_instead(
    small_explanation: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vtk

    class Blind(vtk.vtkRenderWindow):
        def SupportsOpenGL(self) -> int:
            return 0

    monkeypatch.setattr(vtk, "vtkRenderWindow", Blind)
    with pytest.raises(NoRendering, match="no OpenGL"):
        summary_picture(small_explanation.summary, small_explanation.mask, small_explanation.scan)


def test_an_empty_mask_does_not_break_the_picture(small_explanation: Explanation) -> None:
    empty = replace(small_explanation.mask, array=np.zeros(small_explanation.scan.shape, np.uint8))
    picture = summary_picture(small_explanation.summary, empty, small_explanation.scan)
    assert "nothing is drawn" in picture.caption


def run_python(script: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, with the modules that this one finds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="torch without Triton")
def test_a_network_can_be_loaded_after_a_picture_was_rendered() -> None:
    """Mesa's LLVM loaded before Triton's ends the process in a segmentation fault."""
    script = (
        "from mri_interpret.drawing.rendering import rendering_backend\n"
        "rendering_backend()\n"
        "import torch\n"
        "torch.nn.BatchNorm3d(2).eval().to('meta')(torch.zeros(1, 2, 4, 4, 4, device='meta'))\n"
        "print('both work')\n"
    )
    run = run_python(script)
    assert run.stdout.strip() == "both work", run.stderr[-2000:]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="torch without Triton")
def test_a_picture_can_be_rendered_where_mesa_was_loaded_by_others() -> None:
    """Slicer has drawn its own views by then: loading Triton now would end it."""
    script = (
        "import vtkmodules.vtkRenderingOpenGL2\n"
        "from vtkmodules.vtkRenderingCore import vtkRenderWindow\n"
        "window = vtkRenderWindow()\n"
        "window.SetOffScreenRendering(1)\n"
        "window.Render()\n"
        "from mri_interpret.drawing.rendering import rendering_backend\n"
        "rendering_backend()\n"
        "print('it works')\n"
    )
    run = run_python(script)
    assert run.stdout.strip() == "it works", run.stderr[-2000:]


def test_the_machines_rendering_is_named() -> None:
    assert "VTK" in rendering_backend()
