"""`mri-interpret models check`: a model tried on the sample and the template, or on a scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer

from ..explanation.options import ExplainOptions
from ..json_text import to_json
from ..model_check.facts import ModelCheck
from ..model_check.page import answer_words, conservation_words, cost_rows, input_words
from .arguments import check_writable
from .terminal import shown_progress


def models_check_command(
    model: str,
    scan: Path | None,
    inputs: Mapping[str, Path],
    options: ExplainOptions,
    output: Path | None,
    as_json: bool,
) -> bool:
    """Check and tell; true if the model is sound."""
    from ..model_check.check_model import TYPICAL_SECONDS, check_model
    from ..model_check.page import write_check
    from ..preprocessing.cache import PreprocessingCache

    if output is not None:
        check_writable(output)
    left_out = ("Preparing the scan",) if scan is None else ("Preparing the sample", "Preparing the template")
    typical = {name: seconds for name, seconds in TYPICAL_SECONDS.items() if name not in left_out}
    with shown_progress(typical, quiet=as_json) as progress:
        check = check_model(
            model, scan, inputs=inputs, mask=options.mask, space=options.space, device=options.device,
            cache=PreprocessingCache(enabled=options.cache), progress=progress,
        )  # fmt: skip
    files = write_check(check, output) if output is not None else {}
    if as_json:
        record = check.record() | {"files": {name: str(path) for name, path in files.items()}}
        typer.echo(to_json(record), nl=False)
    else:
        for line in _lines(check):
            typer.echo(line)
        if files:
            typer.echo(f"Page: {files['page']}")
    return check.sound


def _lines(check: ModelCheck) -> list[str]:
    banner = check.banner if "research use only" in check.banner.lower() else f"Research use only. {check.banner}"
    lines = [f"{check.name} {check.version} ({check.path})", f"  {banner}", f"  {check.network}; {check.outputs}"]
    for one in check.inputs:
        lines += ["", f"On {one.source}:"]
        lines += [f"  input     {input_words(one)}"] if one.shape else []
        lines += [f"  output    {answer_words(one)}"] if one.predicted else []
        lines += [f"  warning   {sentence}" for sentence in one.warnings]
        lines += [f"  note      {sentence}" for sentence in one.notices]
        lines += [f"  not run   {one.problem}"] if one.problem else []
    lines += ["", "Cost:", *(f"  {name}: {value}" for name, value in cost_rows(check))] if check.cost else []
    if check.methods:
        applying = [one.name for one in check.methods if one.applies]
        lines += ["", f"Methods that apply ({len(applying)} of {len(check.methods)}): {', '.join(applying) or 'none'}"]
        lines += [f"  not {one.name}: {one.reason}" for one in check.methods if not one.applies]
    lines += [f"  {conservation_words(check)}"] if check.conservation else []
    lines += ["", "The metadata leaves open:", *(f"  {sentence}" for sentence in check.open_questions)]
    lines += [] if check.open_questions else ["  nothing that is asked here"]
    troubles = check.troubles
    lines += ["", "Sound." if check.sound else f"To be mended ({len(troubles)}):", *(f"  {one}" for one in troubles)]
    return lines
