"""The forward pass, recorded: every operation on a tensor that depends on the input becomes an Operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from .aliases import Aliases
from .aten import aten_name, translate
from .calls import HANDLERS, JOINS, Call, UnsupportedOperation, function_name, without_in_place
from .constants import LEAVES_TORCH, LEFT_TORCH, VALUE_FREE, is_from_input, lost_gradient, mark_constants
from .deferred import Deferred
from .geometry import Geometry
from .operation import Backward, Node, Operation, Start
from .pooled_convolution import SlabPolicy
from .programs import is_program, run_program
from .running_module import RunningModule
from .tag import Tag, set_tag, tag_of
from .torch_modes import compiled_code_run_eagerly, functorch_is_active, plain_tensor, without_saved_tensor_hooks
from .unseen import UnseenOperations

#: What a deferred tensor answers as it is.
_ANSWERED_BY_DEFERRED = frozenset(
    {
        *("shape", "ndim", "dtype", "device", "is_cuda", "size", "dim", "numel", "__len__", "requires_grad", "layout"),
        *("is_floating_point", "is_complex", "is_sparse", "is_quantized", "is_meta", "is_contiguous", "get_device"),
    }
)
#: Counterparts of operations that work in place, where they have another name.
_TWINS = {"zero": torch.zeros_like, "copy": torch.ops.aten.copy.default}
#: Kinds of operations that make feature maps (pooling only thins them out).
_FEATURES = frozenset({"convolution", "normalisation", "activation", "sum", "product"})

#: Name of an operation, its module, and the numbers of the operations that its inputs came from.
Recorded = tuple[str, str, tuple[int, ...]]


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
    defers
        Compute convolutions only when their results are needed, so that what follows can be merged into them.

    Attributes
    ----------
    operations
        What was recorded, in order. Two passes with the same list were recorded in the same way.
    leaked
        Whether code that the recorder does not see asked for a deferred tensor. The pass is void then, and has to be
        recorded without deferring.
    """

    def __init__(
        self,
        model: nn.Module,
        backward: Backward,
        strict: bool = True,
        layers: tuple[str, ...] = (),
        slabs: SlabPolicy | None = None,
        defers: bool = True,
    ) -> None:
        super().__init__()
        self.backward = backward
        self.strict = strict
        self.wanted = frozenset(layers)
        self.slabs = slabs
        self.defers = defers
        self.outputs: dict[str, Tensor] = {}
        self.last_spatial: Tensor | None = None
        self.last_spatial_layer = ""
        self.last_spatial_pooled = False
        self.rank = 0
        self.with_history = False
        self.leaked = False
        self.operations: list[Recorded] = []
        self.last_call = ("forward", "")
        self._running = RunningModule(model)
        self._active = False
        self._token = object()
        self._parameters = {id(parameter) for parameter in model.parameters()}
        self._aliases = Aliases()
        self._unseen = UnseenOperations()

    # ------------------------------------------------------------------ called by the explainer

    def run(self, model: nn.Module, x: Tensor) -> Any:
        """Run ``model`` on ``x`` (a leaf that requires grad) and return its output."""
        self.rank, self.with_history = x.dim(), x.requires_grad
        self._unseen.begin(x)
        geometry = tuple((1.0, 0.0) for _ in range(x.dim() - 2))
        # The model gets a view, so that an in-place change of its input can never reach the caller's tensor.
        start = self.tag(Node.apply(self._prepare(Start()), x), Tag(geometry=geometry))
        return self.forward(model, start)

    def forward(self, model: nn.Module, start: Tensor) -> Any:
        """Run ``model`` on a tensor that is tagged already, and give its output with everything computed."""
        with self._recording():
            if is_program(model):
                output = run_program(model, start, self._running.enter, self._module_returned)
            else:
                output = model(start)
        leaves, structure = tree_flatten(output)
        self._adopt(leaves, "")
        return tree_unflatten([self.current(leaf) for leaf in leaves], structure)

    @property
    def has_unseen_operations(self) -> bool:
        """Whether torch differentiates a part of the model that was not recorded."""
        return self._unseen.count > 0

    @contextmanager
    def _recording(self) -> Iterator[None]:
        self._active = True
        try:
            with compiled_code_run_eagerly(), self._running.following(self._module_returned, self._module_called), self:
                yield
        finally:
            self._active = False

    # ------------------------------------------------------------------ used by the handlers

    @property
    def module(self) -> str:
        """Dotted name of the innermost running module; empty for the model itself."""
        return self._running.name

    def tag(self, tensor: Tensor, tag: Tag) -> Tensor:
        """Tag ``tensor`` as one that depends on this recording's input, and return it."""
        tag.recording, tag.history, tag.number = self._token, tensor.grad_fn, len(self.operations) - 1
        return set_tag(tensor, tag)

    def own_tag(self, value: Any) -> Tag | None:
        """The tag of a tensor that depends on this recording's input; None for any other value."""
        tag = tag_of(value) if isinstance(value, Tensor) else None
        return tag if tag is not None and tag.recording is self._token else None

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
        self._list(type(operation).__name__, operation.module, tags)
        weighted = operation.kind in ("convolution", "dense")
        self.tag(output, Tag(geometry=geometry, gate=gate, first=operation.first and not weighted))
        self._aliases.note(output)
        if operation.kind in _FEATURES and geometry is not None:
            self.note_feature(output, operation.module if label is None else label, pooled=operation.pooled)
        return output

    def defer(self, value: Deferred, tag: Tag) -> Tensor:
        """Let ``value`` stand for a tensor that ``tag.pending`` computes."""
        value.value_for_unseen_code = self._asked_for
        return self.tag(value, tag)

    def note_feature(self, output: Tensor, layer: str, pooled: bool = False) -> None:
        """Remember ``output`` as the last feature map so far, if it has more than one voxel."""
        if output.dim() == self.rank and output.requires_grad and prod(output.shape[2:]) > 1:
            self.last_spatial, self.last_spatial_layer, self.last_spatial_pooled = output, layer, pooled

    def plain(self, call: Call, geometry: Geometry | None = None) -> Any:
        """Run a function whose gradient is also its relevance rule (it only moves values about)."""
        sources = [tag for tag in map(tag_of, self._tensors(call)) if tag is not None]
        with torch.enable_grad(), without_saved_tensor_hooks():
            output = call.func(*call.args, **call.kwargs)
        self._list(call.name, self.module, sources)
        for value in tree_flatten(output)[0]:
            if isinstance(value, Tensor) and self._follows(value):
                gate, first = any(tag.gate for tag in sources), all(tag.first for tag in sources)
                if self.own_tag(value) is None:
                    self.tag(value, Tag(geometry=geometry, gate=gate, first=first, activated=sources[0].activated))
                self._aliases.note(value)
        return output

    def geometry(self, *tensors: Tensor) -> Geometry | None:
        """The geometry of the largest of ``tensors`` that has one (a gate of one voxel says nothing about the grid)."""
        found, largest = None, 0
        for tensor in tensors:
            tag = tag_of(tensor)
            if tag is not None and tag.geometry is not None and tensor.dim() == self.rank:
                voxels = prod(tensor.shape[2:])
                if voxels > largest:
                    found, largest = tag.geometry, voxels
        return found

    def decomposed(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of ``function``, whose calls of torch functions are recorded one by one."""
        with self:
            return function(*arguments)

    def unsupported(self, call: Call, reason: str) -> UnsupportedOperation:
        """The error that refuses ``call``."""
        return UnsupportedOperation(call.name, self.module, reason)

    def peek(self, value: Any) -> Any:
        """What stands for ``value`` now, without computing it."""
        while (tag := self.own_tag(value)) is not None and tag.replacement is not None:
            value = tag.replacement
        return value

    def current(self, value: Any) -> Any:
        """What stands for ``value`` now: follows in-place changes and computes what is pending."""
        tag = self.own_tag(value)
        while tag is not None:
            if tag.stale:
                raise UnsupportedOperation(*tag.stale, "it changes memory in place that another name still uses")
            if tag.replacement is None:
                if tag.pending is None or self.postpones(tag):
                    break
                tag.replacement, tag.pending = tag.pending(), None
            value = tag.replacement
            tag = self.own_tag(value)
        return value

    def postpones(self, tag: Tag) -> bool:
        """Whether a pending tensor stays pending although an operation wants it."""
        return False

    # ------------------------------------------------------------------ interception

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        self.last_call = name, self.module
        leaves, structure = tree_flatten((args, kwargs))
        self._adopt(leaves, self.module)
        if not any(self.own_tag(leaf) is not None for leaf in leaves):
            return self._untracked(name, func, args, kwargs)
        if name in _ANSWERED_BY_DEFERRED and self.own_tag(leaves[0]) is not None:
            return func(self.peek(leaves[0]), *args[1:], **kwargs)
        if functorch_is_active() or (self.with_history and not torch.is_grad_enabled()):
            return self._as_torch_does(name, func, leaves, structure)
        if aten_name(func) is not None:
            name, func, (args, kwargs) = translate(name, func, tuple(args), kwargs)
            leaves, structure = tree_flatten((args, kwargs))
        target = leaves[0] if isinstance(leaves[0], Tensor) else None
        leaves = [plain_tensor(leaf) if self._is_constant(leaf) else leaf for leaf in leaves]
        args, kwargs = tree_unflatten(leaves, structure)
        base, changes = without_in_place(func, name, args, kwargs)
        joined = JOINS.get(base)
        if joined is not None:
            output = joined(self, Call(base, func, tuple(args), kwargs))
            if output is not None and changes and target is not None:
                self._replace(target, output, name)
                return target
            if output is not None:
                return output
        leaves = [self.current(leaf) for leaf in leaves]
        args, kwargs = tree_unflatten(leaves, structure)
        call = Call(base, func, tuple(args), self._drop_in_place(kwargs))
        followed = any(self.own_tag(leaf) is not None for leaf in leaves)
        if kwargs.get("out") is not None:
            raise self.unsupported(call, "it writes its result into a tensor that is there already (out=)")
        if base != name:
            call.func = self._out_of_place(call)
        handler = HANDLERS.get(base, type(self)._unknown) if followed else None
        with torch.enable_grad():
            output = call.func(*call.args, **call.kwargs) if handler is None else self._handled(handler, call)
        if changes and target is not None:
            self._replace(target, output, name)
            return target
        return output

    def _handled(self, handler: Callable[..., Any], call: Call) -> Any:
        try:
            return handler(self, call)
        except UnsupportedOperation:
            if self.strict or self.leaked:
                raise
            return self._unknown(call)  # without rules torch's own gradient will do

    def _replace(self, target: Tensor, output: Any, name: str) -> None:
        if isinstance(output, Tensor):
            self._aliases.replace(self, target, output, name)

    def _untracked(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if name.endswith("_") and not name.endswith("__") and args and id(args[0]) in self._parameters:
            raise UnsupportedOperation(name, self.module, "it changes a weight of the model in place")
        if not any(map(is_from_input, tree_flatten((args, kwargs))[0])):
            return func(*args, **kwargs)
        if name in LEAVES_TORCH:
            raise UnsupportedOperation(name, self.module, LEFT_TORCH)
        return mark_constants(func(*args, **kwargs))

    def _as_torch_does(self, name: str, func: Any, leaves: list[Any], structure: Any) -> Any:
        """Inside ``torch.no_grad`` nothing has a history; inside ``torch.func`` transforms torch keeps it itself."""
        target = leaves[0]
        if functorch_is_active():
            for leaf in leaves:
                if isinstance(self.peek(leaf), Deferred):
                    self._asked_for(leaf)  # it cannot be computed inside a transform
        leaves = [self.current(leaf) for leaf in leaves]
        args, kwargs = tree_unflatten(leaves, structure)
        _, changes = without_in_place(func, name, args, kwargs)
        if (changes or name == "set data") and self.own_tag(target) is not None:
            raise UnsupportedOperation(name, self.module, "it changes a value in place while gradients are off")
        if name in LEAVES_TORCH:
            raise UnsupportedOperation(name, self.module, LEFT_TORCH)
        return mark_constants(func(*args, **kwargs))

    def _is_constant(self, value: Any) -> bool:
        return isinstance(value, Tensor) and self.own_tag(value) is None

    @staticmethod
    def _drop_in_place(kwargs: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in kwargs.items() if key != "inplace"}

    def _out_of_place(self, call: Call) -> Any:
        twin = _TWINS.get(call.name)
        if twin is None and isinstance(call.func, OpOverload):
            # The operator of the same arguments: elu_.default has elu.default.
            twin = getattr(getattr(torch.ops.aten, call.name, None), call.func._overloadname, None)
        for place in (torch.Tensor, torch, torch.nn.functional):
            twin = twin or getattr(place, call.name, None)
        if twin is None:
            raise self.unsupported(call, "it works in place and has no counterpart that does not")
        return twin

    def _unknown(self, call: Call) -> Any:
        if call.name in LEAVES_TORCH:
            raise self.unsupported(call, LEFT_TORCH)
        with without_saved_tensor_hooks():
            output = call.func(*call.args, **call.kwargs)
        values = [value for value in tree_flatten(output)[0] if isinstance(value, Tensor)]
        tensors = [value for value in values if self._follows(value)]
        if call.name not in VALUE_FREE and self.with_history and lost_gradient(values):
            raise self.unsupported(call, "torch cannot differentiate it")
        if not tensors:
            return output if call.name in VALUE_FREE else mark_constants(output)
        if self.strict:
            raise self.unsupported(
                call, "no relevance rule is known for it; gradient, CAM and occlusion methods may still work"
            )
        self._list(call.name, self.module, [tag_of(value) for value in self._tensors(call)])
        for value in tensors:
            if self.own_tag(value) is None:
                self.tag(value, Tag(first=False))
        return output

    # ------------------------------------------------------------------ what the recorder does not see

    def _adopt(self, leaves: list[Any], module: str) -> None:
        """Tag what depends on the input although no recorded operation made it; refuse it where rules are needed."""
        if not self.with_history or functorch_is_active():
            return
        for leaf in leaves:
            if not isinstance(leaf, Tensor) or not leaf.requires_grad:
                continue
            tag = self.own_tag(leaf)
            if tag is not None and leaf.grad_fn is tag.history:
                continue
            if tag is None and not self._unseen.reaches_input(leaf, self._asked_for):
                continue
            if isinstance(leaf, Deferred) or (tag is not None and tag.replacement is not None):
                self._asked_for(leaf)
            name = self._unseen.name(leaf)
            if self.strict:
                raise UnsupportedOperation(
                    name,
                    module,
                    "it runs where no rule can be applied (TorchScript, a custom autograd function, torch.func or "
                    "another thread); gradient, CAM and occlusion methods may still work",
                )
            self._unseen.count += 1
            self._list(name, module, [])
            self.tag(leaf, Tag(first=False))

    def _asked_for(self, value: Tensor) -> Tensor:
        """Called when code that the recorder does not see wants the value of a deferred tensor."""
        if self._active:
            self.leaked = True
            raise UnsupportedOperation(*self.last_call, "it uses a tensor that is not computed yet")
        found: Tensor = self.current(value)
        if found is value:
            raise UnsupportedOperation(*self.last_call, "it uses a tensor that was never computed")
        return found.detach()

    # ------------------------------------------------------------------ small helpers

    def _list(self, name: str, module: str, tags: list[Tag] | list[Tag | None]) -> None:
        self.operations.append((name, module, tuple(tag.number for tag in tags if tag is not None)))

    def _follows(self, value: Tensor) -> bool:
        """Whether the result of an operation on a recorded tensor depends on the input."""
        if self.with_history:
            return value.requires_grad
        return value.is_floating_point() or value.is_complex()

    def _prepare(self, operation: Operation) -> Operation:
        operation.backward = self.backward
        operation.module = self.module
        return operation

    @staticmethod
    def _tensors(call: Call) -> list[Tensor]:
        return [leaf for leaf in tree_flatten((call.args, call.kwargs))[0] if isinstance(leaf, Tensor)]

    def _module_called(self, inputs: Any) -> None:
        with torch._C.DisableTorchFunction():  # the recorder is active here, and need not see itself
            self._adopt(tree_flatten(inputs)[0], self.module)

    def _module_returned(self, name: str, output: Any) -> None:
        with torch._C.DisableTorchFunction():
            leaves = tree_flatten(output)[0]
            self._adopt(leaves, name)
            if name in self.wanted:
                tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
                if tensors:
                    self.outputs[name] = self.current(tensors[0])
