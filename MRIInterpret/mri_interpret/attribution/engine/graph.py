"""The graph that is recorded: operations in order, tagged tensors, and what stands for a tensor now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from .aliases import Aliases
from .arguments import flattened, leaves_of
from .axes import Origins, agree, is_followed, lost, may_be_features, voxels
from .calls import Call, UnsupportedOperation
from .deferred import Deferred
from .features import Feature, last_that_leads_to
from .layout import is_channels_last
from .operation import Backward, Node, Operation
from .pooled_convolution import SlabPolicy
from .running_module import RunningModule
from .tag import Tag, set_tag, tag_of
from .torch_modes import without_saved_tensor_hooks
from .weighted import WeightedLayer

#: Kinds of operations that make feature maps (pooling only thins them out).
_FEATURES = frozenset({"convolution", "normalisation", "activation", "sum", "product"})

#: Kinds of operations that a composite names rules for.
KINDS_WITH_RULES = frozenset({"convolution", "dense", "normalisation"})

#: Name of an operation, its module, and the numbers of the operations that its inputs came from.
Recorded = tuple[str, str, tuple[int, ...]]


class RecordedGraph:
    """What the handlers of torch functions build: :class:`recorder.Recorder` calls them.

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
    feature
        Number of the feature map that is kept; the last one if left out.

    Attributes
    ----------
    operations
        What was recorded, in order. Two passes with the same list were recorded in the same way.
    ruled
        Names of the modules with operations that a composite may name a rule for.
    features
        The feature maps so far, in order; of one of them ``kept`` is the tensor.
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
        feature: int | None = None,
    ) -> None:
        super().__init__()
        self.backward = backward
        self.strict = strict
        self.wanted = frozenset(layers)
        self.slabs = slabs
        self.defers = defers
        self.outputs: dict[str, Tensor] = {}
        self.ruled: set[str] = set()
        self.features: list[Feature] = []
        self.kept: Tensor | None = None
        self._wanted_feature = feature
        self.rank = 0
        self.with_history = False
        self.leaked = False
        self.operations: list[Recorded] = []
        self.last_call = ("forward", "")
        self._running = RunningModule(model)
        self._active = False
        self._token = object()
        self._aliases = Aliases()

    # ------------------------------------------------------------------ operations and their tensors

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
        if not isinstance(value, Tensor):
            return None
        tag = tag_of(value)
        return tag if tag is not None and tag.recording is self._token else None

    def record(
        self,
        operation: Operation,
        *inputs: Tensor,
        geometry: Origins | None = None,
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
        if operation.kind in KINDS_WITH_RULES:
            self.ruled.add(operation.module)
        operation.first = all(tag.first for tag in tags if tag is not None)
        if isinstance(operation, WeightedLayer) and all(tag is not None and tag.nonnegative for tag in tags):
            operation.nonnegative = True  # no look at every voxel
        with torch.enable_grad():
            output: Tensor = Node.apply(operation, *inputs)
        self._list(type(operation).__name__, operation.module, tags)
        weighted = operation.kind in ("convolution", "dense")
        self.tag(output, Tag(geometry, gate, operation.first and not weighted, operation.rectifies))
        self._aliases.note(output)
        if operation.kind in _FEATURES and geometry is not None:
            self.note_feature(output, geometry, operation.module if label is None else label, pooled=operation.pooled)
        return output

    def defer(self, value: Deferred, tag: Tag) -> Tensor:
        """Let ``value`` stand for a tensor that ``tag.pending`` computes."""
        value.value_for_unseen_code = self._asked_for
        return self.tag(value, tag)

    def note_feature(self, output: Tensor, geometry: Origins, layer: str, pooled: bool = False) -> None:
        """Remember that ``output`` is a feature map, if it has more than one voxel.

        Only the one that is wanted is kept: together they would take much memory.
        """
        if output.dim() != self.rank or not output.requires_grad or not may_be_features(geometry, output.shape):
            return
        if self._wanted_feature in (None, len(self.features)):
            self.kept = output
        self.features.append(Feature(output.grad_fn, layer, pooled))

    def last_feature(self, scores: Tensor) -> int | None:
        """Number of the last feature map that ``scores`` were computed from; None if there is none."""
        return last_that_leads_to(scores, self.features)

    @property
    def kept_number(self) -> int:
        """Number of the feature map in ``kept``."""
        return len(self.features) - 1 if self._wanted_feature is None else self._wanted_feature

    def plain(self, call: Call, geometry: Origins | None = None) -> Any:
        """Run a function whose gradient is also its relevance rule (it only moves values about)."""
        sources = [tag for tag in map(tag_of, self._tensors(call)) if tag is not None]
        with torch.enable_grad(), without_saved_tensor_hooks():
            output = call.func(*call.args, **call.kwargs)
        self._list(call.name, self.module, sources)
        for value in leaves_of(output):
            if isinstance(value, Tensor) and self._follows(value):
                gate, first = any(tag.gate for tag in sources), all(tag.first for tag in sources)
                if self.own_tag(value) is None:
                    self.tag(value, Tag(geometry=geometry, gate=gate, first=first, activated=sources[0].activated))
                self._aliases.note(value)
        return output

    def geometry(self, *tensors: Tensor) -> Origins | None:
        """Where what is computed from ``tensors`` value by value lies: where the largest of them does.

        A gate of one voxel says nothing about the grid. Of two that are as large one may be lost; lost are both if they
        lie at different places.
        """
        found: Origins | None = None
        shape: tuple[int, ...] = ()
        axes, largest = max((value.dim() for value in tensors if isinstance(value, Tensor)), default=0), -1
        for tensor in tensors:
            tag = tag_of(tensor)
            if tag is None or tensor.dim() != axes:
                continue
            origins = lost(axes) if tag.geometry is None else tag.geometry
            size = voxels(origins, tensor.shape)
            if found is None or size > largest:
                found, largest, shape = origins, size, tensor.shape
            elif size == largest and not is_followed(found):
                found = origins
            elif size == largest and is_followed(origins) and not agree(found, origins, shape):
                found = lost(axes)
        return found

    def unsupported(self, call: Call, reason: str) -> UnsupportedOperation:
        """The error that refuses ``call``."""
        return UnsupportedOperation(call.name, self.module, reason)

    # ------------------------------------------------------------------ what stands for a tensor now

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

    def laid_out_plainly(self, value: Any) -> Any:
        """What stands for ``value`` now, for a function that looks at memory: each channel by itself."""
        tag = self.own_tag(value)
        if tag is None or not is_channels_last(value):
            return value
        with torch.enable_grad(), without_saved_tensor_hooks():
            output = value.contiguous()
        number = tag.number
        self.tag(output, replace(tag, replacement=None))
        output_tag = tag_of(output)
        assert output_tag is not None
        output_tag.number = number
        self._aliases.copied(value, output)
        tag.replacement = output
        return output

    def postpones(self, tag: Tag) -> bool:
        """Whether a pending tensor stays pending although an operation wants it."""
        return False

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
        return [leaf for leaf in flattened(call.args, call.kwargs)[0] if isinstance(leaf, Tensor)]
