"""The public function: attribution maps of any model for any input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..progress import ProgressCallback, silent
from .registry import DEFAULT_METHODS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor, device, nn
    from torch.export import ExportedProgram

    from .method import Method
    from .result import Attributions
    from .target import Target


def attribute(
    model: nn.Module | ExportedProgram,
    x: Tensor | ArrayLike,
    target: Target = "predicted",
    methods: Sequence[str | Method] | str | Method = DEFAULT_METHODS,
    *,
    output: int | str | None = None,
    device: str | device | None = None,
    brain_mask: Tensor | ArrayLike | None = None,
    regions: Tensor | ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
    fluid: Tensor | ArrayLike | None = None,
    progress: ProgressCallback = silent,
) -> Attributions:
    """Explain what any classifier or regression network says about an input.

    Parameters
    ----------
    model
        Any ``torch.nn.Module`` that returns one row of outputs per sample, a TorchScript module, or a program from
        ``torch.export``. It is never changed, and evaluated as if in evaluation mode.
    x
        The network's input: a tensor or array (N, C, I, J, K), floating point, finite; 1D and 2D networks take as many
        spatial axes as they need. The batch axis is never guessed: for one input give ``x[None]``. It is not changed.
    target
        What is explained. A class's index; one index per sample (integers, (N,)); ``"predicted"``, each sample's
        largest output; or a weight for every output (floating point, (classes,) or (N, classes)), such as
        ``[-1.0, 0.0, 1.0]`` for the last class against the first.
    methods
        Names from :func:`mri_interpret.methods`, method objects such as ``LRP(composite="epsilon")``, or a single one.
    output
        Which output to explain, of a model that returns several: an index of its tuple or a key of its dict. Left out,
        it is found where only one can be meant; :attr:`Attributions.notices` says which.
    device
        ``"cpu"``, ``"cuda"``, ``"auto"`` (CUDA if there is one) or a torch device; None for where the model is. The
        model is brought back afterwards. If a GPU's memory does not suffice, the CPU takes over, and a notice says so.
    brain_mask
        (I, J, K), true inside the brain: methods that fill or perturb voxels leave the outside alone.
    regions
        (I, J, K), integer labels of atlas regions, 0 outside; ``region_occlusion`` needs them.
    spacing
        Voxel size in mm along the input's spatial axes, for methods that measure lengths (``volume_gradient``,
        ``volume_counterfactual``); without it they count a voxel as a cube of 1 mm, and a notice says so.
    fluid
        (I, J, K), share of each voxel that is fluid of this brain (ventricles, CSF), 0 to 1: volume methods let fluid
        give what tissue takes.
    progress
        Called between passes; may raise :class:`~mri_interpret.Cancelled`, which leaves no trace in the model.

    Returns
    -------
    Attributions
        Maps by name in the order asked for, each float32 (N, I, J, K); with the outputs of the same forward pass.

    Raises
    ------
    UserError
        In one sentence, if the input, target, layers or labels do not fit the model, or the network has an operation
        for which a method that was asked for has no rule. Both before time is spent on maps.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))
    >>> maps = attribute(model, torch.rand(1, 1, 8, 8, 8), target=2, methods=["lrp", "grad_cam"])
    >>> maps["lrp"].map.shape
    torch.Size([1, 8, 8, 8])
    """
    from .explainer import Explainer
    from .input_checks import as_tensor

    explainer = Explainer(model, output=output)
    return explainer.explain(as_tensor(x), target, methods, progress, device, brain_mask, regions, spacing, fluid)
