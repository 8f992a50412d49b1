"""The networks that a bundle's configuration may name. A name that is not here is refused: nothing else is imported."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import UserError

OWN = {"mri_interpret.models.plain_cnn.PlainCNN3d"}
# MONAI's 3D classifiers take an (N, C, I, J, K) image and return (N, classes); MONAI is asked for only when named.
_MONAI_NAMES = (
    "Classifier DenseNet DenseNet121 DenseNet169 DenseNet201 DenseNet264 EfficientNetBN ResNet ResNetFeatures "
    "SEResNet50 SEResNet101 SEResNext50 SEResNext101 SENet154 ViT resnet10 resnet18 resnet34 resnet50 resnet101"
)
MONAI = {f"monai.networks.nets.{name}" for name in _MONAI_NAMES.split()}
ALLOWED = frozenset(OWN | MONAI)


def build_network(target: str, arguments: dict[str, Any]) -> Any:
    """Make the network that a bundle names.

    Parameters
    ----------
    target
        Dotted name from ``ALLOWED``.
    arguments
        Keyword arguments of its constructor.

    Returns
    -------
    torch.nn.Module with fresh weights.

    Raises
    ------
    UserError
        If the name is not allowed, its package is missing, or the arguments do not fit.
    """
    if target not in ALLOWED:
        known = ", ".join(sorted(name.rpartition(".")[2] for name in ALLOWED))
        raise UserError(f"The network '{target}' is not known; configs/inference.json may name one of: {known}.")
    module_name, _, class_name = target.rpartition(".")
    if target in OWN:
        module_name = f"{__package__}.plain_cnn"  # whatever the package is called when it is loaded inside Slicer
    try:
        make = getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        raise UserError(
            f"The model needs {module_name.partition('.')[0]}, which is missing: pip install monai"
        ) from error
    try:
        return make(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"The network {class_name} cannot be made from its settings in configs/inference.json ({error})."
        ) from error
