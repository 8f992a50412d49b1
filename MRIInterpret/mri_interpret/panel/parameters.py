"""What the user chose in the panel; Slicer saves it with the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ..explanation.options import DEFAULTS
from ..scene_content.display_range import SHOWN_TOP_PERCENT


@parameterNodeWrapper
class MRIInterpretParameterNode:
    """What the user chose; saved with the scene.

    inputVolume - The scan to explain.
    scanKind - "auto", "head", "brain" or "mni".
    model - Name or path of the model; empty for the default one.
    target - "predicted", a class name, or a difference such as "AD-CN".
    methods - Names of the attribution methods, separated by commas; empty for the seed panel.
    goal - Where a volume counterfactual takes the answer: "boundary", a class, a value or a probability.
    composite - LRP composite; empty for the default one.
    layer - Layer that Grad-CAM methods look at; empty for automatic.
    device - "auto", "cpu" or "cuda".
    trust - Trust checks: "off", "fast" or "full".
    regions - What regions are: "brain" (this brain's structures) or "atlas".
    replaceResult - Whether a new result takes the place of the one shown.
    resultRun - Name of the result that is shown.
    shownMap - The method whose map is shown, or "summary".
    opacity - Of the map over the scan.
    topPercent - Share of the brain's voxels that is shown.
    typedThreshold - Threshold that was typed, in the shown map's units; 0 to show the top percent.
    show3D - Whether the map is rendered in 3D.
    cohortTable - The participants table, or a BIDS folder.
    cohortOutput - Folder of the cohort's results.

    The brain mask and the user's own segmentation, each a segmentation or a label volume, are the node references
    "maskNode" and "segmentationNode" of the same MRML node.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    scanKind: str = "auto"
    model: str = ""
    target: str = DEFAULTS.target
    methods: str = ""
    goal: str = DEFAULTS.goal
    composite: str = ""
    layer: str = ""
    device: str = DEFAULTS.device
    trust: str = DEFAULTS.trust
    regions: str = DEFAULTS.regions
    replaceResult: bool = False
    resultRun: str = ""
    shownMap: str = "summary"
    opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.75
    topPercent: Annotated[float, WithinRange(0.1, 100.0)] = SHOWN_TOP_PERCENT
    typedThreshold: float = 0.0
    show3D: bool = True
    cohortTable: str = ""
    cohortOutput: str = ""
