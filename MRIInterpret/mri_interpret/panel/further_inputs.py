"""A volume selector for each further input that the chosen model takes, below the scan's own."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .context import PanelContext, input_reference
from .widgets import quiet


class FurtherInputs:
    """Rows of a label and a selector, made when they are needed first; those of no use now are hidden, not deleted.

    Attributes
    ----------
    rows
        The label and the selector of each, in the order of the model's channels.
    """

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self.rows: list[tuple[Any, Any]] = []
        self._channels: tuple[str, ...] = ()

    def update(self) -> None:
        """Show a row for each further input of the chosen model, with the volume that is chosen."""
        self._channels = self.context.model.further_inputs
        while len(self.rows) < len(self._channels):
            self._add_row()
        chosen = self.context.input_nodes
        for number, (label, selector) in enumerate(self.rows):
            wanted = number < len(self._channels)
            label.visible = selector.visible = wanted
            if not wanted:
                continue
            channel = self._channels[number]
            label.text = f"{channel}:"
            selector.toolTip = _("The image that the model takes as {channel}, aligned with the scan.").format(
                channel=channel
            )
            if selector.currentNode() is not chosen.get(channel):
                with quiet(selector):
                    selector.setCurrentNode(chosen.get(channel))

    def _add_row(self) -> None:
        number = len(self.rows)
        label, selector = qt.QLabel(), slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = selector.addEnabled = selector.removeEnabled = False
        selector.noneEnabled = True
        with quiet(selector):
            selector.setMRMLScene(slicer.mrmlScene)
            selector.setCurrentNode(None)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._on_node(number, node))
        form_layout = self.context.ui.furtherInputsWidget.layout()
        form_layout.addRow(label, selector)
        self.rows.append((label, selector))

    def _on_node(self, number: int, node: Any) -> None:
        if self.context.parameters and number < len(self._channels):
            reference = input_reference(self._channels[number])
            node_id = node.GetID() if node is not None else None
            self.context.parameters.parameterNode.SetNodeReferenceID(reference, node_id)
