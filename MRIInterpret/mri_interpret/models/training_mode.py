"""Whether a program was exported while its network was in training mode, which nothing can switch off afterwards.

An exported program and a trace keep the mode as a constant of each operation. In training mode dropout makes the
answer a matter of chance, and batch normalisation reads this one scan in place of what it learned, so that every
answer and every map would be of another network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

Operation = tuple[str, Mapping[str, Any]]  # its name without "aten::", and its arguments by name

_MODES = ("train", "training", "use_input_stats")  # what torch calls the mode
_SHARES = ("p", "dropout", "dropout_p")  # and the share of values that are dropped
_NOT_KNOWN = object()  # a value that only a run tells


def trained_operation(program: nn.Module) -> str:
    """Name of the first operation that works as in training, such as "dropout"; empty if there is none.

    Parameters
    ----------
    program
        A graph from ``torch.export`` or a TorchScript module in evaluation mode; of any other network nothing is told.
    """
    import torch

    if isinstance(program, torch.jit.ScriptModule):
        graph = getattr(program, "inlined_graph", None)
        operations = _scripted(graph) if graph is not None else iter(())
    else:
        operations = _exported(program)
    return next((name for name, given in operations if _is_training(name, given)), "")


def _is_training(name: str, given: Mapping[str, Any]) -> bool:
    training = any(given.get(mode) is True for mode in _MODES)
    if name == "native_dropout":
        training = given.get("train") is not False  # left out, it is on
    # A normalisation that learned no statistics takes them from the input in either mode.
    if given.get("running_mean") is not None and (training or name.endswith("with_update")):
        return True
    share = next((given[key] for key in _SHARES if key in given), 0)
    if share != 0 and (training or "dropout_p" in given):
        return True
    return training and name.startswith("rrelu")


def _exported(program: nn.Module) -> Iterator[Operation]:
    """Operations of an exported program, those of its branches too."""
    from torch import fx

    for module in program.modules():
        for node in module.graph.nodes if isinstance(module, fx.GraphModule) else ():
            schema = getattr(node.target, "_schema", None)
            if node.op == "call_function" and schema is not None:
                given = {one.name: one.default_value for one in schema.arguments if one.has_default_value()}
                given.update(zip((one.name for one in schema.arguments), node.args, strict=False))
                yield schema.name.partition("::")[2], given | node.kwargs


def _scripted(block: Any) -> Iterator[Operation]:
    """Operations of a TorchScript graph or block, without those that run in training mode only."""
    import torch

    for node in block.nodes():
        if node.kind() == "prim::If":
            condition = _value(next(node.inputs()))
            branches = list(node.blocks())
            for branch in branches if condition is _NOT_KNOWN else (branches[0 if condition else 1],):
                yield from _scripted(branch)
            continue
        for inner in node.blocks():
            yield from _scripted(inner)
        name = node.kind().partition("::")[2]
        if any(mode in node.schema() for mode in (*_MODES, "dropout_p", "running_mean")):
            names = [one.name for one in torch._C.parse_schema(node.schema()).arguments]
            yield name.rstrip("_"), dict(zip(names, map(_value, node.inputs()), strict=False))


def _value(value: Any) -> Any:
    """What a value of a TorchScript graph is in evaluation mode, where that is told without a run."""
    node = value.node()
    kind = node.kind()
    if kind == "prim::Constant":
        return node.output().toIValue()
    if kind == "prim::GetAttr" and node.s("name") == "training":
        return False
    if kind == "aten::__not__":
        inner = _value(next(node.inputs()))
        return inner if inner is _NOT_KNOWN else not inner
    if kind == "prim::If":  # as "and" and "or" are written
        condition = _value(next(node.inputs()))
        if condition is not _NOT_KNOWN:
            place = [one.debugName() for one in node.outputs()].index(value.debugName())
            branch = list(node.blocks())[0 if condition else 1]
            return _value(list(branch.outputs())[place])
    return _NOT_KNOWN
