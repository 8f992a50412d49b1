"""The forward pass, recorded: every operation on a tensor that depends on the input becomes an Operation."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from .aten import aten_name, translate
from .calls import HANDLERS, JOINS, Call, UnsupportedOperation, function_name, without_in_place
from .geometry import Geometry
from .operation import Backward, Node, Operation, RelevancePolicy
from .pooled_convolution import SlabPolicy
from .programs import is_program, run_program
from .running_module import RunningModule
from .tag import Tag, attach, tag_of

#: Queries that a deferred tensor (one that is not computed yet) can answer as it is.
_ANSWERED_BY_DEFERRED = frozenset({"shape", "ndim", "dtype", "device", "is_cuda", "size", "dim", "numel", "__len__"})
#: Kinds of operations that make feature maps (pooling only thins them out).
_FEATURES = frozenset({"convolution", "normalisation", "activation", "sum", "product"})


class Recorder(TorchFunctionMode):
    """Records one forward pass of ``model``.

    Parameters
    ----------
    model
        The network; it is not changed.
    backward
        Shared by all recorded operations; says how the next backward pass runs.
    strict
        Refuse operations without a relevance rule. When False they are differentiated as torch does.
    layers
        Dotted names of the modules whose outputs are to be kept.
    slabs
        Which max-poolings are computed slab by slab together with their convolution; None for none.
    """

    def __init__(
        self,
        model: nn.Module,
        backward: Backward,
        strict: bool = True,
        layers: tuple[str, ...] = (),
        slabs: SlabPolicy | None = None,
    ) -> None:
        super().__init__()
        self.backward = backward
        self.strict = strict
        self.wanted = frozenset(layers)
        self.outputs: dict[str, Tensor] = {}
        self.last_spatial: Tensor | None = None
        self.last_spatial_layer = ""
        self.last_spatial_pooled = False
        self.slabs = slabs
        self.rank = 0
        self.with_history = False
        self.where = RunningModule(model)
        self._parameters = {id(parameter) for parameter in model.parameters()}
        self._sharing: dict[int, list[weakref.ref[Tensor]]] = {}

    # ------------------------------------------------------------------ called by the explainer

    def run(self, model: nn.Module, x: Tensor) -> Any:
        """Run ``model`` on ``x`` (a leaf that requires grad) and return its output."""
        self.rank, self.with_history = x.dim(), x.requires_grad
        geometry = tuple((1.0, 0.0) for _ in range(x.dim() - 2))
        # The model gets a view, so that an in-place change of its input can never reach the caller's tensor.
        start = attach(Node.apply(self._prepare(_Start()), x), Tag(geometry=geometry))
        return self.forward(model, start)

    def forward(self, model: nn.Module, start: Tensor) -> Any:
        """Run ``model`` on a tensor that is tagged already, and give its output with everything computed."""
        with self.where.following(self._module_returned), self:
            if is_program(model):
                output = run_program(model, start, self.where.enter, self._module_returned)
            else:
                output = model(start)
        leaves, structure = tree_flatten(output)
        return tree_unflatten([self.current(leaf) for leaf in leaves], structure)

    # ------------------------------------------------------------------ used by the handlers

    @property
    def module(self) -> str:
        """Dotted name of the innermost running module; empty for the model itself."""
        return self.where.name

    def record(
        self,
        operation: Operation,
        *inputs: Tensor,
        geometry: Geometry | None = None,
        gate: bool = False,
        module: str | None = None,
        label: str | None = None,
    ) -> Tensor:
        """Run ``operation`` on ``inputs`` and put it into the graph.

        ``module`` is the module it belongs to and ``label`` the one whose output its output is; both are the running
        one unless given.
        """
        tags = [tag_of(value) for value in inputs]
        self._prepare(operation)
        if module is not None:
            operation.module = module
        operation.first = all(tag.first for tag in tags if tag is not None)
        with torch.enable_grad():
            output: Tensor = Node.apply(operation, *inputs)
        weighted = operation.kind in ("convolution", "dense")
        tag = Tag(geometry=geometry, gate=gate, first=operation.first and not weighted)
        attach(output, tag)
        self._shares(output)
        if operation.kind in _FEATURES and geometry is not None:
            self.note_feature(output, operation.module if label is None else label, pooled=operation.pooled)
        return output

    def note_feature(self, output: Tensor, layer: str, pooled: bool = False) -> None:
        """Remember ``output`` as the last feature map so far, if it has more than one voxel."""
        if output.dim() == self.rank and output.requires_grad and output[0, 0].numel() > 1:
            self.last_spatial, self.last_spatial_layer, self.last_spatial_pooled = output, layer, pooled

    def plain(self, call: Call, geometry: Geometry | None = None) -> Any:
        """Run a function whose gradient is also its relevance rule (it only moves values about)."""
        sources = [tag for tag in map(tag_of, self._tensors(call)) if tag is not None]
        with torch.enable_grad():
            output = call.func(*call.args, **call.kwargs)
        for value in tree_flatten(output)[0]:
            if isinstance(value, Tensor) and self._follows(value):
                gate, first = any(tag.gate for tag in sources), all(tag.first for tag in sources)
                if tag_of(value) is None:
                    attach(value, Tag(geometry=geometry, gate=gate, first=first, activated=sources[0].activated))
                self._shares(value)
        return output

    def geometry(self, *tensors: Tensor) -> Geometry | None:
        """The geometry of the largest of ``tensors`` that has one (a gate of one voxel says nothing about the grid)."""
        found, largest = None, 0
        for tensor in tensors:
            tag = tag_of(tensor)
            if tag is not None and tag.geometry is not None and tensor.dim() == self.rank:
                voxels = tensor[0, 0].numel()
                if voxels > largest:
                    found, largest = tag.geometry, voxels
        return found

    def unsupported(self, call: Call, reason: str) -> UnsupportedOperation:
        """The error that refuses ``call``."""
        return UnsupportedOperation(call.name, self.module, reason)

    @staticmethod
    def peek(value: Any) -> Any:
        """What stands for ``value`` now, without computing it."""
        while isinstance(value, Tensor) and (tag := tag_of(value)) is not None and tag.replacement is not None:
            value = tag.replacement
        return value

    def current(self, value: Any) -> Any:
        """What stands for ``value`` now: follows in-place changes and computes what is pending."""
        if not isinstance(value, Tensor):
            return value
        tag = tag_of(value)
        while tag is not None:
            if tag.stale:
                raise UnsupportedOperation(
                    tag.stale, self.module, "it changes memory in place that another name still uses"
                )
            if tag.replacement is None:
                if tag.pending is None or self.postpones(tag):
                    break
                tag.replacement, tag.pending = tag.pending(), None
            value = tag.replacement
            tag = tag_of(value)
        return value

    def postpones(self, tag: Tag) -> bool:
        """Whether a pending tensor stays pending although an operation wants it."""
        return False

    # ------------------------------------------------------------------ interception

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        if aten_name(func) is not None and any(tag_of(value) for value in args if isinstance(value, Tensor)):
            name, func, (args, kwargs) = translate(name, func, tuple(args), kwargs)
        leaves, structure = tree_flatten((args, kwargs))
        if name in _ANSWERED_BY_DEFERRED and len(leaves) and isinstance(leaves[0], Tensor):
            return func(self.peek(leaves[0]), *args[1:], **kwargs)
        if not any(isinstance(leaf, Tensor) and tag_of(leaf) is not None for leaf in leaves):
            return self._untracked(name, func, args, kwargs)
        target = leaves[0] if isinstance(leaves[0], Tensor) else None
        base, changes = without_in_place(name, args, kwargs)
        joined = JOINS.get(base)
        if joined is not None:
            output = joined(self, Call(base, func, tuple(args), kwargs))
            if output is not None and changes and target is not None:
                self._rebind(target, output)
                return target
            if output is not None:
                return output
        leaves = [self._operand(leaf) for leaf in leaves]
        args, kwargs = tree_unflatten(leaves, structure)
        call = Call(base, func, tuple(args), self._drop_in_place(kwargs))
        if base != name:
            call.func = self._out_of_place(call)
        handler = HANDLERS.get(base)
        with torch.enable_grad():
            output = handler(self, call) if handler is not None else self._unknown(call)
        if changes and target is not None:
            self._rebind(target, output)
            return target
        return output

    def _untracked(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if name.endswith("_") and not name.endswith("__") and args and id(args[0]) in self._parameters:
            raise UnsupportedOperation(name, self.module, "it changes a weight of the model in place")
        return func(*args, **kwargs)

    def _operand(self, value: Any) -> Any:
        value = self.current(value)
        if isinstance(value, Tensor) and tag_of(value) is None and value.requires_grad:
            return value.detach()
        return value

    @staticmethod
    def _drop_in_place(kwargs: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in kwargs.items() if key != "inplace"}

    def _out_of_place(self, call: Call) -> Any:
        twin = getattr(torch.Tensor, call.name, None) or getattr(torch, call.name, None)
        if twin is None:
            raise self.unsupported(call, "it works in place and has no counterpart that does not")
        return twin

    def _unknown(self, call: Call) -> Any:
        output = call.func(*call.args, **call.kwargs)
        tensors = [value for value in tree_flatten(output)[0] if isinstance(value, Tensor) and self._follows(value)]
        if not tensors:
            return output
        if self.strict:
            raise self.unsupported(
                call, "no relevance rule is known for it; gradient, CAM and occlusion methods may still work"
            )
        for value in tensors:
            attach(value, Tag(first=False))
        return output

    # ------------------------------------------------------------------ memory shared between names

    def _rebind(self, target: Tensor, output: Any) -> None:
        if isinstance(output, Tensor):
            tag = tag_of(target)
            if tag is None:
                attach(target, Tag(replacement=output))
            else:
                seen = target
                while (inner := tag_of(seen)) is not None and inner.replacement is not None:
                    seen = inner.replacement
                last = tag_of(seen)
                assert last is not None
                for other in self._sharing.get(self._storage(seen), ()):
                    alias = other()
                    if alias is not None and alias is not seen and alias is not target:
                        alias_tag = tag_of(alias)
                        if alias_tag is not None and alias_tag.replacement is None:
                            alias_tag.stale = "in-place change"
                last.replacement = output

    def _shares(self, tensor: Tensor) -> None:
        self._sharing.setdefault(self._storage(tensor), []).append(weakref.ref(tensor))

    @staticmethod
    def _storage(tensor: Tensor) -> int:
        return tensor.untyped_storage().data_ptr()

    # ------------------------------------------------------------------ small helpers

    def _follows(self, value: Tensor) -> bool:
        """Whether the result of an operation on a recorded tensor depends on the input."""
        return value.requires_grad or (not self.with_history and value.is_floating_point())

    def _prepare(self, operation: Operation) -> Operation:
        operation.backward = self.backward
        operation.module = self.module
        return operation

    @staticmethod
    def _tensors(call: Call) -> list[Tensor]:
        return [leaf for leaf in tree_flatten((call.args, call.kwargs))[0] if isinstance(leaf, Tensor)]

    def _module_returned(self, name: str, output: Any) -> None:
        if name in self.wanted:
            tensors = [leaf for leaf in tree_flatten(output)[0] if isinstance(leaf, Tensor)]
            if tensors:
                self.outputs[name] = self.current(tensors[0])


class _Start(Operation):
    """The input itself."""

    kind = "input"

    def forward(self, *inputs: Tensor) -> Tensor:
        return inputs[0]

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return (grad,)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        return (relevance,)
