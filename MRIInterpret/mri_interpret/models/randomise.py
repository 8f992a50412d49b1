"""A copy of a network in which some layers have random parameters; of programs (TorchScript, torch.export) too."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn


def layer_groups(network: nn.Module, image: torch.Tensor) -> list[tuple[str, ...]]:
    """Layers with parameters in the order in which they first run; a normalisation joins the layer before it.

    Of networks that run side by side (entries of a ModuleList with the same layers and the same input, as an ensemble
    has them) layers of one depth are one group: else half of an ensemble's layers would be some of its members.

    Parameters
    ----------
    network
        A module, a TorchScript module, or the module of an exported program.
    image
        (1, C, I, J, K): what runs through the network to learn the order. A program's graph tells it without.

    Returns
    -------
    list of tuple of str
        Names as in ``network.named_modules()``. Layers that never run come first, so that they are randomised last.
        Empty for a network without parameters, such as a frozen TorchScript module.
    """
    names = list(dict.fromkeys(name.rpartition(".")[0] for name, _ in network.named_parameters()))
    side_by_side = _SideBySide()
    order = [name for name in dict.fromkeys(_in_order(network, image, side_by_side)) if name in names]
    modules = dict(network.named_modules())  # TorchScript has no get_submodule
    groups: list[tuple[str, ...]] = [(name,) for name in names if name not in order]
    for name in order:
        if groups and _is_normalisation(modules[name]):
            groups[-1] = (*groups[-1], name)
        else:
            groups.append((name,))
    for ensemble in side_by_side.ensembles(modules):
        groups = _by_depth(groups, ensemble)
    return groups


class _SideBySide:
    """Finds lists of networks that are given the same input. Holds no feature map: these may be large."""

    def __init__(self) -> None:
        self._first: dict[str, Any] = {}
        self._differs: set[str] = set()

    def begins(self, name: str, given: tuple[Any, ...]) -> None:
        """The module ``name`` is called."""
        parent = name.rpartition(".")[0]
        try:
            first = self._first.setdefault(parent, weakref.ref(given[0]))
        except (IndexError, TypeError):  # no input, or one that is no tensor
            first = None
        if first is None or first() is not given[0]:
            self._differs.add(parent)

    def ensembles(self, modules: dict[str, Any]) -> list[str]:
        """Names of the lists of two or more networks with the same layers, all of which got the same input."""
        from torch import nn

        return [
            name
            for name in self._first
            if isinstance(modules[name], nn.ModuleList)
            and len(modules[name]) > 1
            and name not in self._differs
            and len({_shapes(entry) for entry in modules[name]}) == 1
        ]


def _shapes(network: nn.Module) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name, tuple(parameter.shape)) for name, parameter in network.named_parameters())


def _by_depth(groups: list[tuple[str, ...]], ensemble: str) -> list[tuple[str, ...]]:
    """Groups of an ensemble's entries that are called the same inside of their entry, put together where the first
    stands."""
    merged: dict[str, tuple[str, ...]] = {}
    start = f"{ensemble}.".lstrip(".")
    for group in groups:
        inside = group[0].removeprefix(start).partition(".")[2]
        key = f"{start}*.{inside}" if group[0].startswith(start) else group[0]
        merged[key] = merged.get(key, ()) + group
    return list(merged.values())


def _in_order(network: nn.Module, image: torch.Tensor, side_by_side: _SideBySide) -> list[str]:
    """Names of modules as they begin to run; ``side_by_side`` is told of each, where Python calls them."""
    import torch
    from torch import fx

    if isinstance(network, torch.jit.ScriptModule):
        return list(_script_layers(network.inlined_graph, {}))
    if isinstance(network, fx.GraphModule):
        users = [node for node in network.graph.nodes if node.op not in ("get_attr", "placeholder")]
        read = (source for node in users for source in node.all_input_nodes if source.op == "get_attr")
        return [str(source.target).rpartition(".")[0] for source in read]
    order: list[str] = []

    def begin(name: str, given: Any) -> None:
        order.append(name)
        side_by_side.begins(name, given)

    hooks = [
        module.register_forward_pre_hook(lambda _, given, name=name: begin(name, given))
        for name, module in network.named_modules()
    ]
    try:
        with torch.no_grad():
            _run(network, image)
    finally:
        for hook in hooks:
            hook.remove()
    return order


def _run(network: nn.Module, image: torch.Tensor) -> None:
    """Run the network on a copy of ``image``, which it may change, with its weights in the image's precision."""
    import torch
    from torch import fx

    given = image.clone()
    if isinstance(network, torch.jit.ScriptModule | fx.GraphModule) or not _of_other_precision(network, image):
        network(given)
        return
    weights = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    cast = {name: value.to(image.dtype) for name, value in weights.items() if value.is_floating_point()}
    torch.func.functional_call(network, cast, (given,))


