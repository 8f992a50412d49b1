"""Section "Scan": which volume, what kind of scan it is, where its brain is, and the model's further inputs."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from ..doors import choices
from .context import MASK, PanelContext
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
        self.ui.scanKindComboBox.connect("currentIndexChanged(int)", self.on_kind)

    def update(self) -> None:
        """Show what the parameter node holds."""
        mask = self.context.mask_node
        if self.ui.maskSelector.currentNode() is not mask:
            with quiet(self.ui.maskSelector):
                self.ui.maskSelector.setCurrentNode(mask)
        self.inputs.update()
        kinds = [(_(title), kind) for kind, title in choices.SCAN_KIND_TITLES.items()]
        fill_combo(self.ui.scanKindComboBox, kinds, self.context.parameters.scanKind)

    def on_mask(self, node: Any) -> None:
        if self.context.parameters:
            reference = node.GetID() if node is not None else None
            self.context.parameters.parameterNode.SetNodeReferenceID(MASK, reference)

    def on_kind(self, _index: int) -> None:
        self.context.choose("scanKind", chosen(self.ui.scanKindComboBox))

    def on_load_sample(self, _checked: bool = False) -> None:
        with slicer.util.tryWithErrorDisplay(_("The sample could not be loaded."), waitCursor=True):
            node = self.context.logic.loadSample()
            self.context.choose("inputVolume", node)
            slicer.util.setSliceViewerLayers(background=node, foreground=None, fit=True)
