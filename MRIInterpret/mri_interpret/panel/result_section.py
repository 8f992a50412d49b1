"""Section "Result": the prediction, which map is shown and how, regions, agreement, the report; saved results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..atomic import write_text
from ..doors import result_tables
from . import result_widgets
from .context import PanelContext
from .widgets import chosen, enable, fill_combo, number, quiet

if TYPE_CHECKING:
    from ..doors.result import MRIInterpretResult


class ResultSection:
    """Wires the section's widgets with the result that is shown."""

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self.ui = context.ui
        self._drawn: tuple[str, str] | None = ("", "")  # the result and map that the lists and tables show
        self._magnitudes: Any = None
        context.result_arrived.connect(self.on_result_arrived)
        ui = self.ui
        ui.resultComboBox.connect("currentIndexChanged(int)", self.on_result)
        ui.openResultButton.connect("clicked(bool)", self.on_open_result)
        ui.mapList.connect("currentRowChanged(int)", self.on_map)
        ui.opacitySlider.connect("valueChanged(double)", self.on_opacity)
        ui.topSlider.connect("valueChanged(double)", self.on_top)
        ui.thresholdLineEdit.connect("editingFinished()", self.on_threshold)
        ui.coloursComboBox.connect("currentIndexChanged(int)", self.on_colours)
        ui.show3DCheckBox.connect("toggled(bool)", self.on_show_3d)
        ui.jumpButton.connect("clicked(bool)", self.on_jump)
        ui.saveReportButton.connect("clicked(bool)", self.on_save_report)
        ui.regionTable.connect("itemSelectionChanged()", self.on_region)
        ui.volumeTable.connect("itemSelectionChanged()", self.on_structure)
        ui.showAnatomyCheckBox.connect("toggled(bool)", self.on_show_anatomy)
        ui.exportVolumesButton.connect("clicked(bool)", self.on_export_volumes)

    @property
    def result(self) -> MRIInterpretResult | None:
        """The result that is shown: the chosen one, else the newest in the scene."""
        runs = self.context.logic.results()
        if not runs or not self.context.parameters:
            return None
        wanted = self.context.parameters.resultRun
        result: MRIInterpretResult | None = self.context.logic.result(wanted if wanted in runs else runs[-1])
        return result

    @property
    def key(self) -> str:
        """The map that is shown."""
        result = self.result
        wanted = str(self.context.parameters.shownMap)
        return wanted if result is not None and wanted in result.nodes.maps else "summary"

    def forget(self) -> None:
        """The lists and tables may be of another scene: fill them anew."""
        self._drawn = ("", "")

    def update(self) -> None:
        """Show the results to choose from and the chosen one's numbers, and what can be pressed."""
        runs = self.context.logic.results()
        result = self.result
        fill_combo(self.ui.resultComboBox, [(run, run) for run in runs], result.run if result else "")
        missing = "" if result else _("There is no result yet: press Explain, or open a saved result.")
        shown = (self.ui.mapList, self.ui.opacitySlider, self.ui.topSlider, self.ui.thresholdLineEdit)
        for widget in (*shown, self.ui.coloursComboBox, self.ui.show3DCheckBox, self.ui.resultComboBox):
            widget.enabled = not missing
        enable(self.ui.openResultButton, _(self.context.busy), _("Open the folder of a saved result."))
        enable(self.ui.jumpButton, missing, _("Move the slices to the voxel with the largest magnitude."))
        unsaved = missing or (
            _("This result came with a saved scene: run Explain again to save its report.")
            if result and not result.complete
            else ""
        )
        enable(self.ui.saveReportButton, unsaved, _("Save everything as one HTML page."))
        unmeasured = missing or (
            "" if result and "volumes" in result.nodes.tables else _("This brain was not segmented: run Explain again.")
        )
        enable(self.ui.exportVolumesButton, unmeasured, _("Save the volumes as a table (CSV)."))
        enable(self.ui.showAnatomyCheckBox, missing, _("Outline every region in the slices, in its own colour."))
        self._show_outlines(result)
        drawn = (result.run, self.key) if result else None
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(result)

    def _draw(self, result: MRIInterpretResult | None) -> None:
        if result is None:
            self._magnitudes = None
            result_widgets.clear(self.ui)
            return
        from ..scene import map_display

        nodes, key = result.nodes, self.key
        result_widgets.show(self.ui, nodes, key)
        self._magnitudes = map_display.Magnitudes(map_display.node_of(nodes, key))
        colours = [(_(title), name) for title, name in map_display.colour_choices(nodes, key)]
        fill_combo(self.ui.coloursComboBox, colours, map_display.colours_of(nodes, key))
        with quiet(self.ui.topSlider):
            self.ui.topSlider.value = self.context.parameters.topPercent
        self._show_threshold()

    def show(self) -> None:
        """Show the chosen map in the views: slices, threshold, 3D."""
        result = self.result
        if result is None:
            return
        from ..scene import map_display
        from ..scene.result_nodes import hide_others

        self.update()
        hide_others(slicer.mrmlScene, result.run)
        map_display.show_over_slices(slicer.mrmlScene, result.nodes, self.key, self.context.parameters.opacity)
        self._apply_top()
        map_display.show_in_3d(result.nodes, self.key, self.context.parameters.show3D)

    def on_result_arrived(self, result: MRIInterpretResult) -> None:
        """Choose a new result and show it."""
        if self.context.parameters:
            self.context.parameters.resultRun = result.run
            self.show()

    def on_result(self, _index: int) -> None:
        if self.context.parameters:
            self.context.parameters.resultRun = chosen(self.ui.resultComboBox)
            self.show()

    def on_open_result(self, _checked: bool = False) -> None:
        """Ask for the folder of a saved result, and have it opened."""
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder of a saved result"), str(Path.home())
        )
        if folder:
            self.context.open_requested.emit(folder)

    def on_map(self, row: int) -> None:
        item = self.ui.mapList.item(row)
        if item is not None and self.context.parameters:
            self.context.parameters.shownMap = item.data(qt.Qt.UserRole)
            self.show()

    def on_opacity(self, value: float) -> None:
        result = self.result
        if result is not None:
            from ..scene import map_display

            map_display.show_over_slices(slicer.mrmlScene, result.nodes, self.key, value)

    def on_top(self, value: float) -> None:
        if self.result is not None:
            self.context.parameters.topPercent = value
            self._apply_top()

    def _apply_top(self) -> None:
        self._threshold(self._magnitudes.value_of_top(self.context.parameters.topPercent))
        self._show_threshold()

    def on_threshold(self) -> None:
        if self.result is None:
            return
        try:
            value = abs(float(self.ui.thresholdLineEdit.text))
        except ValueError:
            self._show_threshold()
            return
        with quiet(self.ui.topSlider):
            self.context.parameters.topPercent = min(max(self._magnitudes.top_of_value(value), 0.1), 100.0)
            self.ui.topSlider.value = self.context.parameters.topPercent
        self._threshold(value)

    def _threshold(self, value: float) -> None:
        from ..scene import map_display

        map_display.set_threshold(self.result.nodes, self.key, value)  # type: ignore[union-attr]

    def _show_threshold(self) -> None:
        with quiet(self.ui.thresholdLineEdit):
            value = self._magnitudes.value_of_top(self.context.parameters.topPercent)
            self.ui.thresholdLineEdit.text = f"{number(value):g}"

    def on_colours(self, _index: int) -> None:
        result = self.result
        if result is not None:
            from ..scene import map_display

            map_display.set_colours(result.nodes, self.key, chosen(self.ui.coloursComboBox))
            self._apply_top()

    def on_show_3d(self, wanted: bool) -> None:
        result = self.result
        if result is not None:
            from ..scene import map_display

            map_display.show_in_3d(result.nodes, self.key, wanted)

    def on_jump(self, _checked: bool = False) -> None:
        result = self.result
        if result is not None:
            from ..scene import map_display

            map_display.jump_to_hottest(slicer.mrmlScene, result.nodes, self.key)

    def on_region(self) -> None:
        """Outline the chosen region, and move the slices to the map's peak in it."""
        result, row = self.result, self.ui.regionTable.currentRow()
        if result is None or row < 0:
            return
        from ..scene import map_display
        from ..scene.atlas import highlight

        label, *peak = self.ui.regionTable.item(row, 0).data(qt.Qt.UserRole)
        highlight(result.nodes.atlas, int(label))
        self._show_outlines(result)
        map_display.jump_to_local(slicer.mrmlScene, result.nodes, tuple(peak))

    def on_structure(self) -> None:
        """Outline the chosen structure, and move the slices to its centre."""
        result, row = self.result, self.ui.volumeTable.currentRow()
        if result is None or row < 0:
            return
        from ..scene import views
        from ..scene.atlas import centre, highlight

        label = int(self.ui.volumeTable.item(row, 0).data(qt.Qt.UserRole))
        highlight(result.nodes.atlas, label)
        self._show_outlines(result)
        place = centre(result.nodes.atlas, label)
        if place is not None:
            views.jump_to(slicer.mrmlScene, place)

    def _show_outlines(self, result: MRIInterpretResult | None) -> None:
        """Tick the box if every region is outlined."""
        with quiet(self.ui.showAnatomyCheckBox):
            if result is None:
                self.ui.showAnatomyCheckBox.checked = False
                return
            from ..scene.atlas import all_outlined

            self.ui.showAnatomyCheckBox.checked = all_outlined(result.nodes.atlas)

    def on_show_anatomy(self, wanted: bool) -> None:
        result = self.result
        if result is not None:
            from ..scene.atlas import outline_all

            outline_all(result.nodes.atlas, wanted)

    def on_export_volumes(self, _checked: bool = False) -> None:
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Export volumes"), "volumes.csv", "CSV (*.csv)"
        )
        if path:
            with slicer.util.tryWithErrorDisplay(_("The volumes could not be saved."), waitCursor=True):
                write_text(path, result_tables.volumes_csv(self.result.nodes))  # type: ignore[union-attr]
                slicer.util.showStatusMessage(_("Saved {path}").format(path=path), 5000)

    def on_save_report(self, _checked: bool = False) -> None:
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Save report"), "report.html", "HTML (*.html)"
        )
        if path:
            with slicer.util.tryWithErrorDisplay(_("The report could not be saved."), waitCursor=True):
                self.result.save_report(path)  # type: ignore[union-attr]
                slicer.util.showStatusMessage(_("Saved {path}").format(path=path), 5000)
