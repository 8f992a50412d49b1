"""One :class:`~.evidence_cnn.EvidenceCNN3d` that is explained, and further ones beside it that say how sure it is.

The networks share all layers but the last two (a tree of networks: Lee et al. 2015, "Why M heads are better than one",
arXiv 1511.06314), so that the others cost two layers each and leave the first network's answer and maps as they are.
What they share cannot make them differ: the spread over them is smaller than that over networks trained apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UserError
from .evidence_cnn import EvidenceCNN3d, ScaleNorm3d

_OWN_LAYERS = ("joint.", "evidence.")


class EvidenceCommittee3d(EvidenceCNN3d):
    """An :class:`EvidenceCNN3d`, and last layers of further ones for its :meth:`member_logits`.

    Parameters
    ----------
    further
        How many further networks.
    arguments
        Of :class:`EvidenceCNN3d`.

    Attributes
    ----------
    further_joint
        (further, width, channels): the layer ``joint`` of each, its scale multiplied into its weights. No parameters:
        what is explained, made random or fine-tuned is the first network.
    further_evidence
        (further, num_classes, width).

    Raises
    ------
    ValueError
        If there are no further networks, or the arguments are not those of an :class:`EvidenceCNN3d`.
    """

    further_joint: Tensor
    further_evidence: Tensor

    def __init__(self, further: int = 4, **arguments: Any) -> None:
        super().__init__(**arguments)
        if further < 1:
            raise ValueError("there must be at least one further network")
        channels = self.joint[0].in_channels  # type: ignore[union-attr]
        assert isinstance(channels, int)
        self.register_buffer("further_joint", torch.zeros(further, self.width, channels))
        self.register_buffer("further_evidence", torch.zeros(further, self.num_classes, self.width))

    @classmethod
    def of(cls, network: EvidenceCNN3d, further: Sequence[EvidenceCNN3d]) -> EvidenceCommittee3d:
        """A trained network and others that share its first layers, in evaluation mode.

        Raises
        ------
        UserError
            If there are no others, or one differs in more than its last layers.
        """
        if not further:
            raise UserError("A committee needs at least one further network.")
        state = network.state_dict()
        for number, other in enumerate(further, start=2):
            theirs = other.state_dict()
            if other.arguments() != network.arguments() or any(
                not torch.equal(value, theirs[name])
                for name, value in state.items()
                if not name.startswith(_OWN_LAYERS)
            ):
                raise UserError(
                    f"Network {number} of the committee does not share the first one's layers: only the last two, "
                    "joint and evidence, may be its own."
                )
        committee = cls(len(further), **network.arguments())
        with torch.no_grad():
            committee.load_state_dict(state, strict=False)
            for number, other in enumerate(further):
                committee.further_joint[number] = _joint_weight(other)
                committee.further_evidence[number] = other.evidence.weight
        return committee.eval()

    def first(self) -> EvidenceCNN3d:
        """The network that is explained, by itself, with copies of its weights, in evaluation mode."""
        network = EvidenceCNN3d(**self.arguments())
        own = network.state_dict()
        network.load_state_dict({name: value for name, value in self.state_dict().items() if name in own})
        return network.eval()

    def member_logits(self, image: Tensor) -> Tensor:
        """Logits of each network by itself, the explained one first, (1 + further, N, num_classes)."""
        return self.member_logits_from(self.before_joint(image))

    def member_logits_from(self, values: Tensor) -> Tensor:
        """The same, of what the layer ``joint`` is given: (N, channels, I / 2, J / 2, K / 2)."""
        own = self._pooled(self.joint(values))
        found = [own @ self.evidence.weight.T]
        for weight, evidence in zip(self.further_joint, self.further_evidence, strict=True):
            # Networks that differ in their very last layer alone read the same features.
            shared = torch.equal(weight, _joint_weight(self))
            pooled = own if shared else self._pooled(functional.conv3d(values, weight[:, :, None, None, None]))
            found.append(pooled @ evidence.T)
        return torch.stack(found)

    def _pooled(self, joined: Tensor) -> Tensor:
        weighed = joined if self.gain is None else self.gain(joined)
        return weighed.relu().mean((2, 3, 4))

    def channels(self) -> dict[str, object]:
        """The arguments of the constructor that say how many further networks there are, and what the layers are."""
        return {"further": len(self.further_joint), **super().channels()}


def _joint_weight(network: EvidenceCNN3d) -> Tensor:
    """The layer ``joint`` as one matrix, its scale multiplied into it: (width, channels)."""
    convolution, norm = network.joint[0], network.joint[1]
    assert isinstance(norm, ScaleNorm3d)
    weight: Tensor = convolution.weight.flatten(1)  # type: ignore[operator, union-attr]
    return weight * norm.scale()[:, None]
