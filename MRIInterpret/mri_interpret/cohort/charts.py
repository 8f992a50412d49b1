"""The cohort's charts: confusion matrix, ROC curves, calibration, top regions, group means."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..drawing.canvas import ACCENT, INK, MUTED, Picture, as_svg, new_figure
from ..drawing.value_matrix import draw_value_matrix
from ..thresholds import STANDING_OUT_GAIN
from .group_results import GroupResults
from .label_performance import LabelPerformance
from .performance import Performance
from .quantity_performance import QuantityPerformance
from .scatter_chart import COLOURS, scatter_chart


def all_charts(results: GroupResults) -> dict[str, Picture]:
    """All charts that the data allow."""
    found: dict[str, Picture] = {}
    performance = results.performance
    if isinstance(performance, QuantityPerformance):
        found["scatter"] = scatter_chart(performance, results.plan.cohort.classes)
    elif isinstance(performance, LabelPerformance):
        if performance.curves:
            found["roc"] = roc_chart(performance)
    elif performance is not None:
        found["confusion"] = confusion_chart(performance)
        if performance.curves:
            found["roc"] = roc_chart(performance)
        found["calibration"] = calibration_chart(performance)
    titles = {name: str(about["title"]) for name, about in results.methods.items()}
    found["selection"] = selection_chart(results.region_selection, titles)
    if not results.region_means.empty:
        found["means"] = means_chart(results.region_means, results.plan.cohort.classes)
    return found


def confusion_chart(found: Performance) -> Picture:
    """Counts, and shares of the true group; correct predictions are on the diagonal."""
    size = len(found.classes)
    rates = np.nan_to_num(found.rates)
    with new_figure(1.1 * size + 1.6, 0.8 * size + 1.2) as figure:
        wide, tall = figure.get_figwidth(), figure.get_figheight()
        axes = figure.add_axes((1.1 / wide, 0.25 / tall, 1.1 * size / wide, 0.8 * size / tall))
        texts = [
            [f"{count}\n{rate:.0%}" for count, rate in zip(*line, strict=True)]
            for line in zip(found.counts, rates, strict=True)
        ]
        draw_value_matrix(axes, rates, texts, font_size=13)
        axes.set_xticks(range(size), [f"predicted {name}" for name in found.classes])
        axes.set_yticks(range(size), [f"true {name}" for name in found.classes])
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        data = as_svg(figure)
    right = int(np.trace(found.counts))
    return Picture(data, "image/svg+xml", f"Confusion matrix: {right} of {found.n} subjects classified correctly.")


def roc_chart(found: Performance | LabelPerformance) -> Picture:
    """One curve per class against all others, or per label."""
    with new_figure(4.4, 4.1) as figure:
        axes = figure.add_axes((0.13, 0.12, 0.83, 0.84))
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
        for curve in found.curves:
            colour = COLOURS[found.classes.index(curve.name) % len(COLOURS)]
            area = curve.area
            text = f"{curve.name}: AUC {area.value:.2f} ({area.low:.2f} to {area.high:.2f})"
            axes.plot(curve.false_positive_rate, curve.true_positive_rate, color=colour, linewidth=1.8, label=text)
        axes.set_xlabel("false positive rate (1 − specificity)")
        axes.set_ylabel("true positive rate (sensitivity)")
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.set_aspect("equal")
        axes.legend(loc="lower right", frameon=False, fontsize=8)
        data = as_svg(figure)
    listed = ", ".join(f"{curve.name} {curve.area.value:.2f}" for curve in found.curves)
    each = "Each label" if isinstance(found, LabelPerformance) else "Each class against all others"
    return Picture(
        data, "image/svg+xml", f"ROC curves; areas: {listed}.",
        f"{each}, by its probability; 95 % intervals by bootstrap over subjects, 2,000 draws. "
        "An area of 1 has an interval of width zero: resampling cannot show the uncertainty of few subjects then.",
    )  # fmt: skip


def calibration_chart(found: Performance) -> Picture:
    """Accuracy by the probability of the predicted class, in bins."""
    table = found.calibration[found.calibration["n"] > 0]
    with new_figure(4.4, 4.1) as figure:
        axes = figure.add_axes((0.13, 0.12, 0.83, 0.84))
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.vlines(table["confidence"], table["confidence"], table["accuracy"], color="#c3ccd6", linewidth=3)
        sizes = 16 + 220 * table["n"] / max(int(table["n"].max()), 1)
        axes.scatter(table["confidence"], table["accuracy"], s=sizes, color=ACCENT, alpha=0.85, zorder=3)
        for row in table.itertuples():
            axes.annotate(
                str(row.n), (row.confidence, row.accuracy), (0, -14), textcoords="offset points", ha="center",
                fontsize=7, color=MUTED,
            )  # fmt: skip
        axes.set_xlim(0, 1.03)
        axes.set_ylim(-0.06, 1.05)
        axes.set_aspect("equal")
        axes.set_xlabel("probability of the predicted class")
        axes.set_ylabel("accuracy")
        data = as_svg(figure)
    caption = (
        f"Subjects in bins of the predicted class's probability, with their number; on the dashed line, probability "
        f"equals accuracy. Expected calibration error {found.calibration_error:.3f}, Brier score {found.brier:.3f}."
    )
    return Picture(data, "image/svg+xml", "Calibration of the probabilities.", caption)


def selection_chart(chosen: pd.DataFrame, titles: dict[str, str], most: int = 16) -> Picture:
    """Regions x methods: the share of subjects in which a region is among the five with the highest gain."""
    rows = chosen[chosen["group"] == "all"]
    overall = rows[rows["method"] == "all methods"].sort_values("frequency", ascending=False, kind="stable")
    names = list(overall["region"].head(most))
    methods = [name for name in ("all methods", *titles) if (rows["method"] == name).any()]
    matrix = rows.pivot(index="region", columns="method", values="frequency").loc[names, methods].to_numpy()
    with new_figure(10.5, 0.27 * len(names) + 1.6) as figure:
        tall = figure.get_figheight()
        axes = figure.add_axes((0.24, 0.1 / tall, 0.74, (0.27 * len(names)) / tall))
        texts = [[f"{value:.0%}" if value > 0 else "" for value in line] for line in matrix]
        draw_value_matrix(axes, matrix, texts, font_size=7.5)
        axes.set_yticks(range(len(names)), names, fontsize=8.5)
        labels = [titles.get(name, "All counted methods") for name in methods]
        axes.set_xticks(range(len(methods)), labels, rotation=28, ha="left", rotation_mode="anchor", fontsize=8)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.axvline(0.5, color="white", linewidth=4)
        data = as_svg(figure)
    caption = (
        "Share of subjects in which a region is among the five with the highest gain (density of relevance relative to "
        f"the brain's mean) and stands out (gain of at least {STANDING_OUT_GAIN:g}). Without preference, it would be "
        f"at most {5 / max(chosen['region'].nunique(), 1):.0%} for every region."
    )
    return Picture(data, "image/svg+xml", f"How often regions are among the top five; most often: {names[0]}.", caption)


def means_chart(means: pd.DataFrame, classes: tuple[str, ...], most: int = 12) -> Picture:
    """Group means of the summary score's gain, with intervals, in the regions where the groups' mean is highest."""
    rows = means[means["method"] == "summary"]
    order = rows.groupby("region", sort=False)["mean"].max().sort_values(ascending=False).head(most).index
    groups = [name for name in classes if (rows["group"] == name).any()]
    with new_figure(7.5, 0.34 * len(order) + 0.9) as figure:
        tall = figure.get_figheight()
        axes = figure.add_axes((0.3, 0.5 / tall, 0.52, 1 - 0.6 / tall))
        for number, group in enumerate(groups):
            own = rows[rows["group"] == group].set_index("region").loc[order]
            places = np.arange(len(order))[::-1] + 0.2 * ((len(groups) - 1) / 2 - number)
            colour = COLOURS[classes.index(group) % len(COLOURS)]
            half = np.nan_to_num((own["high"] - own["low"]).to_numpy() / 2)
            axes.errorbar(
                own["mean"], places, xerr=half, fmt="o", color=colour, markersize=4, linewidth=1.2,
                label=f"{group} (n = {int(own['n'].iloc[0])})",
            )  # fmt: skip
        axes.axvline(1, color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set_yticks(np.arange(len(order))[::-1], list(order), fontsize=8.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("gain of the summary score, mean and 95 % interval", fontsize=8.5)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8.5)
        data = as_svg(figure)
    caption = "Dashed line: 1, the brain's mean. Intervals are not corrected for the number of regions."
    return Picture(data, "image/svg+xml", f"Group means per region; highest: {order[0]}.", caption)
