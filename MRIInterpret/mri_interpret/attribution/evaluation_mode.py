"""A model in evaluation mode for a while, without leaving a trace in it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put ``model`` into evaluation mode for the block, and restore its whole state after it, whatever happens.

    Restored are each module's training flag, its attributes, each buffer's value and identity, the tables of parameters
    and buffers, and the global random state of the CPU and of the model's device. Weights need no copy: the recorder
    refuses to change them in place.
    """
    # Frozen TorchScript has no training flag; TorchScript's tables of tensors cannot change at all.
    modules = [module for module in model.modules() if hasattr(module, "training")]
    training = [module.training for module in modules]
    tables = [(module, dict(module._parameters), dict(module._buffers)) for module in modules if _has_tables(module)]
    # Backward hooks of other tools do not concern the maps, and cannot be registered on tensors that are deferred.
    every = [(module, module._backward_hooks, module._backward_pre_hooks) for module, _, _ in tables]
    hooks = [entry for entry in every if entry[1] or entry[2]]
    empty = [table for _, *both in every if not any(both) for table in both]
    attributes = [(module, dict(module.__dict__)) for module in modules if _has_tables(module)]
    buffers = [(buffer, buffer.detach().clone(), _version(buffer)) for buffer in model.buffers()]
    devices = {parameter.device.index or 0 for parameter in model.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(devices=sorted(devices)):
        try:
            for module in modules:
                # Not .eval(): a model may override it, and each flag has to come back on its own.
                if module.training:
                    module.training = False
            for module, _, _ in hooks:
                # Not by assignment, which in a module takes longer than a small layer does.
                module.__dict__.update(_backward_hooks=OrderedDict(), _backward_pre_hooks=OrderedDict())
            yield
        finally:
            for module, flag in zip(modules, training, strict=True):
                if module.training is not flag:
                    module.training = flag
            for module, backward, before in hooks:
                module.__dict__.update(_backward_hooks=backward, _backward_pre_hooks=before)
            for table in empty:
                table.clear()
            for module, parameters, registered in tables:
                if not (_same(module._parameters, parameters) and _same(module._buffers, registered)):
                    _restore(module, parameters, registered)
            for module, kept in attributes:
                if not _same(module.__dict__, kept):
                    module.__dict__.clear()
                    module.__dict__.update(kept)
            for buffer, value, version in buffers:
                if version is None or buffer._version != version:
                    with torch.inference_mode(buffer.is_inference()), torch.no_grad():
                        buffer.copy_(value)


def _same(now: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """Whether the very same values stand there, compared in C: some twenty of each of hundreds of modules."""
    return now.keys() == kept.keys() and all(map(is_, now.values(), kept.values()))


def _version(buffer: Tensor) -> int | None:
    """A number that changes when the buffer does; tensors made in inference mode have none."""
    return None if buffer.is_inference() else buffer._version


def _has_tables(module: nn.Module) -> bool:
    return not isinstance(module, torch.jit.ScriptModule)


def _restore(module: nn.Module, parameters: dict, registered: dict) -> None:
    for table, wanted in ((module._parameters, parameters), (module._buffers, registered)):
        table.clear()
        table.update(wanted)
