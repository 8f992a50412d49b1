"""Networks that are several networks: how far their members agree.

A network says that it is an ensemble by a method ``member_logits(image)``: what it would return if it were each member
alone, (members, N, outputs). If it also names a module (``members_read_at``, a dotted name) and has a method
``member_logits_from(values)``, the members' logits are computed from what that module is given in a pass that runs
anyway, and cost no pass of their own, if it is computed there and then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


class MemberLogits:
    """The members' logits of an image: of the first pass that :meth:`watching` saw, or of a pass of their own.

    Parameters
    ----------
    network
        Any network; one without members has no member logits.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._values: Tensor | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep what the module ``members_read_at`` is given in this thread's first pass inside the block, if it is a
        plain tensor by then."""
        name = getattr(self.network, "members_read_at", None)
        if name is None:
            yield
            return

        import torch

        thread = threading.get_ident()  # another may run the same network on another scan
        is_first = True  # later passes are of other images

        def keep(_module: nn.Module, given: Any) -> None:
            nonlocal is_first
            if not is_first or threading.get_ident() != thread:
                return
            is_first = False
            # What a recorded pass has put off is no plain tensor: to ask for it would void that pass, which then is
            # recorded and checked anew, and takes longer than a further pass.
            if type(given[0]) is torch.Tensor:
                with torch._C.DisableTorchFunction():  # a copy is no part of the pass that may be recorded
                    self._values = given[0].detach().clone()

        handle = self.network.get_submodule(name).register_forward_pre_hook(keep)
        try:
            yield
        finally:
            handle.remove()

    def of(self, image: Tensor) -> Tensor | None:
        """The members' logits on the CPU, float32, (members, N, outputs); None for fewer than two members.

        Parameters
        ----------
        image
            (N, C, I, J, K), as the pass was given it.
        """
        import torch

        network: Any = self.network
        if not hasattr(network, "member_logits"):
            return None
        place = next((one.device for one in network.parameters()), torch.device("cpu"))
        with torch.no_grad():
            if self._values is not None:
                found = network.member_logits_from(self._values.to(place))
            else:
                found = network.member_logits(image.to(place))
        return found.detach().float().cpu() if len(found) > 1 else None
