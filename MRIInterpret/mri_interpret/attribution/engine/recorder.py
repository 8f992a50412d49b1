"""The forward pass, recorded: every operation on a tensor that depends on the input becomes an Operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from .arguments import Rebuilt, flattened, leaves_of
from .aten import aten_name, translate
from .axes import of_input
from .calls import HANDLERS, JOINS, Call, UnsupportedOperation, function_name
from .constants import LEAVES_TORCH, LEFT_TORCH, VALUE_FREE, is_from_input, lost_gradient, mark_constants
from .deferred import Deferred
from .graph import RecordedGraph
from .in_place import out_of_place, without_in_place, without_in_place_argument
from .layout import BOUND
from .operation import Backward, Node, Start
from .pooled_convolution import SlabPolicy
from .programs import is_program, run_program
from .tag import Tag, tag_of
from .torch_modes import compiled_code_run_eagerly, functorch_is_active, plain_tensor, without_saved_tensor_hooks
from .unseen import UnseenOperations

#: What a deferred tensor answers as it is.
_ANSWERED_BY_DEFERRED = frozenset(
    {
        *("shape", "ndim", "dtype", "device", "is_cuda", "size", "dim", "numel", "__len__", "requires_grad", "layout"),
        *("is_floating_point", "is_complex", "is_sparse", "is_quantized", "is_meta", "is_contiguous", "get_device"),
    }
)


class Recorder(RecordedGraph, TorchFunctionMode):
    """Records one forward pass of ``model``; parameters and attributes are those of :class:`graph.RecordedGraph`."""

    def __init__(
        self,
        model: nn.Module,
        backward: Backward,
        strict: bool = True,
        layers: tuple[str, ...] = (),
        slabs: SlabPolicy | None = None,
        defers: bool = True,
        feature: int | None = None,
    ) -> None:
        super().__init__(model, backward, strict, layers, slabs, defers, feature)
        self._parameters = {id(parameter) for parameter in model.parameters()}
        self._unseen = UnseenOperations()

    # ------------------------------------------------------------------ called by the explainer

    def run(self, model: nn.Module, x: Tensor) -> Any:
        """Run ``model`` on ``x`` (a leaf that requires grad) and return its output."""
        self.rank, self.with_history = x.dim(), x.requires_grad
        self._unseen.begin(x)
        # The model gets a view, so that an in-place change of its input can never reach the caller's tensor.
        start = self.tag(Node.apply(self._prepare(Start()), x), Tag(geometry=of_input(x.dim())))
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

    def leads_to_input(self, tensor: Tensor) -> bool:
        """Whether torch's graph leads from ``tensor`` to the input."""
        return self._unseen.reaches_input(tensor, self._asked_for)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        self._active = True
        try:
            with compiled_code_run_eagerly(), self._running.following(self._module_returned, self._module_called), self:
                yield
        finally:
            self._active = False

    def decomposed(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of ``function``, whose calls of torch functions are recorded one by one."""
        with self:
            return function(*arguments)

    # ------------------------------------------------------------------ interception

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        if name in _ANSWERED_BY_DEFERRED and args and self._is_followed(args[0]):
            return func(self.peek(args[0]), *args[1:], **kwargs)
        self.last_call = name, self.module
        leaves, rebuilt = flattened(args, kwargs)
        self._adopt(leaves, self.module)
        tags = list(map(self.own_tag, leaves))
        if all(tag is None for tag in tags):
            return self._untracked(name, func, args, kwargs)
        if name in _ANSWERED_BY_DEFERRED and tags[0] is not None:
            return func(self.peek(leaves[0]), *args[1:], **kwargs)
        if functorch_is_active() or (self.with_history and not torch.is_grad_enabled()):
            return self._as_torch_does(name, func, leaves, rebuilt)
        if aten_name(func) is not None:
            name, func, (args, kwargs) = translate(name, func, tuple(args), kwargs)
            leaves, rebuilt = flattened(args, kwargs)
            tags = list(map(self.own_tag, leaves))
        target = leaves[0] if isinstance(leaves[0], Tensor) else None
        constant = [tag is None and isinstance(leaf, Tensor) for leaf, tag in zip(leaves, tags, strict=True)]
        leaves = [plain_tensor(leaf) if here else leaf for leaf, here in zip(leaves, constant, strict=True)]
        args, kwargs = rebuilt(leaves)
        base, changes = without_in_place(func, name, args, kwargs)
        joined = JOINS.get(base)
        if joined is not None:
            output = joined(self, Call(base, func, tuple(args), kwargs))
            if output is not None and changes and target is not None:
                self._replace(target, output, name)
                return target
            if output is not None:
                return output
        leaves = [leaf if tag is None else self.current(leaf) for leaf, tag in zip(leaves, tags, strict=True)]
        if base in BOUND or base not in HANDLERS:
            leaves = [self.laid_out_plainly(leaf) for leaf in leaves]
        args, kwargs = rebuilt(leaves)
        call = Call(base, func, tuple(args), without_in_place_argument(kwargs))
        followed = any(self.own_tag(leaf) is not None for leaf in leaves)
        if kwargs.get("out") is not None:
            raise self.unsupported(call, "it writes its result into a tensor that is there already (out=)")
        if base != name:
            twin = out_of_place(call.name, call.func)
            if twin is None:
                raise self.unsupported(call, "it works in place and has no counterpart that does not")
            call.func = twin
        handler = HANDLERS.get(base, type(self)._unknown) if followed else None
        with torch.enable_grad():
            output = call.func(*call.args, **call.kwargs) if handler is None else self._handled(handler, call)
        if changes and target is not None:
            self._replace(target, output, name)
            return target
        return output

    def _is_followed(self, value: Any) -> bool:
        """Whether ``value`` is tagged, and nothing that the recorder did not see has changed it since."""
        tag = self.own_tag(value)
        return tag is not None and value.grad_fn is tag.history

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

    def _as_torch_does(self, name: str, func: Any, leaves: list[Any], rebuilt: Rebuilt) -> Any:
        """Inside ``torch.no_grad`` nothing has a history; inside ``torch.func`` transforms torch keeps it itself."""
        target = leaves[0]
        if functorch_is_active():
            for leaf in leaves:
                if isinstance(self.peek(leaf), Deferred):
                    self._asked_for(leaf)  # it cannot be computed inside a transform
        leaves = [self.laid_out_plainly(self.current(leaf)) for leaf in leaves]
        args, kwargs = rebuilt(leaves)
        _, changes = without_in_place(func, name, args, kwargs)
        if (changes or name == "set data") and self.own_tag(target) is not None:
            raise UnsupportedOperation(name, self.module, "it changes a value in place while gradients are off")
        if name in LEAVES_TORCH:
            raise UnsupportedOperation(name, self.module, LEFT_TORCH)
        return mark_constants(func(*args, **kwargs))

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
        if not self.with_history:
            return
        for leaf in leaves:
            if not isinstance(leaf, Tensor) or not leaf.requires_grad:
                continue
            tag = self.own_tag(leaf)
            if tag is not None and leaf.grad_fn is tag.history:
                continue
            if functorch_is_active():
                return
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

    def _module_called(self, inputs: Any) -> None:
        with torch._C.DisableTorchFunction():  # the recorder is active here, and need not see itself
            self._adopt(leaves_of(inputs), self.module)

    def _module_returned(self, name: str, output: Any) -> None:
        with torch._C.DisableTorchFunction():
            leaves = leaves_of(output)
            self._adopt(leaves, name)
            if name in self.wanted:
                tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
                if tensors:
                    self.outputs[name] = self.current(tensors[0])
