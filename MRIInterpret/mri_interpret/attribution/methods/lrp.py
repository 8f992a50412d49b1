"""Layer-wise relevance propagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UserError
from ..method import Method, Reading

if TYPE_CHECKING:
    from torch import Tensor

    from ..composites import Composite
    from ..recorded_pass import RecordedPass


@dataclass(frozen=True)
class LRP(Method):
    """The score, handed down from layer to layer until it lies on the voxels.

    Parameters
    ----------
    composite
        Which rule each layer gets: a name from :func:`composites.composites`, or a
        :class:`composites.Composite` of one's own.
    bias
        ``"absorb"``, the default of every named composite: as in the papers a bias keeps the share of the score that
        it made, and the map adds up to what is left. That is no small part: between 6 and 68 % of the score is lost
        with epsilon-plus in the convolutional networks of ``Testing/oracles/attribution_zoo.md``;
        ``conservation_error`` in the details says how much of this one. ``"redistribute"``: that share goes to the
        voxels too, in proportion to the size of their contributions, and the map adds up to the score. None for what
        the composite says.
    """

    composite: str | Composite = "epsilon-plus-flat-foreground"
    bias: str | None = None

    name: ClassVar[str] = "lrp"
    title: ClassVar[str] = "LRP"
    reference: ClassVar[str] = "Bach et al. 2015, On pixel-wise explanations; Montavon et al. 2019, LRP: an overview"
    description: ClassVar[str] = "Every voxel's share of the score, handed down layer by layer."
    conserving: ClassVar[bool] = True
    strict: ClassVar[bool] = True
    reading: ClassVar[Reading] = "share"

    @property
    def read_as(self) -> Reading:
        """By size where the input layer's rule looks at no intensities (flat rules) or not at them alone (box)."""
        return self.reading if self.chosen().reads_intensity else "size"

    def __hash__(self) -> int:
        return hash((str(self.composite), self.bias))

    def chosen(self) -> Composite:
        """The composite with its treatment of biases."""
        from ..composites import composite_named

        try:
            composite = composite_named(self.composite) if isinstance(self.composite, str) else self.composite
        except ValueError as error:
            raise UserError(f"LRP has an {error}.") from error
        return composite if self.bias is None else composite.with_bias(self.bias)

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        composite = self.chosen()
        composite.check_names(recorded.ruled)
        relevance = recorded.relevance(composite).sum(1)
        values = recorded.explained.double()
        error = (relevance.double().flatten(1).sum(1) - values).abs() / values.abs().clamp(min=1e-12)
        return relevance, {"composite": composite.name, "bias": composite.bias, "conservation_error": error.tolist()}
