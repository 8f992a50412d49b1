"""Section "Result": the prediction, which map is shown and how, regions, agreement; saved results are opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..doors import result_tables, shown_map
from . import result_widgets
from .context import PanelContext
from .cursor_readout import CursorReadout
from .saving_section import NO_RESULT_YET
from .table_copies import offer_copies
from .widgets import chosen, enable, fill_combo, quiet

if TYPE_CHECKING:
    from ..doors.result import MRIInterpretResult


class ResultSection:
    """Wires the section's widgets with the result that is shown."""

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self.ui = context.ui
        self._drawn: tuple[Any, ...] = ()  # what the lists and tables show: the result, what there is of it, the map
        self._held: tuple[MRIInterpretResult | None, ...] = ()  # the result that is shown, while the panel is updated
        self._magnitudes: Any = None  # of the map that is drawn; None for labels
        self.cursor = CursorReadout(context, self._under_the_mouse)
        context.result_arrived.connect(self.on_result_arrived)
        ui = self.ui
        ui.resultComboBox.connect("currentIndexChanged(int)", self.on_result)
        ui.openResultButton.connect("clicked(bool)", self.on_open_result)
        ui.mapList.connect("currentRowChanged(int)", self.on_map)
        ui.mapList.connect("itemActivated(QListWidgetItem*)", self.on_map_activated)
        for table in (ui.regionTable, ui.volumeTable, ui.agreementTable, ui.trustTable):
            offer_copies(table)
        ui.opacitySlider.connect("valueChanged(double)", self.on_opacity)
        ui.topSlider.connect("valueChanged(double)", self.on_top)
        ui.thresholdLineEdit.connect("editingFinished()", self.on_threshold)
        ui.coloursComboBox.connect("currentIndexChanged(int)", self.on_colours)
        ui.show3DCheckBox.connect("toggled(bool)", self.on_show_3d)
        ui.jumpButton.connect("clicked(bool)", self.on_jump)
        ui.regionTable.connect("itemSelectionChanged()", self.on_region)
        ui.volumeTable.connect("itemSelectionChanged()", self.on_structure)
        ui.showAnatomyCheckBox.connect("toggled(bool)", self.on_show_anatomy)

    def _under_the_mouse(self) -> tuple[Any, str, Any]:
        result = self.result
        return result, self.key if result is not None else "", self._magnitudes

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it, results are looked for in the scene once, however often they are asked for."""
        before = self._held
        self._held = before or (self._find(),)
        try:
            yield
        finally:
            self._held = before

    @property
    def result(self) -> MRIInterpretResult | None:
        """The result that is shown: the chosen one, else the newest in the scene."""
        return self._held[0] if self._held else self._find()

    def _find(self) -> MRIInterpretResult | None:
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
        wanted = str(self.context.parameters.shownMap) if result is not None else ""
        return wanted if result is not None and wanted in result.nodes.volumes else "summary"

    def forget(self) -> None:
        """The lists and tables may be of another scene: fill them anew."""
        self._drawn = ()

    def update(self) -> None:
        """Show the results to choose from and the chosen one's numbers, and what can be pressed."""
        runs = self.context.logic.results()
        result = self.result
        fill_combo(self.ui.resultComboBox, [(run, run) for run in runs], result.run if result else "")
        self.ui.resultComboBox.toolTip = result.run if result else _("The results in the scene.")  # names are long
        missing = "" if result else _(NO_RESULT_YET)
        shown = (self.ui.mapList, self.ui.opacitySlider, self.ui.topSlider, self.ui.thresholdLineEdit)
        for widget in (*shown, self.ui.coloursComboBox, self.ui.show3DCheckBox, self.ui.resultComboBox):
            widget.enabled = not missing
        if result is not None:
            from ..scene import map_display

            for widget in (self.ui.topSlider, self.ui.thresholdLineEdit, self.ui.coloursComboBox):
                widget.enabled = map_display.has_threshold(result.nodes, self.key)
        enable(self.ui.openResultButton, _(self.context.busy), _("Open the folder of a saved result."))
        enable(self.ui.jumpButton, missing, _("Move the slices to the voxel with the largest magnitude."))
        enable(self.ui.showAnatomyCheckBox, missing, _("Outline every region in the slices, in its own colour."))
        self._show_outlines(result)
        nodes = result.nodes if result else None
        there = (nodes.run, tuple(nodes.volumes), tuple(nodes.tables)) if nodes else (self._why_none(),)
        drawn = (there, self.key)
        if drawn != self._drawn:
            before, self._drawn = self._drawn, drawn
            self._draw(result, new=not before or before[0] != there)

    def _why_none(self) -> str:
        return result_tables.why_no_result(slicer.mrmlScene)

    def _draw(self, result: MRIInterpretResult | None, new: bool) -> None:
        """Fill the lists and tables; those that are the same for every map only if the result is ``new`` here."""
        if result is None:
            self._magnitudes = None
            result_widgets.clear(self.ui, self._why_none())
            return
        from ..scene import map_display

        nodes, key = result.nodes, self.key
        if new:
            result_widgets.show_result(self.ui, nodes)
        result_widgets.show_map(self.ui, nodes, key)
        self._magnitudes = shown_map.magnitudes_of(nodes, key)
        colours = [(_(title), name) for title, name in map_display.colour_choices(nodes, key)]
        fill_combo(self.ui.coloursComboBox, colours, map_display.colours_of(nodes, key))
        self._show_threshold()

    @property
    def _value(self) -> float | None:
        """The threshold that was chosen, as a value or as a share; None for labels, which have none."""
        parameters = self.context.parameters
        return shown_map.threshold_of(self._magnitudes, parameters.typedThreshold, parameters.topPercent)

    def show(self, over_slices: bool = True) -> None:
        """Show the chosen map in the views: slices, colour bar, threshold, 3D; panel and nodes say the same then."""
        with self.held():
            result = self.result
            if result is None:
                return
            from ..scene import map_display

            self.update()
            parameters = self.context.parameters
            map_display.show(
                slicer.mrmlScene,
                result.nodes,
                self.key,
                value=self._value,
                opacity=parameters.opacity,
                show_3d=parameters.show3D,
                over_slices=over_slices,
            )
            self._show_threshold()
            self.context.display_changed.emit()

    def enter(self) -> None:
        """The panel comes into view, or a scene was opened: views that show something else are left alone."""
        result = self.result
        if result is not None:
            from ..scene import map_display

            self.show(over_slices=map_display.is_over_slices(slicer.mrmlScene, result.nodes))

    def on_result_arrived(self, result: MRIInterpretResult) -> None:
        """Choose a new result and show it."""
        self.forget()  # it may have the name of the one whose place it took
        if self.context.parameters:
            with slicer.util.NodeModify(self.context.parameters.parameterNode):  # the panel is updated once
                self.context.parameters.typedThreshold = 0.0
                self.context.parameters.resultRun = result.run
            self.show()
        else:  # another module is open: shown when this one is entered
            self.context.logic.getParameterNode().resultRun = result.run

    def on_result(self, _index: int) -> None:
        if self.context.parameters:
            self.context.parameters.typedThreshold = 0.0
            self.context.parameters.resultRun = chosen(self.ui.resultComboBox)
            from ..scene import map_display

            result = self.result
            elsewhere = result is not None and not map_display.is_over_slices(slicer.mrmlScene, result.nodes)
            self.show()
            if result is not None and elsewhere:  # of another scan, which may lie where the views do not look
                map_display.fit(slicer.mrmlScene, result.nodes, self.key)

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
            self.context.parameters.typedThreshold = 0.0  # of another map: it would mean another share
            self.context.parameters.shownMap = item.data(qt.Qt.UserRole)
            self.show()

    def on_map_activated(self, _item: Any) -> None:
        """A map was double-clicked: show what the trust checks found about it."""
        self.ui.trustGroupBox.collapsed = False
        self.ui.trustTable.setFocus()

    def on_opacity(self, value: float) -> None:
        result = self.result
        if result is not None:
            from ..scene import map_display

            self.context.choose("opacity", value)  # the slider tells this section before the parameter node
            map_display.show_over_slices(slicer.mrmlScene, result.nodes, self.key, value)
            self.context.display_changed.emit()

    def on_top(self, value: float) -> None:
        if self.result is not None:
            self.context.parameters.typedThreshold = 0.0
            self.context.parameters.topPercent = value
            self._apply_threshold()

    def on_threshold(self) -> None:
        """A value was typed, or the field was left as it is; what is no number changes nothing."""
        text = self.ui.thresholdLineEdit.text
        if self._magnitudes is None or text == self._threshold_text():
            return
        value = shown_map.read_threshold(text)
        if value is None:
            self._show_threshold()
            slicer.util.showStatusMessage(_("{text} is no number: the threshold stays.").format(text=text), 5000)
            return
        parameters = self.context.parameters
        parameters.typedThreshold = value
        parameters.topPercent = shown_map.share_of(self._magnitudes, value)
        self._apply_threshold()

    def _apply_threshold(self) -> None:
        from ..scene import map_display

        if self._value is not None:
            map_display.set_threshold(self.result.nodes, self.key, self._value)  # type: ignore[union-attr]
        self._show_threshold()
        self.context.display_changed.emit()

    def _threshold_text(self) -> str:
        """The threshold that is in force: what the display nodes say."""
        result = self.result
        return shown_map.threshold_text(result.nodes, self.key) if result is not None and self._magnitudes else ""

    def _show_threshold(self) -> None:
        with quiet(self.ui.thresholdLineEdit, self.ui.topSlider):
            self.ui.thresholdLineEdit.text = self._threshold_text()
            self.ui.topSlider.value = self.context.parameters.topPercent

    def on_colours(self, _index: int) -> None:
        result = self.result
        if result is not None and self._magnitudes is not None:
            from ..scene import map_display

            map_display.set_colours(result.nodes, self.key, chosen(self.ui.coloursComboBox))
            self._show_threshold()

    def on_show_3d(self, wanted: bool) -> None:
        result = self.result
        if result is not None:
            from ..scene import map_display

            map_display.show_in_3d(result.nodes, self.key, wanted)

    def on_jump(self, _checked: bool = False) -> None:
        result = self.result
        if result is not None:
            self.context.logic.jumpToHottest(result, self.key)

    def on_region(self) -> None:
        """Outline the chosen region, and move the slices to the map's peak in it."""
        result, row = self.result, self.ui.regionTable.currentRow()
        if result is None or row < 0:
            return
        row_key = self.ui.regionTable.item(row, 0).data(qt.Qt.UserRole)
        shown_map.go_to_region(slicer.mrmlScene, result.nodes, tuple(row_key))
        self._show_outlines(result)

    def on_structure(self) -> None:
        """Outline the chosen structure, and move the slices to its centre."""
        result, row = self.result, self.ui.volumeTable.currentRow()
        if result is None or row < 0:
            return
        label = int(self.ui.volumeTable.item(row, 0).data(qt.Qt.UserRole))
        self.context.logic.outlineRegion(result, label)
        self._show_outlines(result)

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
