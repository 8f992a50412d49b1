"""Fill a bank of simulated brains. An item depends on its number and the seed alone, so filling can resume anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..atomic import replacing
from ..errors import UserError
from ..progress import ProgressCallback, silent
from .anatomy import Anatomy
from .bank import pack, save_item
from .disease import PUBLISHED, STYLISED, fractions_for
from .groups import GROUPS, draw_subject, draw_wide
from .published import any_age, draw_published, edition
from .region_shares import OWN_REGIONS
from .subject import simulate_brain

_EDITION = "population.txt"


def item_path(folder: Path, index: int) -> Path:
    return folder / f"item_{index:05d}.npz"


def bank_items(folder: str | Path) -> list[Path]:
    """The items present now, sorted; a bank may be read while it is being filled."""
    return sorted(Path(folder).glob("item_*.npz"))


def _claim(folder: Path) -> None:
    """Say which edition of the published disease fills the bank; one bank is of one edition."""
    path = folder / _EDITION
    found = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    own = f"{edition()} {len(OWN_REGIONS)} regions"
    if found != own and (found or bank_items(folder)):
        raise UserError(
            f"{folder} holds brains that another edition of the simulator made"
            f"{f' ({found}; this is {own})' if found else ''}: delete it, or choose another output folder."
        )
    with replacing(path) as aside:
        aside.write_text(f"{own}\n", encoding="utf-8")


def fill_bank(
    folder: str | Path,
    anatomies: Sequence[Anatomy],
    number: int,
    seed: int,
    *,
    wide_share: float = 0.0,
    disease: str = STYLISED,
    any_age_share: float = 0.0,
    strengths: tuple[float, float] | None = None,
    first: int = 0,
    step: int = 1,
    progress: ProgressCallback = silent,
) -> None:
    """Simulate the items that a bank lacks.

    Parameters
    ----------
    folder
        The bank's folder.
    anatomies
        Base anatomies, used in turn.
    number
        Number of items in the full bank.
    seed
        Random seed.
    wide_share
        Of the stylised disease: share of items with an evenly spread hippocampal fraction instead of a group's
        distribution.
    disease
        "published" or "stylised".
    any_age_share
        Of the published disease: share of the cognitively normal who are of any age from 20 to 95 instead of the
        patients'.
    strengths
        Scale of the random deformation, drawn from and to; by default as everywhere (:func:`.subject.simulate_brain`).
    first, step
        Simulate only items first, first + step, ..., so that several processes can fill one bank.

    Raises
    ------
    UserError
        If the bank holds brains of the published disease by another edition of the simulator.
    """
    folder = Path(folder)
    if disease == PUBLISHED:
        _claim(folder)
    fractions = {anatomy.name: fractions_for(anatomy, disease) for anatomy in anatomies}
    for index in range(first, number, step):
        path = item_path(folder, index)
        if path.exists():
            continue
        progress("Simulating brains", index / number)
        rng = np.random.default_rng([seed, index])
        anatomy = anatomies[index % len(anatomies)]
        if disease == PUBLISHED:
            group = GROUPS[rng.integers(3)]
            age = any_age(rng) if rng.random() < any_age_share and group == "CN" else None
            subject = draw_published(rng, group, age=age)
        else:
            subject = draw_wide(rng) if rng.random() < wide_share else draw_subject(rng, GROUPS[rng.integers(3)])
        brain_seed = int(rng.integers(2**31))
        strength = None if strengths is None else float(rng.uniform(*strengths))
        brain = simulate_brain(anatomy, fractions[anatomy.name], subject, brain_seed, strength=strength)
        save_item(pack(brain, anatomy.name, brain_seed, anatomy), path)
    progress("Simulating brains", 1.0)
