"""A ClinicaDL 2 output folder: model.json, the record of the data, and the weights of each split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UserError
from .clinicadl_2_networks import is_pointwise, last_activation, network_parts
from .clinicadl_2_transforms import dataset_steps
from .recipe import Imported, read_state

_REGRESSION = ("MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss")
#: Activations that make probabilities of logits for a loss: without them the probabilities are the same.
_LEFT_AWAY = {"NLLLoss": "logsoftmax", "BCELoss": "sigmoid"}


def read_clinicadl_2(source: Path, chosen: Mapping[str, str]) -> Imported:
    """One trained network of the folder.

    Parameters
    ----------
    source
        The folder that ClinicaDL's Trainer wrote.
    chosen
        "split"; "selection", such as "best-loss", "epoch-10" or "final"; "classes", separated by commas; "unit".

    Raises
    ------
    UserError
        If a file is missing or damaged, or says something that is not understood; it is named.
    """
    model = _read_json(source / "model.json", source)
    if not isinstance(model, dict) or model.get("name_") != "SupervisedModel":
        name = model.get("name_") if isinstance(model, dict) else str(model).partition("(")[0]
        raise UserError(f"{source}/model.json: ClinicaDL's model {name} is not covered, only a SupervisedModel.")
    inferer = model.get("inferer") or {}
    if not isinstance(inferer, dict) or inferer.get("name_") != "SimpleInferer":
        name = inferer.get("name_") if isinstance(inferer, dict) else inferer
        raise UserError(f"{source}/model.json: the inferer {name} is not covered, only a SimpleInferer.")
    record = source / "training" / "data" / "train" / f"split-{chosen['split']}" / "dataset.json"
    steps, shape = dataset_steps(_read_json(record, source), str(record))
    weights = _weights(source, chosen)
    network: Any = model.get("network")
    target, arguments, renamed = network_parts(network, weights, f"{source}/model.json", _keeps_last(model))
    expected = network.get("in_shape")
    if expected is not None and list(expected[1:]) != shape:
        sizes = (" x ".join(map(str, numbers)) for numbers in (expected[1:], shape))
        raise UserError("{}: the network was made for {} voxels, and its data have {}.".format(source, *sizes))
    return Imported(
        target=target,
        arguments=arguments,
        weights=renamed,
        metadata={
            "name": f"clinicadl_{source.resolve().name}",
            "version": "1.0.0",
            "description": f"{network['name_']} trained with ClinicaDL 2, split {chosen['split']}, "
            f"{chosen['selection']}",
            "data_source": "as the MAPS folder records it",
            "intended_use": "Research. Not for diagnosis.",
            "license": "not stated",
            "mri_interpret": {
                "banner": "Research use only, not for diagnosis. Trained with ClinicaDL by its owner.",
                **_output(source, model, chosen),
                "preprocessing": steps,
            },
        },
        card=f"# {network['name_']}, trained with ClinicaDL 2\n\nResearch use only, not for diagnosis. Split "
        f"{chosen['split']}, selected by {chosen['selection']}.\n",
        notes=("t1-linear's registration by ANTs is replaced by this project's affine registration.",),
    )


def _loss(model: Mapping[str, Any]) -> str:
    loss = model.get("loss") or {}
    return str(loss.get("name_")) if isinstance(loss, dict) else str(loss)


def _keeps_last(model: Mapping[str, Any]) -> bool:
    """Whether what the loss gets is what the last activation makes of the network's outputs."""
    network: Any = model.get("network")
    last = last_activation(network) if isinstance(network, dict) else ""
    return is_pointwise(last) and last != _LEFT_AWAY.get(_loss(model))


def _read_json(path: Path, source: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{source} holds no {path.relative_to(source).as_posix()}.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}).") from error


def _weights(source: Path, chosen: Mapping[str, str]) -> dict[str, Any]:
    """The network's tensors, without the names that ClinicaDL's model puts before them."""
    models = source / "training" / f"split-{chosen['split']}" / "models"
    places = {"best": "best_models", "epoch": "checkpoints"}
    selection = chosen["selection"]
    # A name that holds a folder's separator would lead out of the source.
    plain = not set(selection + chosen["split"]) & set("/\\")
    path = models / places.get(selection.partition("-")[0], "") / selection / "model.pt"
    if not plain or not path.is_file():
        found = sorted(file.parent.name for file in models.glob("**/model.pt")) if plain else []
        saved = f"it holds {', '.join(found)}" if found else "it holds no weights"
        raise UserError(f"{source} has no model '{selection}' of split {chosen['split']}; {saved}.")
    weights = {}
    for name, value in read_state(path).items():
        part, _, rest = name.partition(".")
        if part == "network":
            weights[rest] = value
        elif part != "loss":  # a loss may hold the classes' weights
            raise UserError(f"{path} holds '{name}', which belongs to no network.")
    return weights


def _output(source: Path, model: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, Any]:
    """What the outputs mean: from the loss, the last activation, and the user's words.

    A softmax or sigmoid at the end is left away, and the outputs are logits: their probabilities are the same.
    """
    place, name = f"{source}/model.json", _loss(model)
    network = model["network"]
    count, last, label = int(network["num_outputs"]), last_activation(network), str(model.get("label_key"))
    if name in _REGRESSION:
        if count != 1:
            raise UserError(f"{place}: a regression of {count} numbers is not covered, only of one.")
        after = ((model.get("inferer") or {}).get("postprocessing") or {}).get("transforms")
        if after or (last and not is_pointwise(last)):
            raise UserError(f"{place}: what the regression's number passes at last ({after or last}) is not covered.")
        if not chosen["unit"]:
            raise UserError(
                f"{place} does not tell the unit of the {label}: give it as the recipe's option 'unit', such as "
                "unit=years, or unit=1 for a score that has none."
            )
        return {"output": {"kind": "regression", "name": label, "unit": chosen["unit"]}}
    one = "logit" if count == 1 else "labels"
    kinds = {"CrossEntropyLoss": "logits", "NLLLoss": "logits", "BCEWithLogitsLoss": one, "BCELoss": one}
    if name not in kinds:
        raise UserError(f"{place}: what the outputs mean is not told by the loss {name}.")
    kind, before = kinds[name], _LEFT_AWAY.get(name, "")
    if last != before and (before or not is_pointwise(last)):
        raise UserError(f"{place}: the loss {name} after the activation '{last or 'none'}' is not covered.")
    needed = 2 if kind == "logit" else count
    classes = [part.strip() for part in chosen["classes"].split(",") if part.strip()]
    if len(classes) != needed:
        given = f"{len(classes)} are given" if classes else "ClinicaDL 2 does not record them"
        what = "labels" if kind == "labels" else "classes"
        raise UserError(
            f"{place}: the {label} has {needed} {what}, and {given}: give their names in the order of their numbers "
            "as the recipe's option 'classes', such as classes=CN,AD."
        )
    return {"output": kind, "classes": classes}
