"""The check of a model as files: one self-contained page, the record for programs, and the pictures as PNG."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

from ..atomic import write_bytes, write_text
from ..drawing.html import percent, render
from ..explanation.answer_words import members_legend, share_words
from ..json_text import to_json
from .facts import CheckedInput, ModelCheck

_TEMPLATES = Path(__file__).with_name("templates")
PAGE, RECORD = "model_check.html", "model_check.json"


def write_check(check: ModelCheck, folder: str | Path) -> dict[str, Path]:
    """Write page, record and pictures into a folder, which is made if it is missing.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    folder = Path(folder)
    files = {"page": folder / PAGE, "record": folder / RECORD}
    for number, one in enumerate(check.inputs, start=1):
        if one.picture is not None:
            files[f"input_{number}"] = folder / f"network_input_{number}.png"
            write_bytes(files[f"input_{number}"], as_png(one.picture.data))
    write_text(files["record"], to_json(check.record()))
    write_text(files["page"], check_page(check))
    return files


def check_page(check: ModelCheck) -> str:
    """The page as text."""
    sections = [("found", "Found"), ("inputs", "Inputs"), ("methods", "Methods"), ("cost", "Cost"), ("open", "Open")]
    model = SimpleNamespace(banner=check.banner, training_data=check.training_data)
    return render(
        _TEMPLATES,
        "model_check.html.j2",
        title=f"{check.name} {check.version}: does it work here?",
        sections=sections,
        model=model,
        check=check,
        answers=[answer_words(one) for one in check.inputs],
        cost=cost_rows(check),
        conservation=conservation_words(check),
    )


def as_png(webp: bytes) -> bytes:
    """A picture in the format that everything opens."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(webp)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def answer_words(one: CheckedInput) -> str:
    """What the network said, in a line."""
    if not one.predicted:
        return ""
    deviations = one.members_sd or {}
    legend = f"±: {members_legend(one.members)}" if deviations else ""
    if one.probabilities:
        shares = ", ".join(
            f"{name} {share_words(value, deviations[name], 1) if deviations else percent(value, 1)}"
            for name, value in one.probabilities.items()
        )
        return f"{one.predicted} ({'; '.join(filter(None, (shares, legend)))})"
    return one.predicted + "".join(f" ± {value:.2g} ({legend})" for value in deviations.values())


def input_words(one: CheckedInput) -> str:
    """What the network got, in a line."""
    channels, *shape = one.shape
    values = one.values
    return (
        f"{channels} {'channel' if channels == 1 else 'channels'} of {' x '.join(map(str, shape))} voxels, axes to "
        f"{', '.join(one.axes)}; in the brain mean {values['mean']:.3g}, SD {values['sd']:.3g}, {values['lowest']:.3g} "
        f"to {values['highest']:.3g}; {percent(values['zeros'])} zeros"
    )


def cost_rows(check: ModelCheck) -> list[tuple[str, str]]:
    """Names and values of the cost; empty if it was not measured."""
    cost = check.cost
    if cost is None:
        return []
    whole = cost.default_methods_seconds
    return [
        ("Measured on", check.measured_on),
        ("Device", cost.device),
        ("Parameters", f"{cost.parameters:,}"),
        ("Forward pass", f"{cost.forward_seconds:.3g} s, {_mebibytes(cost.forward_bytes)}"),
        (
            "Forward and backward pass",
            f"{cost.forward_backward_seconds:.3g} s, {_mebibytes(cost.forward_backward_bytes)}",
        ),
        ("Maps of the default methods", "not all apply" if whole is None else f"{whole:.3g} s"),
    ]


def conservation_words(check: ModelCheck) -> str:
    """Whether LRP conserves, in a sentence or two; empty if LRP does not apply."""
    found = check.conservation
    if found is None:
        return ""
    verdict = "conserves" if found.conserves else "does not conserve"
    return (
        f"LRP {verdict}: of a score of {found.score:.4g}, {found.redistributed:.4g} reaches the voxels where biases "
        f"hand their share on (off by {_off(found.redistributed_error)}). The default map, in which biases keep their "
        f"share, adds up to {found.total:.4g} (off by {_off(found.error)})."
    )


def _off(error: float) -> str:
    return f"{error:.1e}" if 0 < error < 0.001 else percent(error, 1)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB more than before"
