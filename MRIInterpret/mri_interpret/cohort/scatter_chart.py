"""Predicted against true values of a quantity."""

from __future__ import annotations

import numpy as np

from ..drawing.canvas import ACCENT, MUTED, WARM, Picture, as_svg, new_figure
from ..metrics.bootstrap import Estimate
from ..minus_sign import true_minus
from .quantity_performance import QuantityPerformance

COLOURS = (ACCENT, "#c98a1b", WARM, "#5b7f3a", "#6d4f9c", "#7a7f87")  # one for each class, in the model's order


def scatter_chart(found: QuantityPerformance, groups: tuple[str, ...]) -> Picture:
    """A dot for each subject, in its group's colour; on the dashed line, predicted and true values are the same."""
    (name,) = found.output.classes
    unit = f" ({found.output.shown_unit})" if found.output.shown_unit else ""
    values = np.concatenate([found.true, found.predicted])
    margin = 0.06 * (float(np.ptp(values)) or 1.0)
    ends = [float(values.min()) - margin, float(values.max()) + margin]
    with new_figure(5.2, 4.6) as figure:
        axes = figure.add_axes((0.14, 0.13, 0.82, 0.83))
        axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
        for group in ("", *groups):
            own = [number for number, other in enumerate(found.groups) if other == group]
            if own:
                colour = COLOURS[groups.index(group) % len(COLOURS)] if group else "#7a7f87"
                label = f"{group or 'no group'} (n = {len(own)})"
                axes.scatter(found.true[own], found.predicted[own], s=26, color=colour, alpha=0.8, label=label)
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        axes.set_aspect("equal")
        axes.set_xlabel(f"true {found.truth}{unit}")
        axes.set_ylabel(f"predicted {name}{unit}")
        if any(found.groups):
            axes.legend(loc="upper left", frameon=False, fontsize=8)
        data = as_svg(figure)
    caption = (
        f"{found.n} subjects; dashed line: predicted and true values are the same. R² {interval(found.r_squared)}, "
        f"mean absolute error {interval(found.mean_absolute_error)}{unit}, Pearson's r {interval(found.pearson)}."
    )
    alt = f"Predicted against true {name} of {found.n} subjects; Pearson's r {found.pearson.value:.2f}."
    return Picture(data, "image/svg+xml", alt, caption)


def interval(found: Estimate) -> str:
    """A number with its interval, as far as there is one."""
    ends = f" ({found.low:.2f} to {found.high:.2f})" if np.isfinite(found.low) else ""
    return true_minus(f"{found.value:.2f}{ends}") if np.isfinite(found.value) else "not defined"
