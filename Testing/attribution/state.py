"""Everything about a model that an explanation must not change."""

from __future__ import annotations

import torch
from torch import nn


def state(model: nn.Module) -> dict[str, object]:
    return {
        "tensors": {name: value.clone() for name, value in [*model.named_parameters(), *model.named_buffers()]},
        "same": {name: id(value) for name, value in [*model.named_parameters(), *model.named_buffers()]},
        "grads": [parameter.grad for parameter in model.parameters()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "training": [module.training for module in model.modules()],
        "hooks": [
            len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
            for module in model.modules()
        ],
        "random": torch.random.get_rng_state(),
        "global hooks": len(nn.modules.module._global_forward_hooks) + len(nn.modules.module._global_forward_pre_hooks),
        "deterministic": torch.is_grad_enabled(),
    }


def assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    for name, value in before["tensors"].items():
        assert torch.equal(value, after["tensors"][name]), name
    assert torch.equal(before.pop("random"), after.pop("random"))
    before.pop("tensors")
    after.pop("tensors")
    assert before == after
