"""Section "Scan": which volume, what kind of scan it is, and where its brain is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .widgets import chosen, fill_combo, quiet

if TYPE_CHECKING:
    from .panel import Panel

MASK = "maskNode"  # a reference, not a parameter: parameterNodeWrapper has no type for "one of two classes, or none"


class ScanSection:
    """Wires the section's widgets with the parameter node."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.ui = panel.ui
        self.ui.loadSampleButton.connect("clicked(bool)", self.on_load_sample)
        self.ui.maskSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.on_mask)
        self.ui.scanKindComboBox.connect("currentIndexChanged(int)", self.on_kind)

    @property
    def mask(self) -> Any:
        """The node that marks the brain, or None."""
        return self.panel.parameters.parameterNode.GetNodeReference(MASK)

    def update(self) -> None:
        if self.ui.maskSelector.currentNode() is not self.mask:
            with quiet(self.ui.maskSelector):
                self.ui.maskSelector.setCurrentNode(self.mask)
        kinds = [
            (_("Automatic"), "auto"),
            (_("Whole head"), "head"),
            (_("Skull-stripped brain"), "brain"),
            (_("Already in MNI space"), "mni"),
        ]
        fill_combo(self.ui.scanKindComboBox, kinds, self.panel.parameters.scanKind)

    def on_mask(self, node: Any) -> None:
        if self.panel.parameters:
            reference = node.GetID() if node is not None else None
            self.panel.parameters.parameterNode.SetNodeReferenceID(MASK, reference)

    def on_kind(self, _index: int) -> None:
        if self.panel.parameters:
            self.panel.parameters.scanKind = chosen(self.ui.scanKindComboBox)

    def on_load_sample(self, _checked: bool = False) -> None:
        with slicer.util.tryWithErrorDisplay(_("The sample could not be loaded."), waitCursor=True):
            node = self.panel.logic.loadSample()
            if self.panel.parameters:
                self.panel.parameters.inputVolume = node
            slicer.util.setSliceViewerLayers(background=node, foreground=None, fit=True)
