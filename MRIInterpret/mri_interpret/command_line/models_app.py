"""`mri-interpret models ...`: what the commands are called and take. Heavy imports happen inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..explanation.options import DEFAULTS, ExplainOptions
from .shared_options import Inputs, Json

models_app = typer.Typer(help="The models at hand: list, add, check, remove.", invoke_without_command=True)


@models_app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    card: Annotated[str, typer.Option(help="Print the card of this model instead.")] = "",
    as_json: Json = False,
) -> None:
    """List the models at hand, or print a model's card."""
    if context.invoked_subcommand is None:
        from .models import models_command

        models_command(card, as_json)


@models_app.command("add")
def models_add(
    source: Annotated[Path, typer.Argument(help="A bundle's folder, a model's file, or a recipe's files.")],
    name: Annotated[str, typer.Option(help="What it is called; the source's own name if left out.")] = "",
    recipe: Annotated[str, typer.Option(help="Recipe of a published network: qiu2022, clinicadl, keras, monai.")] = "",
    option: Annotated[list[str] | None, typer.Option(help="Of the recipe, such as head=add; may be repeated.")] = None,
    classes: Annotated[str, typer.Option(help="Classes in the order of the outputs, or a quantity's name.")] = "",
    output: Annotated[
        str, typer.Option(help="logits, softmax, sigmoid, labels, logit, ordinal or regression.")
    ] = "logits",
    unit: Annotated[str, typer.Option(help="Of the quantity of a regression: years; 1 for a score without one.")] = "",
    quantity_range: Annotated[str, typer.Option("--range", help="Its lowest and highest value, such as 0,100.")] = "",
    preprocessing: Annotated[Path | None, typer.Option(help="JSON file with the list of steps.")] = None,
    shape: Annotated[str, typer.Option(help="Shape of the input, such as 96,112,96, if the steps leave it open.")] = "",
    statistics: Annotated[Path | None, typer.Option(help="JSON file: what inputs looked like in training.")] = None,
    trust_code: Annotated[
        str,
        typer.Option(help="package.module.Class of the network. This RUNS its code: name what you trust."),
    ] = "",
    arguments: Annotated[str, typer.Option(help="Arguments of that class as JSON.")] = "{}",
) -> None:
    """Add a model under a name that every door knows."""
    from .models import models_add_command

    models_add_command(
        source, name, recipe, option or [], trust_code, arguments, classes=classes, output=output, unit=unit,
        range=quantity_range, shape=shape, preprocessing=preprocessing, statistics=statistics,
    )  # fmt: skip


@models_app.command("remove")
def models_remove(name: Annotated[str, typer.Argument(help="A model that was added.")]) -> None:
    """Delete a model that was added."""
    from .models import models_remove_command

    models_remove_command(name)


@models_app.command("check")
def models_check(
    name: Annotated[str, typer.Argument(help="A model at hand, or a bundle's folder, added or not.")],
    scan: Annotated[
        Path | None, typer.Argument(help="Check on this scan; on the sample and the template if left out.")
    ] = None,
    inputs: Inputs = None,
    mask: Annotated[str, typer.Option(help="Brain mask of the scan: auto, none, or a file.")] = DEFAULTS.mask,
    space: Annotated[str, typer.Option(help="The scan's space: native, mni, auto.")] = DEFAULTS.space,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULTS.device,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", "--out", help="Folder for a page, a record and pictures.")
    ] = None,
    cache: Annotated[bool, typer.Option(help="Keep and reuse masks and transforms.")] = DEFAULTS.cache,
    as_json: Json = False,
) -> None:
    """Show what a model gets and says, what it costs, which methods apply, and what its metadata leaves open."""
    from .arguments import input_files
    from .model_check import models_check_command

    options = ExplainOptions(model=name, mask=mask, space=space, device=device, cache=cache)
    if not models_check_command(name, scan, input_files(inputs), options, output, as_json):
        raise typer.Exit(1)
