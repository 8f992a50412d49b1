"""The panel fits the screens that people have: nothing is cut, and it takes its colours from Slicer's style."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6 import QtGui, QtWidgets

ROOT = Path(__file__).resolve().parents[2] / "MRIInterpret"
NARROWEST = 440  # Qt's pixels that the panel has beside the views on a screen of 1366 x 768


def cut(panel):
    """The widgets on the screen whose words do not fit, with the words."""
    found = []
    for button in panel.findChildren(QtWidgets.QAbstractButton):
        words = QtWidgets.QAbstractButton.text(button)
        room = QtWidgets.QWidget.width(button)
        if words and QtWidgets.QWidget.isVisible(button) and "\n" not in words:
            needed = QtGui.QFontMetrics(QtWidgets.QWidget.font(button)).horizontalAdvance(words.replace("&", ""))
            if needed > room:
                found.append((words, needed, room))
    for label in panel.findChildren(QtWidgets.QLabel):
        words, room = QtWidgets.QLabel.text(label), QtWidgets.QWidget.width(label)
        if not words or not QtWidgets.QWidget.isVisible(label):
            continue
        if QtWidgets.QLabel.wordWrap(label):
            needed, room = QtWidgets.QLabel.heightForWidth(label, room), QtWidgets.QWidget.height(label)
        else:
            needed = QtWidgets.QLabel.minimumSizeHint(label).width()
        if needed > room:
            found.append((words, needed, room))
    return found


@pytest.fixture
def on_screen(host, shown):
    """The panel with a result, as wide as given and as high as it wants to be."""
    panel = shown.parent

    def at(width):
        panel.show()
        for _ in range(5):
            host.qt_application.processEvents()
            panel.resize(width, max(panel.sizeHint().height(), panel.minimumSizeHint().height()))
        return panel

    yield at
    panel.hide()


def test_nothing_is_cut_where_the_panel_is_narrow(on_screen):
    panel = on_screen(NARROWEST)
    assert QtWidgets.QWidget.width(panel) == NARROWEST, "the panel is wider than its place: it is scrolled sideways"
    assert cut(panel) == []


def test_what_is_cut_is_found(on_screen):
    panel = on_screen(NARROWEST)
    button = next(one for one in panel.findChildren(QtWidgets.QPushButton) if QtWidgets.QWidget.isVisible(one))
    QtWidgets.QWidget.setFixedWidth(button, 10)
    assert [words for words, _, _ in cut(panel)] == [QtWidgets.QPushButton.text(button)]


def test_colours_are_left_to_the_style():
    """In the dark, a colour of its own would be unreadable; the one warning has both of its colours."""
    for path in (ROOT / "Resources" / "UI").glob("*.ui"):
        assert not re.search(r"styleSheet|<palette>|<color", path.read_text("utf-8")), path.name
    styles = [
        line
        for path in (ROOT / "mri_interpret" / "panel").glob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"#[0-9a-f]{6}|QColor|<font|style=", line, re.IGNORECASE)
    ]
    assert len(styles) == 1, styles
    both = re.fullmatch(r".*background-color: (#\w{6}); color: white;.*", styles[0])
    assert both is not None
    assert contrast("#ffffff", both.group(1)) > 4.5


def contrast(one, other):
    """Of two colours, by WCAG 2.1."""

    def luminance(colour):
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
