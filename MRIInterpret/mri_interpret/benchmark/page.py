"""The benchmark's tables as a page of Markdown, and as tables for other programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from ..thresholds import RANDOMISATION_SIMILARITY
from .aggregations import AGGREGATIONS, BY_FAITHFULNESS
from .simulated_subjects import GROUPS
from .tables import biology_table, correctly_classified, interval_table, ranking, volume_alone
from .volume_truth import CORRELATION, REACHED, STRUCTURES

LOCALISATION = ("times chance", "rank", "auprc", "pointing", "recall")
PARTS = ("times chance", "times chance, positive part", "times chance, negative part", "random network, times chance")
CHECKS = ("faithfulness", "randomised", "icc")
ALL = ("structures", "all structures", "all structures, both sides")
VOLUMES = (CORRELATION, REACHED, *(f"{name}: error" for name in STRUCTURES))
BIOLOGY = ("hippocampal relevance", "hippocampal density, positive part", "hippocampal density")
WAYS = (*(way.name for way in AGGREGATIONS), BY_FAITHFULNESS)


def result_tables(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every table by name.

    Parameters
    ----------
    rows
        From :func:`.run.run_benchmark`.

    Returns
    -------
    "localisation" (AD subjects that the network calls AD; of the half that decided nothing), "checks" (all AD subjects
    that were checked), "ranking_<measure>", "aggregations" (both halves), "biology".
    """
    right = correctly_classified(rows)
    reported = right[right["half"] == "report"] if (right["half"] == "report").any() else right
    ill = rows[rows["group"] == GROUPS[-1]]
    tables = {
        "localisation": interval_table(reported[~reported["measure"].isin(CHECKS)]),
        "checks": interval_table(ill[ill["measure"].isin(CHECKS)]),
        "ranking_localisation": ranking(reported, "times chance"),
    }
    if (ill["measure"] == "faithfulness").any():
        tables["ranking_faithfulness"] = ranking(ill[ill["measure"] == "faithfulness"], "faithfulness")
    tables["aggregations"] = aggregation_table(rows)
    biology = [biology_table(rows, measure).assign(measure=measure) for measure in BIOLOGY]
    tables["biology"] = pd.concat(biology, ignore_index=True)
    return tables


