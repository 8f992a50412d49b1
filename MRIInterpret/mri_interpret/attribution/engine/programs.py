"""Models that are programs: torch.export's graphs and TorchScript, run operation by operation under the recorder.

Both hold their operations as calls into ``torch.ops.aten``. An exported program says for every operation which module
it came from; a TorchScript graph says it for the weights, so there an operation belongs to its weight's module.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from ...errors import UserError

Enter = Callable[[str], None]
Leave = Callable[[str, Any], None]

_PLAIN: dict[str, Callable[..., Any]] = {
    "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not,
    "aten::__not__": operator.not_,
    "aten::__getitem__": operator.getitem,
    "aten::__contains__": operator.contains,
    "aten::len": len,
    "aten::list": list,
    "aten::tensor": lambda value, *_: torch.as_tensor(value),
    "aten::size": lambda x, *dim: list(x.shape) if not dim else x.shape[dim[0]],
    "aten::dim": lambda x: x.dim(),
    "aten::warn": lambda *_: None,
    "aten::append": lambda items, item: [*items, item],
    "aten::Int": int,
    "aten::Float": float,
    "aten::Bool": bool,
    "aten::ScalarImplicit": lambda x: x.item(),
    "aten::floordiv": operator.floordiv,
    "aten::format": lambda text, *values: text.format(*values),
    "aten::ceil": math.ceil,
    "aten::floor": math.floor,
    "aten::sqrt": math.sqrt,
    "aten::__and__": operator.and_,
    "aten::__or__": operator.or_,
    "aten::__xor__": operator.xor,
    "aten::extend": lambda items, more: [*items, *more],
    "aten::_set_item": operator.setitem,
    "aten::keys": lambda table: list(table.keys()),
    "aten::values": lambda table: list(table.values()),
    "aten::items": lambda table: list(table.items()),
    "prim::DictConstruct": lambda *pairs: dict(zip(pairs[::2], pairs[1::2], strict=True)),
    "prim::TupleIndex": operator.getitem,
    "prim::TupleSlice": lambda items, start, end: items[start:end],
    "prim::layout": lambda x: x.layout,
    "prim::requires_grad": lambda x: x.requires_grad,
    "prim::Print": lambda *_: None,
    "prim::ListConstruct": lambda *items: list(items),
    "prim::TupleConstruct": lambda *items: tuple(items),
    "prim::NumToTensor": torch.as_tensor,
    "prim::unchecked_cast": lambda value: value,
    "prim::Uninitialized": lambda: None,
    "prim::dtype": lambda x: x.dtype,
    "prim::device": lambda x: x.device,
    "prim::shape": lambda x: list(x.shape),
    "prim::is_cuda": lambda x: x.is_cuda,
    "prim::min": min,
    "prim::max": max,
}
#: Of these, tensors have their own.
_SHARED_NAMES = {"ceil", "floor", "sqrt", "__and__", "__or__", "__xor__", "values"}
#: Operations on numbers, strings and lists that have the names of operations on tensors.
_OF_NUMBERS = {
    **{
        name: getattr(operator, name)
        for name in ("gt", "lt", "ge", "le", "eq", "ne", "add", "sub", "mul", "neg", "pow")
    },
    "remainder": operator.mod,
    "div": operator.truediv,
    "abs": abs,
    "round": round,
}


def is_program(model: nn.Module) -> bool:
    """Whether ``model`` is a graph from torch.export or a TorchScript module."""
    return isinstance(model, (torch.jit.ScriptModule, fx.GraphModule))


def without_guards(model: nn.Module) -> nn.Module:
    """An exported program that takes inputs of other sizes than it was exported for, if its operations do.

    Its weights are those of ``model``; a model that has no guards is returned itself.
    """
    if not isinstance(model, fx.GraphModule):
        return model
    graph = copy.deepcopy(model.graph)
    guards = [node for node in graph.nodes if node.op == "call_module" and "guards" in str(node.target)]
    for node in guards:
        if node.users:
            return model
        graph.erase_node(node)
    # Also without guards in the graph: the program's module checks sizes before it runs, this one does not.
    return fx.GraphModule(model, graph).train(model.training)


def run_program(model: nn.Module, x: Tensor, enter: Enter, leave: Leave) -> Any:
    """Run ``model`` on ``x``, calling ``enter(module)`` before and ``leave(module, value)`` after each operation."""
    if isinstance(model, fx.GraphModule):
        return _Exported(model, enter, leave).run(x)
    assert isinstance(model, torch.jit.ScriptModule)
    return _Script(model, enter, leave).run(x)


def layer_names(model: nn.Module) -> list[str]:
    """Dotted names of the layers within a model or program."""
    names = [name for name, _ in model.named_modules() if name]
    if isinstance(model, fx.GraphModule):
        found = {name for node in model.graph.nodes for name in _stack(node)}
        names += sorted(name for name in found if name and name not in names)
    return names


def _stack(node: fx.Node) -> list[str]:
    """Names of the modules that an exported operation was called in, the innermost last."""
    stack = node.meta.get("nn_module_stack") or {}
    return [path[0] for path in stack.values() if isinstance(path, tuple)]


class _Exported(fx.Interpreter):
    def __init__(self, model: fx.GraphModule, enter: Enter, leave: Leave) -> None:
        super().__init__(model)
        self.extra_traceback = False  # errors stay one sentence
        self._enter, self._leave = enter, leave

    def run_node(self, n: fx.Node) -> Any:
        if n.op != "call_function":
            return super().run_node(n)
        modules = _stack(n)
        self._enter(modules[-1] if modules else "")
        value = super().run_node(n)
        for name in reversed(modules):
            self._leave(name, value)
        return value


class _Script:
    def __init__(self, model: torch.jit.ScriptModule, enter: Enter, leave: Leave) -> None:
        self._model, self._enter, self._leave = model, enter, leave
        self._values: dict[str, Any] = {}
        self._owners: dict[str, str] = {}

    def run(self, x: Tensor) -> Any:
        graph = self._model.inlined_graph
        inputs = list(graph.inputs())
        for place, value in zip(inputs, (self._model, x, *self._defaults()[: len(inputs) - 2]), strict=True):
            self._values[place.debugName()] = value
        self._owners[inputs[0].debugName()] = ""
        outputs = self._block(graph)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _defaults(self) -> list[Any]:
        """Values of the arguments of ``forward`` after the first."""
        forward: Any = self._model.forward
        _self, _x, *arguments = forward.schema.arguments
        for argument in arguments:
            if not argument.has_default_value():
                raise UserError(
                    f"The TorchScript model needs the input '{argument.name}' beside the scan: script a module that "
                    "takes the scan alone."
                )
        return [argument.default_value for argument in arguments]

    def _block(self, block: Any) -> list[Any]:
        for node in block.nodes():
            self._node(node)
        return [self._values[value.debugName()] for value in block.outputs()]

    def _node(self, node: Any) -> None:
        kind = node.kind()
        outputs = [value.debugName() for value in node.outputs()]
        names = [value.debugName() for value in node.inputs()]
        if kind == "prim::Constant":
            self._values[outputs[0]] = node.output().toIValue()
            return
        given = [self._values[name] for name in names]
        if kind == "prim::GetAttr":
            self._values[outputs[0]] = getattr(given[0], node.s("name"))
            owner = self._owners.get(names[0], "")
            is_module = isinstance(self._values[outputs[0]], (nn.Module, torch.ScriptObject))
            self._owners[outputs[0]] = f"{owner}.{node.s('name')}".lstrip(".") if is_module else owner
        elif kind == "prim::If":
            chosen = list(node.blocks())[0 if given[0] else 1]
            for name, value in zip(outputs, self._block(chosen), strict=True):
                self._values[name] = value
        elif kind == "prim::Loop":
            self._loop(node, given, outputs)
        elif kind in ("prim::ListUnpack", "prim::TupleUnpack"):
            self._values.update(zip(outputs, given[0], strict=True))
        elif kind == "prim::RaiseException":
            raise UserError(f"The TorchScript model stopped: {given[0]}")
        else:
            module = next((self._owners[name] for name in names if self._owners.get(name)), None)
            if module is not None:
                self._enter(module)
            value = self._call(kind, given, node.schema())
            if module is not None:
                self._leave(module, value)
            if len(outputs) == 1:
                self._values[outputs[0]] = value
            elif outputs:
                self._values.update(zip(outputs, value, strict=True))
            if kind in ("aten::append", "aten::extend"):
                self._values[names[0]] = value

    def _loop(self, node: Any, given: list[Any], outputs: list[str]) -> None:
        most, proceed, *carried = given
        (block,) = node.blocks()
        counter, *places = [value.debugName() for value in block.inputs()]
        turn = 0
        while proceed and turn < most:
            self._values[counter] = turn
            self._values.update(zip(places, carried, strict=True))
            proceed, *carried = self._block(block)
            turn += 1
        self._values.update(zip(outputs, carried, strict=True))

    @staticmethod
    def _call(kind: str, given: list[Any], text: str) -> Any:
        space, _, name = kind.partition("::")
        of_tensors = name in _SHARED_NAMES and bool(given) and isinstance(given[0], Tensor)
        if kind in _PLAIN and not of_tensors:
            return _PLAIN[kind](*given)
        if kind == "aten::slice" and isinstance(given[0], (list, str)):
            return given[0][slice(*given[1:])]
        if space == "aten" and name in _OF_NUMBERS and not any(isinstance(value, Tensor) for value in given):
            return _OF_NUMBERS[name](*given)
        if space != "aten":
            raise UserError(f"TorchScript's operation {kind} is not covered: explain the model's Python form instead.")
        schema = torch._C.parse_schema(text)
        operation = getattr(getattr(torch.ops.aten, name), schema.overload_name or "default")
        named = [argument.name for argument in schema.arguments if argument.kwarg_only]
        first = len(given) - len(named)
        return operation(*given[:first], **dict(zip(named, given[first:], strict=True)))
