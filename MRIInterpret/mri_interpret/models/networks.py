"""The networks that a bundle's configuration may name. A name that is not here is refused: nothing else is imported."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from ..errors import UserError

#: Networks of our own: name -> file of this folder.
_OWN = {
    "PlainCNN3d": "plain_cnn",
    "EvidenceCNN3d": "evidence_cnn",
    "EvidenceEnsemble3d": "evidence_ensemble",
    "EvidenceCommittee3d": "evidence_committee",
    "AnatomyUNet": "anatomy_unet",
    "LayerList": "layer_list",
    "MeanOfNetworks": "layer_list",
    "ResidualNetwork": "residual_network",
    "PooledResidualNetwork": "pooled_residual_network",
    "VisionTransformer": "vision_transformer",
}
_OTHER_SPELLINGS = ("Densenet121", "Densenet169", "Densenet201", "Densenet264", "SEResNeXt50", "SEResNeXt101")
# MONAI's 3D classifiers take an (N, C, I, J, K) image and return (N, classes); MONAI is asked for only when named.
_MONAI = (
    *("Classifier", "DenseNet", "DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264", "EfficientNetBN"),
    *("Regressor", "ResNet", "ResNetFeatures", "SENet", "SENet154", "SEResNet50", "SEResNet101", "SEResNet152"),
    *("SEResNext50", "SEResNext101", "ViT"),
    *("resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200"),
    *_OTHER_SPELLINGS,
)
_MONAI_PACKAGE = "monai.networks.nets"


def build_network(target: str, arguments: dict[str, Any]) -> Any:
    """Make the network that a bundle names.

    Parameters
    ----------
    target
        A network's name as in MONAI's bundles: short ("DenseNet121"), or with its module
        ("monai.networks.nets.DenseNet121", "mri_interpret.models.plain_cnn.PlainCNN3d").
    arguments
        Keyword arguments of its constructor: values only, no references or expressions.

    Returns
    -------
    torch.nn.Module with fresh weights.

    Raises
    ------
    UserError
        If the name is not allowed, its package is missing, or the arguments do not fit.
    """
    package, name = _located(target)
    for place, value in _leaves(arguments):
        if isinstance(value, str) and value.startswith(("@", "$", "%")):
            what = {"@": "a reference", "$": "an expression", "%": "a macro"}[value[0]]
            raise UserError(
                f"configs/inference.json: 'network_def.{place}' is {what} ('{value}'), which is not evaluated here: "
                "write the value itself."
            )
    try:
        make = getattr(importlib.import_module(package), name)
    except ImportError as error:
        raise UserError(f"The model needs {package.partition('.')[0]}, which is missing: pip install monai") from error
    except AttributeError as error:
        raise UserError(f"The installed MONAI has no network '{name}': install a newer one.") from error
    try:
        return make(**arguments)
    except Exception as error:  # networks check their arguments in many ways
        raise UserError(
            f"The network {name} cannot be made from its settings in configs/inference.json ({_first_line(error)})."
        ) from error


def _located(target: str) -> tuple[str, str]:
    """Package and name of an allowed network."""
    module, _, name = target.rpartition(".")
    # Whatever this package is called when it is loaded inside Slicer, its own network is the one beside this file.
    if name in _OWN and module in ("", f"mri_interpret.models.{_OWN[name]}"):
        return f"{__package__}.{_OWN[name]}", name
    inside = f"{module}.".startswith(f"{_MONAI_PACKAGE}.") and all(map(str.isidentifier, module.split(".")))
    if name in _MONAI and (module == "" or inside):
        return _MONAI_PACKAGE, name
    known = ", ".join(sorted({*_OWN, *_MONAI} - {*_OTHER_SPELLINGS}))
    raise UserError(f"The network '{target}' is not known; configs/inference.json may name one of: {known}.")


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _leaves(entry, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _leaves(entry, f"{place}.{index}")
    else:
        yield place, value


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
