"""Options that several commands have, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the machine-readable result on stdout.")]
Goal = Annotated[
    str, typer.Option(help="Where volume_counterfactual takes the answer: boundary, a class, a value, or 'AD 30 %'.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help="NAME=FILE of a further image that the model takes, such as flair=flair.nii.gz."),
]
Reference = Annotated[
    list[Path] | None,
    typer.Option(help="A map in MNI space to compare the maps with, such as a meta-analysis; may be given again."),
]
