"""What the panel's sections share, and how they hear of one another: a section never holds another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..attribution.method import MethodInfo
from ..attribution.registry import DEFAULT_METHODS, available_methods
from ..doors import choices, status
from ..doors.models import ChosenModel, ModelList

# Node references, because parameterNodeWrapper has no type for "one of two classes, or none".
MASK, SEGMENTATION = "maskNode", "segmentationNode"


def input_reference(channel: str) -> str:
    """The node reference that holds a further input; channels may be called what they like, references may not."""
    return f"furtherInput{channel.encode('utf-8').hex()}"


class Signal:
    """Calls the functions that were connected, in the order they were."""

    def __init__(self) -> None:
        self._functions: list[Callable[..., None]] = []

    def connect(self, function: Callable[..., None]) -> None:
        """Call this, too, from now on."""
        self._functions.append(function)

    def emit(self, *arguments: Any) -> None:
        """Call all."""
        for function in self._functions:
            function(*arguments)


class PanelContext:
    """The widgets, the logic, the parameter node, and what was chosen with it.

    Parameters
    ----------
    ui
        The widgets of MRIInterpret.ui by name.
    logic
        MRIInterpretLogic.
    requirements
        The module's requirements.txt.

    Attributes
    ----------
    parameters
        MRIInterpretParameterNode, or None while the panel is not connected with a scene.
    changed
        Emitted when what the panel shows may be out of date.
    result_arrived
        Emitted with a MRIInterpretResult that is to be shown.
    display_changed
        Emitted when another map is shown, or the map is shown in another way.
    open_requested
        Emitted with the folder of a saved result that is to be opened.
    dicom_requested
        Emitted with a MRIInterpretResult and the folder that it is to be written to as DICOM.
    """

    def __init__(self, ui: Any, logic: Any, requirements: str | Path) -> None:
        self.ui = ui
        self.logic = logic
        self.requirements = Path(requirements)
        self.parameters: Any = None
        self.models = ModelList()
        self.known_methods: dict[str, MethodInfo] = available_methods()
        self.changed = Signal()
        self.result_arrived = Signal()
        self.display_changed = Signal()
        self.open_requested = Signal()
        self.dicom_requested = Signal()

    @property
    def model(self) -> ChosenModel:
        """The chosen model, else the first."""
        return self.models.chosen(self.parameters.model if self.parameters else "")

    @property
    def methods(self) -> list[str]:
        """The chosen methods, else the default ones."""
        return choices.chosen_methods(self.parameters.methods, DEFAULT_METHODS, list(self.known_methods))

    @property
    def mask_node(self) -> Any:
        """The node that marks the brain, or None."""
        return self.parameters.parameterNode.GetNodeReference(MASK)

    @property
    def input_nodes(self) -> dict[str, Any]:
        """The model's further inputs, by channel, for which a volume is chosen."""
        reference = self.parameters.parameterNode.GetNodeReference
        found = {channel: reference(input_reference(channel)) for channel in self.model.further_inputs}
        return {channel: node for channel, node in found.items() if node is not None}

    @property
    def missing_input(self) -> str:
        """The first of the model's further inputs for which no volume is chosen; empty if all have one."""
        chosen = self.input_nodes
        return next((channel for channel in self.model.further_inputs if channel not in chosen), "")

    @property
    def segmentation_node(self) -> Any:
        """The node that is the user's own segmentation of the brain, or None."""
        return self.parameters.parameterNode.GetNodeReference(SEGMENTATION)

    @property
    def busy(self) -> str:
        """Why no job can start now; empty if one can."""
        return status.busy(self.logic.running, self.logic.cohortRunning, self.logic.addingModel)

    def choose(self, name: str, value: Any) -> None:
        """Set a parameter, if the panel is connected with a scene."""
        if self.parameters:
            setattr(self.parameters, name, value)
