"""The recipes at hand, by name."""

from __future__ import annotations

from ...errors import UserError
from .clinicadl import ClinicaDL
from .keras_hdf5 import KerasHdf5
from .monai_bundle import MonaiBundle
from .qiu_2022 import Qiu2022
from .recipe import Recipe

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (Qiu2022(), ClinicaDL(), KerasHdf5(), MonaiBundle())}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises
    ------
    UserError
        If there is none; the message lists those there are.
    """
    if name not in RECIPES:
        raise UserError(f"There is no recipe '{name}'; there are {', '.join(RECIPES)}.")
    return RECIPES[name]
