"""LRP alone: ours beside autoLRP, which follows unmodified models too; time, and what a map adds up to.

Run with an environment that has it, by ``python -m Testing.benchmarks.attribution --lrp``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.lrp import LRP
from torch import Tensor

from Testing.benchmarks.attribution import in_turns, plain_pass, ratio
from Testing.benchmarks.attribution_networks import TARGET, network, volume


def by_autolrp(model: Any, x: Tensor, **rules: str) -> Tensor:
    """autoLRP's relevance of the input, with its own table of rules except for ``rules``."""
    import autolrp  # only where the peers are installed

    leaf = autolrp.tensor(x)
    model(leaf)[0, TARGET].lrp(config=autolrp.LRPConfig(rule={**autolrp.BASE, **rules}))
    return leaf.relevance


def ours(model: Any, x: Tensor, composite: str) -> Tensor:
    """Our relevance of the input."""
    return Explainer(model).explain(x, TARGET, LRP(composite=composite))["lrp"].map


def relevance_alone(cases: list[tuple[str, str]], repeats: int) -> None:
    """Print times in FB and sums: epsilon for every layer, and z+ for convolutions, both ways."""
    columns = ("network, input", "rules", "logit", "autoLRP / FB", "ours / FB", "autoLRP, sum", "ours, sum")
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for name, size in cases:
        model, x = network(name), volume(size)
        logit = float(model(x)[0, TARGET])
        for rules, composite in (({}, "epsilon"), ({"ConvolutionBackward": "zplus"}, "epsilon-plus")):
            try:
                other = f"{float(by_autolrp(model, x, **rules).sum()):.4g}"
            except Exception as error:
                other = type(error).__name__
            works = [partial(plain_pass, model, x), partial(ours, model, x, composite)]
            if other[0] in "-0123456789":
                works.append(partial(by_autolrp, model, x, **rules))
            turns = in_turns(repeats, *works)
            theirs = f"{ratio(turns, 2, 0):.2f}" if len(works) > 2 else "-"
            found = f"{theirs} | {ratio(turns, 1, 0):.2f} | {other} | {float(ours(model, x, composite).sum()):.4g}"
            print(f"| {name}, {size} | {composite} | {logit:.4g} | {found} |", flush=True)
    print()
