"""Several trainings of one :class:`~.evidence_cnn.EvidenceCNN3d` as one network, whose logits are the mean of theirs.

Their features lie side by side before one last ReLU, and one linear layer reads them all, so that every attribution
method meets what it meets in a single network: a sum over places, without biases, positively homogeneous.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from .evidence_cnn import EvidenceCNN3d
from .evidence_sum import EvidenceSum

_EVIDENCE = "evidence.weight"


class _Features3d(EvidenceCNN3d):
    """An :class:`EvidenceCNN3d` up to its last ReLU: the ensemble has that, and the layer behind it, for all members.

    Parameters
    ----------
    arguments
        Of :class:`EvidenceCNN3d`.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        del self.last_relu, self.evidence

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, in_channels, I, J, K) to features of either sign (N, joint_channels, I / 2, J / 2, K / 2)."""
        return self.before_last_relu(image)


class EvidenceEnsemble3d(EvidenceSum):
    """The mean of several :class:`EvidenceCNN3d`, computed as one network.

    Parameters
    ----------
    members
        How many.
    arguments
        Of each, see :class:`EvidenceCNN3d`.

    Raises
    ------
    ValueError
        If there are no members, or the arguments are not those of an :class:`EvidenceCNN3d`.
    """

    #: Where the recorded pass of the main job reads what :meth:`member_logits_from` needs, see models/members.py.
    members_read_at = "evidence"

    def __init__(self, members: int = 3, **arguments: Any) -> None:
        super().__init__()
        if members < 1:
            raise ValueError("there must be at least one member")
        one = EvidenceCNN3d(**arguments)
        self._arguments = one.arguments()
        self.members = nn.ModuleList(_Features3d(**arguments) for _ in range(members))
        self.last_relu = nn.ReLU()
        self.evidence = nn.Linear(members * one.width, one.num_classes, bias=False)

    @classmethod
    def of(cls, networks: Sequence[EvidenceCNN3d]) -> EvidenceEnsemble3d:
        """The ensemble of trained networks, in evaluation mode.

        Raises
        ------
        UserError
            If there are none, or they do not have the same layers.
        """
        if not networks:
            raise UserError("An ensemble needs at least one trained network.")
        described = [one.arguments() for one in networks]
        first = described[0]
        different = sorted({key for one in described for key in {**first, **one} if one.get(key) != first.get(key)})
        if different:
            raise UserError(
                f"Networks of one ensemble must have the same layers, and these differ in {', '.join(different)}."
            )
        ensemble = cls(len(networks), **first)
        with torch.no_grad():
            for features, network in zip(ensemble.members, networks, strict=True):
                state = network.state_dict()
                features.load_state_dict({name: value for name, value in state.items() if name != _EVIDENCE})
            weights = [network.evidence.weight.cpu() for network in networks]
            ensemble.evidence.weight.copy_(torch.cat(weights, 1) / len(networks))
        return ensemble.eval()

    def networks(self) -> list[EvidenceCNN3d]:
        """Each member as a network by itself, with copies of its weights, in evaluation mode."""
        found = []
        for features, weight in zip(self.members, self._member_weights(), strict=True):
            network = EvidenceCNN3d(**self._arguments)
            network.load_state_dict({**features.state_dict(), _EVIDENCE: weight.detach()})
            found.append(network.eval())
        return found

    def before_last_relu(self, image: Tensor) -> Tensor:
        """The members' features before the ReLU, side by side: (N, width, I / 2, J / 2, K / 2)."""
        return torch.cat([member(image) for member in self.members], 1)

    def member_logits(self, image: Tensor) -> Tensor:
        """Logits of each member by itself, (members, N, num_classes)."""
        return self.member_logits_from(self.features(image).mean((2, 3, 4)))

    def member_logits_from(self, pooled: Tensor) -> Tensor:
        """The same, of features that were averaged over the grid already: (N, width)."""
        parts = pooled.chunk(len(self.members), 1)
        return torch.stack([part @ weight.T for part, weight in zip(parts, self._member_weights(), strict=True)])

    def _member_weights(self) -> list[Tensor]:
        """The evidence layer of each member by itself, (num_classes, joint_channels)."""
        return [part * len(self.members) for part in self.evidence.weight.chunk(len(self.members), 1)]

    def channels(self) -> dict[str, object]:
        """The arguments of the constructor that say how many members there are, and what their layers are."""
        own = {key: value for key, value in self._arguments.items() if key not in ("in_channels", "num_classes")}
        return {"members": len(self.members), **own}
