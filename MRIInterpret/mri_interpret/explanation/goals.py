"""Where a volume counterfactual takes the answer: the user's words become the number that has to be reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..attribution.registry import BASELINES, available_methods, resolve_methods
from ..errors import UserError
from ..models.goals import BOUNDARY, Goal, check_goal, read_goal
from ..models.outputs import OutputMeaning
from ..models.targets import Contrast, is_predicted, read_target


def check_goals(methods: Sequence[Any], goal: str, target: str, meaning: OutputMeaning) -> None:
    """Refuse a goal that the network cannot be brought to, before any work is done.

    Raises
    ------
    UserError
        From :func:`~mri_interpret.models.goals.read_goal`, or if the target is none.
    """
    if any(_wants_goal(method) for method in resolve_methods(list(methods)).values()):
        check_goal(goal, meaning, read_target(target, meaning))


def reachable_methods(methods: Sequence[Any], goal: str, target: str, meaning: OutputMeaning) -> tuple[list[Any], str]:
    """The methods, but for those that have nowhere to go, and the sentence that says why one is left out.

    Nobody who asks for all methods of a network that returns a quantity has named the value that a counterfactual would
    have to reach: it is left out then. Whoever asks for it by name is asked for the goal.

    Raises
    ------
    UserError
        From :func:`check_goals`.
    """
    try:
        check_goals(methods, goal, target, meaning)
    except UserError as error:
        kept = [method for method in methods if not any(map(_wants_goal, resolve_methods([method]).values()))]
        if goal != BOUNDARY or not _is_everything(methods):
            raise
        titles = [one.title for one in resolve_methods(list(methods)).values() if _wants_goal(one)]
        return kept, f"{titles[0]} is left out. {error}"
    return list(methods), ""


def _is_everything(methods: Sequence[Any]) -> bool:
    """Whether all methods were asked for, with or without the baselines."""
    asked = {method.name for method in resolve_methods(list(methods)).values()}
    return asked >= set(available_methods()) - set(BASELINES)


def with_goals(
    methods: Sequence[Any], goal: str, target: str, meaning: OutputMeaning, answer: Callable[[], Contrast]
) -> list[Any]:
    """The methods, those that go to a goal with what it means for this network.

    Parameters
    ----------
    methods
        Names and objects, as the user gave them. A method that was configured with a goal of its own keeps it.
    goal
        Of the others, in words.
    target, meaning
        What is explained of which network.
    answer
        What is explained, where that is whatever the network answers; asked only if it has to be known.
    """
    wanted = list(resolve_methods(list(methods)).values())
    if not any(_wants_goal(method) for method in wanted):
        return list(methods)
    explained = answer() if is_predicted(target) and not meaning.is_quantity else read_target(target, meaning)
    chosen = read_goal(goal, meaning, explained)
    return [_with_goal(method, chosen) if _wants_goal(method) else method for method in wanted]


def _with_goal(method: Any, goal: Goal) -> Any:
    return replace(method, goal=goal)


def _wants_goal(method: Any) -> bool:
    return bool(getattr(method, "goal", None) == BOUNDARY)