def _of_other_precision(network: nn.Module, image: torch.Tensor) -> bool:
    weights = (*network.parameters(), *network.buffers())
    return any(value.is_floating_point() and value.dtype != image.dtype for value in weights)


def _script_layers(block: Any, paths: dict[str, str]) -> Iterator[str]:
    """Modules whose attributes a TorchScript graph reads, in the graph's order."""
    for node in block.nodes():
        if node.kind() == "prim::GetAttr":
            owner = paths.get(node.input().debugName(), "")
            paths[node.output().debugName()] = f"{owner}.{node.s('name')}".lstrip(".")
            yield owner
        for inner in node.blocks():
            yield from _script_layers(inner, paths)


def _is_normalisation(module: nn.Module) -> bool:
    """By the class's name; an exported program keeps none, and there a layer of vectors alone is one."""
    kind = str(getattr(module, "original_name", type(module).__name__))
    if kind not in ("Module", "InterpreterModule"):
        return "norm" in kind.lower()
    return all(parameter.ndim < 2 for parameter in module.parameters(recurse=False))


def randomised(network: nn.Module, layers: Sequence[str], image: torch.Tensor, seed: int = 0) -> nn.Module:
    """A copy of the network with random parameters in the named layers.

    Weights (two axes and more) are drawn from a normal distribution of mean 0 and the root mean square of the old ones;
    vectors (biases, scales) from one with their mean and standard deviation: the signal keeps its size and loses its
    meaning. Running statistics of batch normalisation in these layers are estimated
    anew on the image, where it gives them more than one value per channel.

    Parameters
    ----------
    network
        In evaluation mode; not changed.
    layers
        Names as in ``network.named_modules()``.
    image
        (1, C, I, J, K), for the running statistics; the copy has its precision.
    seed
        Random seed; the same on every device.

    Raises
    ------
    UserError
        If the network cannot be copied.
    """
    import torch

    changed = _copied(network)
    if _of_other_precision(changed, image):
        changed.to(image.dtype)
    generator = torch.Generator().manual_seed(seed)
    named = dict(changed.named_modules())
    modules = [named[name] for name in layers]
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters(recurse=False):
                # Drawn on the CPU, so that every device gets the same network.
                fresh = torch.randn(parameter.shape, generator=generator).to(parameter)
                if parameter.ndim >= 2:
                    parameter.copy_(fresh * parameter.square().mean().sqrt())
                else:
                    parameter.copy_(parameter.mean() + fresh * parameter.std(correction=0))
        _estimate_statistics(changed, modules, image)
    return changed


def _copied(network: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(network)
    except Exception as error:  # whatever the network's own attributes raise
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise UserError(
            f"The network cannot be copied ({reason}), which random layers need: keep what cannot be copied out of its "
            "attributes, or leave out what randomises it."
        ) from error


def _estimate_statistics(network: nn.Module, modules: Sequence[nn.Module], image: torch.Tensor) -> None:
    import torch
    from torch import fx, nn

    if isinstance(network, torch.jit.ScriptModule | fx.GraphModule):
        means = {buffer.data_ptr() for module in modules for buffer in module.buffers(recurse=False)}
        if means:
            with _statistics_mode(means):
                _run(network, image)
        return
    norms = [
        module
        for module in modules
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]

    def estimate(norm: Any, given: Any) -> None:
        values = given[0]
        if (
            values.numel() > values.shape[1] and not norm.training
        ):  # one value per channel has no spread: the statistics stay
            norm.reset_running_stats()
            norm.momentum = None  # cumulative: one pass gives the image's own statistics
            norm.train()

    hooks = [norm.register_forward_pre_hook(estimate) for norm in norms]
    try:
        if norms:
            _run(network, image)
    finally:
        for hook in hooks:
            hook.remove()
    for norm in norms:
        norm.eval()


def _statistics_mode(buffers: set[int]) -> Any:
    """Sets running means and variances, known by the address of their memory, as the operations that use them run.

    A program cannot be put into training mode: whether its normalisations use running statistics is compiled in.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    class Statistics(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if "batch_norm" in func.__name__ and len(args) > 4 and args[3] is not None:
                values, mean, variance = args[0], args[3], args[4]
                if mean.data_ptr() in buffers:
                    axes = [axis for axis in range(values.dim()) if axis != 1]
                    if values.numel() > values.shape[1]:
                        mean.copy_(values.mean(axes))
                        variance.copy_(values.var(axes))
            return func(*args, **(kwargs or {}))

    return Statistics()
