"""All methods by name. A file in ``methods/`` with a subclass of Method is all it takes to add one."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, get_origin

from ..errors import UserError
from . import methods
from .method import Method, MethodInfo

#: The six methods of the study that this project grew from, in the order shown.
STUDY_METHODS = ("lrp", "guided_backprop", "grad_cam", "grad_cam_pp", "guided_grad_cam_pp", "lrp_grad_cam_pp")
#: The methods that run by default. The gradient joined them for what the benchmark found:
#: Testing/benchmarks/README.md.
DEFAULT_METHODS = (*STUDY_METHODS, "gradient")

#: They explain nothing, and are there to be beaten: "all methods" may leave them out.
BASELINES = ("random", "intensity", "edges", "randomised_model")


@cache
def _classes() -> Mapping[str, type[Method]]:
    classes: dict[str, type[Method]] = {}
    for module in pkgutil.iter_modules(methods.__path__):
        contents = vars(import_module(f"{methods.__name__}.{module.name}"))
        for value in contents.values():
            if (
                isinstance(value, type)
                and get_origin(value) is None  # in Python 3.10, tuple[int, ...] passes for a type
                and issubclass(value, Method)
                and value.name
                and value.__module__.endswith(module.name)
            ):
                classes[value.name] = value
    return classes


def available_methods() -> dict[str, MethodInfo]:
    """Every method's facts by name; does not load torch."""
    return {name: method.info() for name, method in _classes().items()}


def create_method(name: str, **parameters: Any) -> Method:
    """The method called ``name``, with its default parameters except for those given.

    Raises
    ------
    UserError
        If there is no such method.
    """
    classes = _classes()
    if name not in classes:
        raise UserError(f"There is no attribution method '{name}': choose from {', '.join(sorted(classes))}.")
    return classes[name](**parameters)


def resolve_methods(wanted: Any) -> dict[str, Method]:
    """Methods by unique key, from names and configured objects.

    A second object of one name gets its parameters into the key, such as ``"lrp(composite=epsilon)"``.
    """
    if isinstance(wanted, (str, Method)):
        wanted = [wanted]
    by_key: dict[str, Method] = {}
    for item in wanted:
        method = create_method(item) if isinstance(item, str) else item
        if not isinstance(method, Method):
            raise TypeError(f"a method is a name or a Method, not {type(item).__name__}")
        key = method.name
        if key in by_key and by_key[key] != method:
            defaults = type(method).info().parameters
            chosen = {name: value for name, value in method.parameters().items() if value != defaults[name]}
            key += "(" + ", ".join(f"{name}={value}" for name, value in chosen.items()) + ")"
        by_key[key] = method
    if not by_key:
        raise UserError("No attribution method was chosen: choose at least one.")
    return by_key
