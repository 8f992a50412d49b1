"""Explainer: many attribution maps of one classifier, from one recorded forward pass."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from ..errors import UserError
from ..gpu_memory import first_that_fits
from ..progress import ProgressCallback, silent
from .about_input import NO_SPACING, AboutInput, read_about
from .deformation_result import DEFORMATIONS, NOTICES
from .device import on_device, peak_memory
from .engine.pooled_convolution import SMALL_SLABS, SlabPolicy
from .engine.torch_modes import plain_tensor
from .evaluation_mode import evaluation_mode
from .input_checks import check_input, check_layers, check_precision
from .method import Method
from .recorded_pass import RecordedPass
from .recording import PassSettings, record_pass
from .registry import DEFAULT_METHODS, resolve_methods
from .result import Attribution, Attributions
from .target import Target, check_target


class Explainer:
    """Explains what a 3D classifier (1D and 2D ones too) decides.

    Parameters
    ----------
    model
        Any ``nn.Module`` that returns class scores (N, classes), a TorchScript module or a program from
        ``torch.export``; it is never changed. A model in training mode is
        evaluated as if in evaluation mode. Models of half precision are computed in float32.
    output
        Which output to explain, of a model that returns several: an index of its tuple or a key of its dict. Left out,
        it is found where only one can be meant; :attr:`Attributions.notices` says which.
    classes
        How many outputs the model is expected to have, to tell class scores from other outputs.
    undo_activation
        Whether the logits before a final softmax or sigmoid are explained, where they can be reached.

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

    def __init__(
        self,
        model: nn.Module | torch.export.ExportedProgram,
        *,
        output: int | str | None = None,
        classes: int | None = None,
        undo_activation: bool = True,
    ) -> None:
        if isinstance(model, torch.export.ExportedProgram):
            model = model.module()
        if type(model).__name__ == "OptimizedModule":
            model = getattr(model, "_orig_mod", model)  # what torch.compile was given: the same network in Python
        if not isinstance(model, nn.Module):
            raise TypeError(f"a model is a torch.nn.Module, not {type(model).__name__}")
        self.model = model
        self._settings = PassSettings(output=output, classes=classes, undo_activation=undo_activation)

    @property
    def undoes_activation(self) -> bool:
        """Whether the logits before a final softmax or sigmoid are explained, where they can be reached."""
        return self._settings.undo_activation

    def explain(
        self,
        x: Tensor,
        target: Target = "predicted",
        methods: Sequence[str | Method] | str | Method = DEFAULT_METHODS,
        progress: ProgressCallback = silent,
        device: str | torch.device | None = None,
        brain_mask: Tensor | ArrayLike | None = None,
        regions: Tensor | ArrayLike | None = None,
        spacing: Sequence[float] | None = None,
        fluid: Tensor | ArrayLike | None = None,
    ) -> Attributions:
        """Explain one input, or a batch of them.

        Parameters
        ----------
        x
            (N, C, I, J, K), floating point, finite; the network's own input. It is not changed.
        target
            A class's index, an index per sample (integers, (N,)), ``"predicted"``, or a weight for every output
            (floating point, (classes,) or (N, classes)).
        methods
            Names from :func:`available_methods`, or configured methods such as ``LRP(composite="epsilon")``.
        progress
            Called between passes; may raise ``Cancelled``, which leaves no trace in the model.
        device
            Where to compute; None for where the model is. The model is moved there for the call and moved back.
            If a GPU's memory does not suffice, large stages are computed in slabs, and if that is not enough either,
            everything on the CPU; ``progress`` is told, and :attr:`Attributions.notices` says so.
        brain_mask
            (I, J, K), true inside the brain; methods that fill or perturb voxels leave the outside alone.
        regions
            (I, J, K), integer labels of atlas regions, 0 outside; needed by ``region_occlusion``.
        spacing
            Voxel size in mm along the spatial axes, for methods that measure lengths.
        fluid
            (I, J, K), share of each voxel that is fluid of this brain, 0 to 1, for volume methods.

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
        check_precision(self.model)
        check_input(self.model, x)
        about = read_about(brain_mask, regions, fluid, spacing, x)
        for method in wanted.values():
            method.check(x)
        check_layers(self.model, (layer for method in wanted.values() for layer in method.layers))

        def explained(where: str | torch.device | None, slabs: SlabPolicy) -> Attributions:
            return self._explain(x, target, wanted, progress, where, about, slabs)

        ways = (
            ("", lambda: explained(device, self._slabs)),
            ("in slabs", lambda: explained(device, SMALL_SLABS)),
            ("on the CPU", lambda: explained("cpu", self._slabs)),
        )
        results, way = first_that_fits(ways, progress)
        if spacing is None and any(method.needs_lengths for method in wanted.values()):
            results.notices = (*results.notices, NO_SPACING)
        if way:
            notice = f"The GPU's memory did not suffice for this model: the maps were computed {way}."
            results.notices = (*results.notices, notice)
        return results

    def _explain(
        self,
        x: Tensor,
        target: Target,
        wanted: dict[str, Method],
        progress: ProgressCallback,
        device: str | torch.device | None,
        about: AboutInput,
        slabs: SlabPolicy,
    ) -> Attributions:
        with torch.inference_mode(False), on_device(self.model, device) as place, evaluation_mode(self.model):
            prepared = _input_on(x, place)
            started = time.perf_counter()
            progress("Forward pass", 0.0)
            settings = replace(self._settings, slabs=slabs, about=about.on(place), progress=progress)
            recorded = record_pass(self.model, prepared, target, settings.for_methods(list(wanted.values())))
            progress("Forward pass", 1.0)
            results = Attributions(
                recorded.logits.detach().float().cpu(),
                recorded.weights.float().cpu(),
                recorded.explained.float().cpu(),
                time.perf_counter() - started,
                recorded.choice,
            )
            for number, (key, method) in enumerate(wanted.items()):
                progress(method.title, number / len(wanted))
                results[key] = one = self._one(recorded, key, method, x, place)
                said = [sentence for sentence in one.details.pop(NOTICES, ()) if sentence not in results.notices]
                results.notices = (*results.notices, *said)
            progress("Maps", 1.0)
        return results

    def _one(self, recorded: RecordedPass, key: str, method: Method, x: Tensor, place: torch.device) -> Attribution:
        started = time.perf_counter()
        values, details = recorded.map_of(method)
        values = values.to(device=x.device, dtype=torch.float32)  # waits for a GPU
        title = method.title_of(details)
        # A sum with one value that is not finite is not finite either; only then is every value looked at.
        if not bool(torch.isfinite(values.sum())) and not bool(torch.isfinite(values).all()):
            raise UserError(
                f"The map of {title} holds values that are not finite, for the model or the method's settings make it "
                "overflow: leave this method out, or choose other settings."
            )
        details = dict(details)
        deformations = details.pop(DEFORMATIONS, ())
        facts: dict[str, Any] = {"value": recorded.explained.tolist()}
        if recorded.choice.name:
            facts["output"] = recorded.choice.name
        if recorded.choice.undone:
            facts["explained_before"] = recorded.choice.activation
        return Attribution(
            map=values,
            name=key,
            title=title,
            signed=method.signed,
            units=method.map_units.replace("logit", recorded.choice.scale),
            seconds=time.perf_counter() - started,
            peak_memory=peak_memory(place),
            details=method.parameters() | details | facts,
            deformations=deformations,
        )

    def record(self, x: Tensor, target: Target, wanted: dict[str, Method]) -> RecordedPass:
        """The recorded forward pass of ``x``, ready for the methods in ``wanted`` (by key); see :func:`record_pass`."""
        settings = replace(self._settings, slabs=self._slabs)
        return record_pass(self.model, x, target, settings.for_methods(list(wanted.values())))


def _input_on(x: Tensor, place: torch.device) -> Tensor:
    dtype = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
    # A copy: what the recorder does not see may change its input in place, and the tensor is the caller's.
    return plain_tensor(x.detach()).to(device=place, dtype=dtype, copy=True)