def aggregation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Aggregations beside single methods that pass the randomisation check, by the half that decides.

    Returns
    -------
    Columns: method, and for "times chance" and "structures" mean, low and high on each half; faithfulness, icc and
    randomised (mean over all checked AD subjects).
    """
    right, ill = correctly_classified(rows), rows[rows["group"] == GROUPS[-1]]
    checks = interval_table(ill[ill["measure"].isin(CHECKS)]).pivot_table(
        index="method", columns="measure", values="mean", dropna=False
    )
    found = checks.reindex(columns=list(CHECKS))
    for half in ("choose", "report"):
        part = right[right["half"] == half]
        for measure in ("times chance", "structures", "auprc"):
            table = interval_table(part[part["measure"] == measure]).set_index("method")
            for column in ("mean", "low", "high"):
                found = found.join(table[column].rename(f"{measure} {column}, {half}"), how="outer")
    found = found[found["times chance mean, choose"].notna() | found["times chance mean, report"].notna()]
    return found.sort_values("times chance mean, choose", ascending=False).reset_index(names="method")


def result_page(rows: pd.DataFrame, titles: Mapping[str, str], trainings: pd.DataFrame | None = None) -> str:
    """All tables as Markdown.

    Parameters
    ----------
    rows
        From :func:`.run.run_benchmark`.
    titles
        Methods' titles by key.
    trainings
        From :func:`.stored_maps.training_agreement`, if there are several networks.
    """
    tables = result_tables(rows)
    subjects, right = rows.drop_duplicates("subject"), correctly_classified(rows)
    counts = ", ".join(f"{(subjects['group'] == group).sum()} {group}" for group in GROUPS)
    networks = rows["network"].nunique()
    volume, model = volume_alone(rows)
    by_network = ", ".join(f"{value:.3f}" for value in model)
    single = [name for name in dict.fromkeys(rows["method"]) if name not in WAYS]
    reported = right[right["half"] == "report"]
    local = tables["localisation"]
    parts = [
        f"{len(subjects)} simulated subjects ({counts}) over {subjects['anatomy'].nunique()} anatomies; networks: "
        f"{networks}; explained: the AD logit less the CN logit.",
        f"AUC of AD against CN: hippocampal fraction alone {volume:.3f}; the networks' contrast {by_network}.",
        f"## Where the relevance lies\n\nAD subjects that the network calls AD, of the half that decided nothing "
        f"({reported['subject'].nunique()} subjects, {len(reported.drop_duplicates(['subject', 'network']))} "
        "explanations). Absolute values of the maps. Mean [95 % bootstrap interval over subjects]"
        + (" (range over networks)." if networks > 1 else ".")
        + " n is given where a method was run on fewer subjects.",
        markdown(local, LOCALISATION, titles, single),
        "### By sign, and of a random network\n\nTimes chance, as above.",
        markdown(local, PARTS, titles, single),
        "## Affected structures among the ten densest regions\n\nShare of the same subjects; one side suffices but for "
        "the last column. *Structures* is the mean share of them.",
        markdown(local, (*_named(local, "top ten: "), *ALL), titles, single),
        "### Among the fifteen densest",
        markdown(local, (*_named(local, "top fifteen: "), *(f"{name} (top fifteen)" for name in ALL)), titles, single),
        *_volumes(local, titles),
        "## Checks\n\nAll AD subjects that were checked. A method passes the randomisation check below "
        f"{RANDOMISATION_SIMILARITY}.",
        markdown(tables["checks"], CHECKS, titles, single),
        *_trainings(trainings, titles),
        "## Ways to join maps\n\nBeside single methods, ordered by the choosing half. Times chance of absolute values.",
        _ways(tables["aggregations"], titles),
    ]
    for name, order in tables.items():
        if name.startswith("ranking_"):
            parts.append(f"## Ranking by {name.removeprefix('ranking_')}\n\n{_ranking_lines(order, titles)}")
    parts.append(
        "## Hippocampal relevance against the hippocampal fraction\n\nCorrelation over the subjects of all groups: "
        "mean (range over networks)."
    )
    parts.append(_biology_lines(tables["biology"], titles))
    return "\n\n".join(parts) + "\n"


def _named(local: pd.DataFrame, start: str) -> list[str]:
    """The measures that begin so, in their order: which structures are affected depends on the disease."""
    return [str(name) for name in dict.fromkeys(local["measure"]) if str(name).startswith(start)]


def _volumes(local: pd.DataFrame, titles: Mapping[str, str]) -> list[str]:
    if not local["measure"].isin(VOLUMES).any():
        return []
    return [
        "## Volumes\n\nThe same subjects. Correlation with the log-volume change that the disease made (of the "
        "counterfactual: that undoes it), over the brain's voxels; share of counterfactuals that reach what they were "
        "to reach; and by how much the change of log-volume that they ask of a structure differs from the one that "
        "would undo the disease.",
        markdown(local, VOLUMES, titles),
    ]


def _trainings(trainings: pd.DataFrame | None, titles: Mapping[str, str]) -> list[str]:
    if trainings is None or trainings.empty:
        return []
    return [
        f"## The same subject, another training\n\n{trainings['subject'].nunique()} AD subjects: ICC of the region "
        "profiles over the networks, and rank correlation of the maps (mean over pairs of networks).",
        markdown(interval_table(trainings), ("trainings: icc", "trainings: spearman"), titles),
    ]


def markdown(
    intervals: pd.DataFrame,
    measures: Sequence[str],
    titles: Mapping[str, str] | None = None,
    methods: Sequence[str] | None = None,
) -> str:
    """Methods as rows, measures as columns, "mean [low, high] (least to most)" in the cells."""
    shown = [name for name in measures if (intervals["measure"] == name).any()]
    wanted = intervals[intervals["measure"].isin(shown)]
    names = [name for name in dict.fromkeys(wanted["method"]) if methods is None or name in methods]
    found = {(row["method"], row["measure"]): row for row in wanted.to_dict("records")}
    usual = int(wanted["n"].max()) if len(wanted) else 0
    lines = ["| Method | " + " | ".join(shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for name in names:
        cells = [_cell(found.get((name, measure)), usual) for measure in shown]
        lines.append(f"| {(titles or {}).get(name, name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: Mapping[str, float] | None, usual: int) -> str:
    if row is None or math.isnan(row["mean"]):
        return ""
    text = f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    if row["most"] > row["least"]:
        text += f" ({row['least']:.2f} to {row['most']:.2f})"
    return text if row["n"] == usual else f"{text}, n {row['n']}"


def _ways(table: pd.DataFrame, titles: Mapping[str, str]) -> str:
    head = ("times chance, choosing half", "times chance, reporting half", "structures, reporting half", *CHECKS)
    lines = ["| Way or method | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for row in table.to_dict("records"):
        cells = [
            _three(row, "times chance", "choose"),
            _three(row, "times chance", "report"),
            _three(row, "structures", "report"),
            *(_number(row[name]) for name in CHECKS),
        ]
        name = str(row["method"]).replace("|", "/")
        lines.append(f"| {titles.get(row['method'], name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _three(row: Mapping[str, float], measure: str, half: str) -> str:
    mean, low, high = (row.get(f"{measure} {column}, {half}", math.nan) for column in ("mean", "low", "high"))
    return "" if pd.isna(mean) else f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"


def _ranking_lines(order: pd.DataFrame, titles: Mapping[str, str]) -> str:
    lines = ["| Rank | Method | Mean | Rank over bootstrap samples |", "|---|---|---|---|"]
    for row in order.to_dict("records"):
        title = titles.get(row["method"], str(row["method"]).replace("|", "/"))
        lines.append(f"| {row['rank']:g} | {title} | {row['mean']:.2f} | {row['low']:g} to {row['high']:g} |")
    return "\n".join(lines)


def _biology_lines(biology: pd.DataFrame, titles: Mapping[str, str]) -> str:
    lines = ["| Method | " + " | ".join(BIOLOGY) + " |", "|---" * (len(BIOLOGY) + 1) + "|"]
    for method in dict.fromkeys(biology["method"]):
        own = biology[biology["method"] == method].set_index("measure")
        cells = []
        for measure in BIOLOGY:
            if measure not in own.index or math.isnan(own.loc[measure, "mean"]):
                cells.append("")
                continue
            row = own.loc[measure]
            spread = f" ({row['least']:.2f} to {row['most']:.2f})" if row["most"] > row["least"] else ""
            cells.append(f"{row['mean']:.2f}{spread}")
        lines.append(f"| {titles.get(method, method)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
