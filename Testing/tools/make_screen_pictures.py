"""Take pictures of the panel as three screens show it: 1366 x 768, 4K with scale 2, and in the dark.

Run ``python -m Testing.tools.make_screen_pictures [RESULT [FOLDER]]`` when the panel changed, and look at what it made.
RESULT is a saved result of the sample; left out, the sample is explained. Each picture shows the panel page by page, as
it is scrolled: a page is what the window leaves for the panel on that screen. It is the stand-in's panel: the style
is Qt's Fusion, whose colours and margins Slicer's own style follows.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# ruff: noqa: E402 - the imports below need the stand-in that install() puts in place
from Testing.host.standin import install

host = install()

import slicer
from mri_interpret.panel import environment
from PIL import Image
from PySide6 import QtCore, QtGui, QtWidgets

import MRIInterpret

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
AROUND = 200  # pixels of the screen's height that menus, tool bars, the module's selector and the data probe take
GAP = 8  # pixels between pages
COLOURS = 64  # of a picture: few, so that it is small


@dataclass(frozen=True)
class Screen:
    """A screen, and the style of Slicer on it; ``size`` in its own pixels, of which ``scale`` make one of Qt's."""

    name: str
    size: tuple[int, int]
    scale: int
    width: int  # of the panel, in Qt's pixels
    dark: bool = False
    most: int = 4  # pages in the picture: more would make it large

    @property
    def page(self) -> int:
        """The height of a page, in Qt's pixels."""
        return self.size[1] // self.scale - AROUND


SCREENS = (
    Screen("panel_1366x768", (1366, 768), 1, 440),
    Screen("panel_4k_scale_2", (3840, 2160), 2, 500, most=2),
    Screen("panel_dark", (1920, 1080), 1, 440, dark=True),
)


def palette(dark: bool) -> Any:
    """Light or dark: all other colours follow from that of a button and of a window."""
    if dark:
        return QtGui.QPalette(QtGui.QColor("#353535"), QtGui.QColor("#353535"))
    return QtWidgets.QStyleFactory.create("Fusion").standardPalette()


def laid_out(panel: Any, width: int) -> int:
    """Give the panel a width and the height that it then wants to have; the height."""
    for _ in range(5):
        host.qt_application.processEvents()
        panel.resize(width, max(panel.sizeHint().height(), panel.minimumSizeHint().height()))
    return QtWidgets.QWidget.height(panel)


def pages(panel: Any, screen: Screen) -> Any:
    """One picture of all pages side by side, in the screen's pixels."""
    height = laid_out(panel, screen.width)
    whole = QtGui.QPixmap(screen.width * screen.scale, height * screen.scale)
    whole.setDevicePixelRatio(screen.scale)
    panel.render(whole)
    count = min(-(-height // screen.page), screen.most)
    step, gap = screen.width * screen.scale, GAP * screen.scale
    picture = QtGui.QPixmap(count * (step + gap) - gap, screen.page * screen.scale)
    picture.fill(QtGui.QColor("#808080"))
    whole.setDevicePixelRatio(1)
    painter = QtGui.QPainter(picture)
    for number in range(count):
        top = min(number * screen.page, max(height - screen.page, 0))  # the last page ends where the panel does
        source = QtCore.QRect(0, top * screen.scale, step, screen.page * screen.scale)
        painter.drawPixmap(QtCore.QPoint(number * (step + gap), 0), whole, source)
    painter.end()
    return picture


def save(picture: Any, path: Path) -> None:
    """As PNG with a palette, which is small."""
    picture.save(str(path))
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            path, optimize=True
        )


def main(result: str = "", folder: Path = FOLDER) -> None:
    environment.ensure = lambda _requirements, _button="": None
    folder.mkdir(parents=True, exist_ok=True)
    application = host.qt_application
    application.setStyle("Fusion")
    widget = MRIInterpret.MRIInterpretWidget()
    widget.setup()
    try:
        if result:
            shown = widget.logic.openResult(result)
        else:
            scan = widget.logic.loadSample()
            shown = widget.logic.explain(scan, device="cpu", trust="fast")
        widget._parameterNode.inputVolume = shown.nodes.scan or slicer.mrmlScene.GetFirstNodeByClass(
            "vtkMRMLScalarVolumeNode"
        )
        widget.panel.result.on_result_arrived(shown)
        widget.ui.mapList.setCurrentRow(1)
        widget.parent.show()
        for screen in SCREENS:
            application.setPalette(palette(screen.dark))
            widget.panel.result.forget()  # signs stand on the list's ground
            widget.panel.update()
            save(pages(widget.parent, screen), folder / f"{screen.name}.png")
    finally:
        widget.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", nargs="?", default="")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    options = parser.parse_args()
    main(options.result, options.folder)
