"""Section "Scan": the volume, its kind, its brain, a segmentation of one's own, the model's further inputs."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from ..doors import choices
from .context import MASK, SEGMENTATION, PanelContext
from .further_inputs import FurtherInputs
from .widgets import chosen, fill_combo, quiet


class ScanSection:
    """Wires the section's widgets with the parameter node."""

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self.ui = context.ui
        self.inputs = FurtherInputs(context)
        self.ui.loadSampleButton.connect("clicked(bool)", self.on_load_sample)
        self.ui.maskSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.on_mask)
        self.ui.segmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.on_segmentation)
        self.ui.scanKindComboBox.connect("currentIndexChanged(int)", self.on_kind)

    def update(self) -> None:
        """Show what the parameter node holds."""
        for selector, node in (
            (self.ui.maskSelector, self.context.mask_node),
            (self.ui.segmentationSelector, self.context.segmentation_node),
        ):
            if selector.currentNode() is not node:
                with quiet(selector):
                    selector.setCurrentNode(node)
        self.inputs.update()
        kinds = [(_(title), kind) for kind, title in choices.SCAN_KIND_TITLES.items()]
        fill_combo(self.ui.scanKindComboBox, kinds, self.context.parameters.scanKind)

    def on_mask(self, node: Any) -> None:
        self._refer(MASK, node)

    def on_segmentation(self, node: Any) -> None:
        self._refer(SEGMENTATION, node)

    def _refer(self, role: str, node: Any) -> None:
        if self.context.parameters:
            reference = node.GetID() if node is not None else None
            self.context.parameters.parameterNode.SetNodeReferenceID(role, reference)

    def on_kind(self, _index: int) -> None:
        self.context.choose("scanKind", chosen(self.ui.scanKindComboBox))

    def on_load_sample(self, _checked: bool = False) -> None:
        with slicer.util.tryWithErrorDisplay(_("The sample could not be loaded."), waitCursor=True):
            node = self.context.logic.loadSample()
            self.context.choose("inputVolume", node)
            slicer.util.setSliceViewerLayers(background=node, foreground=None, fit=True)
