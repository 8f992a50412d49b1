"""What a check of a model finds, each part in its own type, and as a record for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..drawing.canvas import Picture
from ..json_text import jsonable
from ..thresholds import CONSERVATION_ERROR


@dataclass(frozen=True)
class CheckedInput:
    """One scan on its way to the network, and what the network said about it.

    Attributes
    ----------
    source
        Which scan.
    problem
        Why the network was not run on it; empty if it was, and the rest then holds.
    left_out
        Whether it was not run because this scan is none for this network: no fault of the network.
    shape
        Of the input: channels, then voxels along the three axes.
    axes
        Where the three axes point, such as "RAS".
    values
        Of the channel that is explained: mean, sd, lowest and highest in the brain, share of zeros in all.
    registration
        The sentence on the alignment.
    warnings
        Of the input check.
    notices
        What the engine says of the network's outputs.
    values_of_outputs, probabilities, predicted
        The answer, by class.
    members_sd, members
        How far the networks of the model disagree, as in :class:`~mri_interpret.explanation.facts.Prediction`.
    picture
        The input below the scan.
    """

    source: str
    problem: str = ""
    left_out: bool = False
    shape: tuple[int, ...] = ()
    axes: str = ""
    values: dict[str, float] = field(default_factory=dict)
    registration: str = ""
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    values_of_outputs: dict[str, float] = field(default_factory=dict)
    probabilities: dict[str, float] = field(default_factory=dict)
    predicted: str = ""
    members_sd: dict[str, float] | None = None
    members: int = 1
    picture: Picture | None = None


@dataclass(frozen=True)
class MethodOutcome:
    """Whether a method makes a map of this network; the reason if it does not. ``default``: it runs by default."""

    name: str
    title: str
    default: bool
    applies: bool
    reason: str = ""


@dataclass(frozen=True)
class Conservation:
    """Whether LRP's map adds up to the score that it explains.

    Attributes
    ----------
    score
        What is explained.
    total, error
        Sum of the default map, in which biases keep their share, and how far it is from the score, relative to it.
    redistributed, redistributed_error
        The same where biases hand their share on: what is then missing, a rule of the network does not conserve.
    """

    score: float
    total: float
    error: float
    redistributed: float
    redistributed_error: float

    @property
    def conserves(self) -> bool:
        """Whether every rule conserves, to the threshold of the trust check."""
        return self.redistributed_error <= CONSERVATION_ERROR


@dataclass(frozen=True)
class Cost:
    """What one pass takes: seconds (median of some) and bytes beyond what the process held before."""

    device: str
    parameters: int
    forward_seconds: float
    forward_backward_seconds: float
    default_methods_seconds: float | None  # None if one of them does not apply
    forward_bytes: int
    forward_backward_bytes: int


@dataclass(frozen=True)
class ModelCheck:
    """All of it."""

    name: str
    path: Path
    version: str
    banner: str
    training_data: str
    network: str
    outputs: str
    inputs: tuple[CheckedInput, ...]
    cost: Cost | None
    methods: tuple[MethodOutcome, ...]
    conservation: Conservation | None
    open_questions: tuple[str, ...]
    measured_on: str  # which input methods, speed and conservation were tried on

    @property
    def troubles(self) -> tuple[str, ...]:
        """Sentences on what must be mended before the model's maps mean something; open questions are none."""
        found = [f"{one.source}: {one.problem}" for one in self.inputs if one.problem and not one.left_out]
        found += [f"{one.source}: {sentence}" for one in self.inputs for sentence in one.warnings]
        found += [
            f"{one.title} does not apply: {one.reason}" for one in self.methods if one.default and not one.applies
        ]
        if self.conservation is not None and not self.conservation.conserves:
            found.append(
                f"LRP does not conserve: with biases handed on, its map adds up to "
                f"{self.conservation.redistributed:.4g} instead of {self.conservation.score:.4g}."
            )
        return tuple(found)

    @property
    def sound(self) -> bool:
        """Whether there is no trouble."""
        return not self.troubles

    def record(self) -> dict[str, Any]:
        """For programs: JSON values, without the pictures."""
        record = {name: value for name, value in vars(self).items() if name not in ("inputs", "cost", "methods")}
        inputs = [{key: value for key, value in vars(one).items() if key != "picture"} for one in self.inputs]
        conservation = self.conservation
        plain: dict[str, Any] = jsonable(
            record
            | {
                "sound": self.sound,
                "troubles": self.troubles,
                "inputs": inputs,
                "cost": asdict(self.cost) if self.cost else None,
                "methods": {one.name: {k: v for k, v in vars(one).items() if k != "name"} for one in self.methods},
                "conservation": conservation and asdict(conservation) | {"conserves": conservation.conserves},
            }
        )
        return plain
