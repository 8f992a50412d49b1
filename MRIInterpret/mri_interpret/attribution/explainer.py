"""Explainer: many attribution maps of one classifier, from one recorded forward pass."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..progress import ProgressCallback, silent
from .device import on_device, peak_memory
from .engine.operation import Backward
from .engine.pooled_convolution import SMALL_SLABS, SlabPolicy
from .engine.programs import is_program, layer_names
from .engine.recorder import Recorder
from .evaluation_mode import evaluation_mode
from .method import Method
from .patched_logits import PatchedLogits
from .recorded_pass import RecordedPass
from .registry import DEFAULT_METHODS, resolve_methods
from .result import Attribution, Attributions
from .target import Target, check_target, class_scores, target_weights


class Explainer:
    """Explains what a 3D classifier (1D and 2D ones too) decides.

    Parameters
    ----------
    model
        Any ``nn.Module`` that returns class scores (N, classes), a TorchScript module or a program from
        ``torch.export``; it is never changed. A model in training mode is
        evaluated as if in evaluation mode. Models of half precision are computed in float32.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))
    >>> maps = Explainer(model).explain(torch.rand(1, 1, 8, 8, 8), target="predicted", methods=["lrp", "grad_cam"])
    >>> maps["lrp"].map.shape
    torch.Size([1, 8, 8, 8])
    """

    _slabs = SlabPolicy()

    def __init__(self, model: nn.Module | torch.export.ExportedProgram) -> None:
        if isinstance(model, torch.export.ExportedProgram):
            model = model.module()
        if not isinstance(model, nn.Module):
            raise TypeError(f"a model is a torch.nn.Module, not {type(model).__name__}")
        self.model = model

    def explain(
        self,
        x: Tensor,
        target: Target = "predicted",
        methods: Sequence[str | Method] | str | Method = DEFAULT_METHODS,
        progress: ProgressCallback = silent,
        device: str | torch.device | None = None,
        brain_mask: Tensor | None = None,
        regions: Tensor | None = None,
    ) -> Attributions:
        """Explain one input, or a batch of them.

        Parameters
        ----------
        x
            (N, C, I, J, K), floating point, finite; the network's own input. It is not changed.
        target
            A class's index, ``"predicted"`` (per sample), or a weight for every output: (classes,) or (N, classes).
        methods
            Names from :func:`available_methods`, or configured methods such as ``LRP(composite="epsilon")``.
        progress
            Called between passes; may raise ``Cancelled``, which leaves no trace in the model.
        device
            Where to compute; None for where the model is. The model is moved there for the call and moved back.
            If a GPU's memory does not suffice, large stages are computed in slabs, and if that is not enough either,
            everything on the CPU; ``progress`` is told.
        brain_mask
            (I, J, K), true inside the brain; methods that fill or perturb voxels leave the outside alone.
        regions
            (I, J, K), integer labels of atlas regions, 0 outside; needed by ``region_occlusion``.

        Returns
        -------
        Attributions
            By name, in the order asked for; with the logits of the same forward pass.

        Raises
        ------
        UserError
            If the input, target, layer or region labels do not fit the model, or (UnsupportedOperation) if the network
            has an operation for which a method that was asked for has no rule. Both before time is spent on maps.
        Cancelled
            If ``progress`` raised it.
        """
        wanted = resolve_methods(methods)
        check_target(target)
        self._check_input(x)
        self._check_layers(wanted)

        def explained(where: str | torch.device | None, slabs: SlabPolicy) -> Attributions:
            return self._explain(x, target, wanted, progress, where, brain_mask, regions, slabs)

        try:
            return explained(device, self._slabs)
        except torch.OutOfMemoryError:
            # Outside the handler, whose traceback would keep the failed pass in memory.
            pass
        torch.cuda.empty_cache()
        progress("Out of GPU memory: in slabs", 0.0)
        try:
            return explained(device, SMALL_SLABS)
        except torch.OutOfMemoryError:
            pass
        torch.cuda.empty_cache()
        progress("Out of GPU memory: on the CPU", 0.0)
        return explained("cpu", self._slabs)

    def _explain(
        self,
        x: Tensor,
        target: Target,
        wanted: dict[str, Method],
        progress: ProgressCallback,
        device: str | torch.device | None,
        brain_mask: Tensor | None,
        regions: Tensor | None,
        slabs: SlabPolicy,
    ) -> Attributions:
        with on_device(self.model, device) as place, evaluation_mode(self.model):
            prepared = self._input_on(x, place)
            started = time.perf_counter()
            progress("Forward pass", 0.0)
            mask = None if brain_mask is None else torch.as_tensor(brain_mask).to(place).bool()
            labels = None if regions is None else torch.as_tensor(regions).to(place).long()
            recorded = self.record(prepared, target, wanted, progress, mask, labels, slabs)
            progress("Forward pass", 1.0)
            results = Attributions(
                recorded.logits.detach().float().cpu(),
                recorded.weights.float().cpu(),
                recorded.explained.float().cpu(),
                time.perf_counter() - started,
            )
            for number, (key, method) in enumerate(wanted.items()):
                progress(method.title, number / len(wanted))
                results[key] = self._one(recorded, key, method, x, place)
            progress("Maps", 1.0)
        return results

    def _one(self, recorded: RecordedPass, key: str, method: Method, x: Tensor, place: torch.device) -> Attribution:
        started = time.perf_counter()
        found, details = recorded.map_of(method)
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        values = {"value": recorded.explained.tolist()}
        return Attribution(
            map=found.to(device=x.device, dtype=torch.float32),
            name=key,
            title=method.title,
            signed=method.signed,
            units=method.map_units,
            seconds=time.perf_counter() - started,
            peak_memory=peak_memory(place),
            details=method.parameters() | details | values,
        )

    # ------------------------------------------------------------------ recording

    def record(
        self,
        x: Tensor,
        target: Target,
        wanted: dict[str, Method],
        progress: ProgressCallback = silent,
        mask: Tensor | None = None,
        regions: Tensor | None = None,
        slabs: SlabPolicy | None = None,
    ) -> RecordedPass:
        """The recorded forward pass of ``x``, ready for the methods in ``wanted`` (by key).

        ``mask`` and ``regions`` lie on the input's spatial grid and on its device.

        Raises
        ------
        UserError
            If the target does not fit the outputs, or these are not finite or do not depend on the input.
        """
        slabs = slabs or self._slabs
        strict = any(method.needs_rules for method in wanted.values())
        layers = tuple(name for method in wanted.values() for name in method.layers)
        backward = Backward()
        with torch.inference_mode(False), torch.enable_grad():
            leaf = (x.clone() if x.is_inference() else x.detach()).requires_grad_()
            recorder = Recorder(self.model, backward, strict=strict, layers=layers, slabs=slabs)
            logits = class_scores(recorder.run(self.model, leaf))
            if recorder.last_spatial_pooled:
                # The last feature map was pooled on the fly, and class activation maps want it whole.
                recorder = Recorder(self.model, backward, strict=strict, layers=layers)
                logits = class_scores(recorder.run(self.model, leaf))
        if not logits.requires_grad:
            raise UserError("The model's output does not depend on its input: nothing can be explained.")
        if not bool(torch.isfinite(logits).all()):
            raise UserError("The model's scores are not finite for this input: check its weights and the intensities.")
        weights = target_weights(target, logits.detach())
        given = progress, mask, regions, slabs
        return RecordedPass(
            model=self.model,
            x=leaf,
            logits=logits,
            weights=weights,
            logits_of=lambda other: self._plain(other, len(x)),
            record=lambda other: self.record(other, weights.repeat(len(other) // len(x), 1), wanted, *given),
            record_with=lambda model: Explainer(model).record(x, weights, wanted, *given),
            logits_with_boxes=PatchedLogits(self.model, x, self._plain),
            backward=backward,
            accepts_batches=not is_program(self.model),
            outputs=recorder.outputs,
            last_spatial=recorder.last_spatial,
            last_spatial_name=recorder.last_spatial_layer,
            regions=regions,
            mask=mask,
            progress=progress,
        )

    def _plain(self, x: Tensor, samples: int) -> Tensor:
        # An exported program may insist on the number of samples that it was exported with.
        pieces = x.split(samples) if is_program(self.model) else (x,)
        found = []
        for piece in pieces:
            recorder = Recorder(self.model, Backward(), strict=False, slabs=self._slabs)
            with torch.no_grad():
                found.append(class_scores(recorder.run(self.model, piece.detach())).detach())
        return torch.cat(found)

    # ------------------------------------------------------------------ checks

    def _check_input(self, x: Tensor) -> None:
        if not isinstance(x, Tensor):
            raise TypeError(f"the input is a tensor (N, C, I, J, K), not {type(x).__name__}")
        if x.dim() < 3 or 0 in x.shape:
            raise UserError(f"The input has shape {tuple(x.shape)}; the model needs (N, C, I, J, K).")
        if x.is_meta:
            raise UserError("The input holds no values (it is on torch's meta device): load the scan first.")
        if not x.is_floating_point():
            raise UserError(f"The input has type {x.dtype}; give floating point intensities.")
        if not bool(torch.isfinite(x).all()):
            raise UserError("The input holds values that are not finite (NaN or infinity): mend the scan first.")
        kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        first = next((module for module in self.model.modules() if isinstance(module, kinds)), None)
        axes = x.dim() - 2 if first is None else len(first.kernel_size)
        if x.dim() != axes + 2:
            hint = ": add an axis for the batch, x[None]" if x.dim() == axes + 1 else ""
            raise UserError(
                f"The input has shape {tuple(x.shape)}; the model needs {axes} spatial axes after (N, C){hint}."
            )

    def _check_layers(self, wanted: dict[str, Method]) -> None:
        names = layer_names(self.model)
        for method in wanted.values():
            for layer in method.layers:
                if layer not in names:
                    raise UserError(f"The model has no layer '{layer}'; it has: {', '.join(names)}.")

    # ------------------------------------------------------------------ devices and precision

    def _input_on(self, x: Tensor, place: torch.device) -> Tensor:
        dtype = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
        moved: Tensor = x.detach().to(device=place, dtype=dtype)
        return moved
