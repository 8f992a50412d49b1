"""`mri-interpret simulate`: a cohort of synthetic scans with known atrophy."""

from __future__ import annotations

from pathlib import Path

import typer

from .arguments import check_writable
from .terminal import shown_progress


def simulate_command(
    *,
    n: int,
    seed: int,
    output: Path,
    label_maps: Path | None,
    whole_head: bool,
    healthy_twins: bool,
    only: tuple[str, ...] = (),
    in_template: bool = False,
    disease: str = "published",
) -> None:
    """Write the cohort and say where its table is."""
    from ..simulation.command import simulate_cohort

    check_writable(output)
    with shown_progress({}) as progress:
        table = simulate_cohort(
            n,
            seed,
            output,
            label_maps,
            whole_head=whole_head,
            healthy_twins=healthy_twins,
            only=only,
            in_template=in_template,
            disease=disease,
            progress=progress,
        )
    typer.echo(f"Results: {table}")
