"""What the checks do otherwise for maps of volumes, and the check that only counterfactuals have: plausibility.

A counterfactual that changes volumes as no ageing and no disease does fools the network with a brain that nobody has,
which is a finding about the network. The bounds are those of the method, which says where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..progress import ProgressCallback
from .verdict import Verdict, not_applicable

if TYPE_CHECKING:
    from ..attribution import Method
    from .explained_image import ExplainedImage

CHECK = "plausibility"
GRADIENT, COUNTERFACTUAL = "volume_gradient", "volume_counterfactual"
# A search of some dozen passes each time the map is computed again.
COSTLY = (COUNTERFACTUAL,)
NOT_CHECKED = (
    "Not checked: this map is the result of a search, which would have to be made again several times; the full level "
    "of the checks does it."
)
_OWN_TARGET = "A counterfactual is sought from one answer to another one; there is no map of another class beside it."

Run = Callable[["ExplainedImage", int, ProgressCallback], list[Verdict]]


def base_name(key: str) -> str:
    """The method's name: a configured method's key carries its parameters, as in "lrp(composite=epsilon)"."""
    return key.partition("(")[0]


def volume_maps(names: Iterable[str]) -> tuple[str, ...]:
    """Those that are maps of volumes.

    Their sign says which way a volume would have to change. What happens when a part of the brain is replaced has
    another sign, so checks that replace parts compare sizes.
    """
    return tuple(name for name in names if base_name(name) in (GRADIENT, COUNTERFACTUAL))


def once(method: Method) -> Method:
    """The method without its further starts, which tell how sure it is and do not change its map."""
    return replace(method, starts=0) if "starts" in method.parameters() else method  # type: ignore[call-arg]


def without_costly(check: str, run: Run) -> Run:
    """A check that leaves out methods whose maps are too costly to compute again, and says so."""
    return _leaving_out(COSTLY, check, NOT_CHECKED, run)


def without_counterfactuals(check: str, run: Run) -> Run:
    """A check of other classes, which a counterfactual does not have."""
    return _leaving_out((COUNTERFACTUAL,), check, _OWN_TARGET, run)


def _leaving_out(methods: tuple[str, ...], check: str, sentence: str, run: Run) -> Run:
    def chosen(explained: ExplainedImage, seed: int, progress: ProgressCallback) -> list[Verdict]:
        out = [name for name in explained.methods if base_name(name) in methods]
        kept = {name: values for name, values in explained.maps.items() if name not in out}
        found = run(replace(explained, maps=kept), seed, progress) if kept or not out else []
        return [*found, *(not_applicable(name, check, sentence) for name in out)]

    return chosen


def check_plausibility(explained: ExplainedImage) -> list[Verdict]:
    """One verdict for each counterfactual: is every change of volume one that ageing or disease makes?"""
    return [
        _verdict(name, explained.details[name])
        for name in explained.methods
        if "plausible" in explained.details.get(name, {})
    ]


def _verdict(method: str, details: Mapping[str, Any]) -> Verdict:
    """The details hold a list over samples, of which an explained image has one."""
    plausible, sentence = details["plausible"][0], details["plausibility"][0]
    return Verdict(method, CHECK, float(plausible), 1.0, "pass" if plausible else "fail", sentence)
