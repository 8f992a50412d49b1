"""Options that several commands have, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the machine-readable result on stdout.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help="NAME=FILE of a further image that the model takes, such as flair=flair.nii.gz."),
]
