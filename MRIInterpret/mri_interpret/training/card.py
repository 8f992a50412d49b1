"""The model card: what was trained on what, how well it does with intervals, where it fails."""

from __future__ import annotations

import io
from dataclasses import dataclass

from ..simulation.anatomy import PUBLISHED, STYLISED
from ..simulation.groups import GROUPS
from ..thresholds import (
    GOAL_AUC,
    GOAL_AUC_BELOW_VOLUME,
    GOAL_AUC_CHANGE,
    GOAL_CALIBRATION_ERROR,
    GOAL_CORRELATION,
    GOAL_FLIP_CHANGE,
)
from .evaluation import Evaluation

FIRST_LINE = "**Trained on simulated atrophy; research use only, not for diagnosis.**"


@dataclass(frozen=True)
class TrainingStory:
    """How a network came about, for its card."""

    command: str
    seed: int
    samples: int
    hours: float
    hardware: str
    training_anatomies: str
    test_anatomies: str
    notes: tuple[str, ...] = ()
    disease: str = STYLISED
    network: str = "PlainCNN3d"
    members: int = 1  # networks of an ensemble, from seeds that follow each other
    resumes: bool = True  # after a kill, by the same command
    further: int = 0  # networks beside the one that is explained, which share its first layers


def write_card(name: str, evaluation: Evaluation, story: TrainingStory, real_scans: str = "") -> str:
    """Markdown of the card for a network trained on the simulator.

    Parameters
    ----------
    name
        The bundle's name.
    evaluation
        Results on held-out anatomies.
    story
        How it was trained.
    real_scans
        A Markdown section on real scans, if they were tried.
    """
    parts = [
        FIRST_LINE,
        f"# {name}",
        "Says from a T1-weighted scan how much a brain resembles simulated brains of cognitively normal (CN) people, "
        "of people with mild cognitive impairment (MCI), or with Alzheimer's disease (AD). It exists so that "
        "explanations can be tried, compared and *checked*: in simulated scans the place of the disease is known.",
        _PUBLISHED_DATA if story.disease == PUBLISHED else _DATA,
        NETWORKS[story.network] + _several(story),
        _how(story),
        "## Results on anatomies never seen in training",
        f"{evaluation.plain.labels.size} simulated subjects over {story.test_anatomies}; groups drawn with equal "
        f"chances. {_INTERVALS}",
        _auc_table(evaluation),
        _single_numbers(evaluation),
        _CALIBRATION,
        _confusion_table(evaluation),
        "### Reliability",
        _reliability_table(evaluation),
    ]
    if real_scans:
        parts += ["## Real scans", real_scans]
    limits = _PUBLISHED_LIMITS if story.disease == PUBLISHED else _LIMITS
    seeds = "" if story.disease != PUBLISHED else _ONE_SEED if max(story.members, 1 + story.further) == 1 else _SEEDS
    parts += [_verdict(evaluation), limits + seeds, "\n".join(f"- {note}" for note in story.notes), _USE]
    return "\n\n".join(part for part in parts if part) + "\n"


def _several(story: TrainingStory) -> str:
    if story.further:
        return _COMMITTEE.format(further=story.further)
    return _ENSEMBLE.format(members=story.members) if story.members > 1 else ""


_DATA = """## Data and simulation
Label maps of real heads (published with SynthSeg, Billot et al. 2023, Apache-2.0) are registered affinely to the
ICBM152 template, deformed at random, aged, and driven to a hippocampal share of the intracranial volume by a
diffeomorphism with prescribed volume change; amygdala, medial temporal, temporal and parietal cortex shrink and
ventricles widen along with it. The share is drawn for each subject from its group: CN 4.9 (SD 0.55), MCI 4.3 (0.60),
AD 3.65 (0.60) per mille. Ageing widens ventricles and thins cortex in all groups alike. Every training scan has a fresh
contrast, bias field, noise, resolution, misregistration and mask. During training the network also had to map tissue
shares and the hippocampal fraction."""

#: What a card says of each network that can be trained.
NETWORKS = {
    "PlainCNN3d": """The network (`PlainCNN3d`) is a plain stack of convolution, batch normalisation and ReLU with
global average pooling at 8 mm.""",
    "EvidenceCNN3d": """The network (`EvidenceCNN3d`) has no biases: its logits are sums of evidence over places of 4 mm
and grow with the image's intensity, so that LRP, gradient x input and integrated gradients add up to the answer.""",
}

NETWORKS["EvidenceEnsemble3d"] = NETWORKS["EvidenceCNN3d"].replace("EvidenceCNN3d", "EvidenceEnsemble3d")

NETWORKS["EvidenceCommittee3d"] = NETWORKS["EvidenceCNN3d"].replace("EvidenceCNN3d", "EvidenceCommittee3d")

_ENSEMBLE = """ It is
{members} networks of that kind (`EvidenceCNN3d`) from {members} seeds, computed as one: its logits are the mean of
theirs, and every answer carries the standard deviation of its probabilities over them."""

_COMMITTEE = """ Beside it
stand {further} further networks, whose last layer was fitted anew to brains over anatomies that were drawn with
replacement (a bootstrap); they share all other layers with it. What is explained is the first; every answer carries the
standard deviation of its probabilities over all of them, which is less than networks that share nothing would show."""

_PUBLISHED_DATA = """## Data and simulation
Label maps of real heads (published with SynthSeg, Billot et al. 2023, Apache-2.0) are laid on the ICBM152 template as
the product lays a scan of that head, deformed at random, and given the volumes of a subject: drawn by age (20 to 95
years) and chance, then by the disease, for left and right structures and parcels apart, from a table of published
effects (`simulation/effects.py`, a source a line) with the subtypes and frequencies of Ferreira 2020. White-matter
hyperintensities, wide perivascular spaces and old small infarcts come with age, not with the group. A brain that has
shrunk is aligned again. Every training scan has a fresh contrast, bias field, noise, resolution, misregistration and
mask, as preprocessing leaves them. During training the network also had to map tissue shares and the hippocampal
fraction. *All volumes* is what multinomial regression on all drawn volumes reaches."""

_CALIBRATION = """The temperature is fitted on all simulated subjects. The calibration error is measured without it: the
subjects of each held-out anatomy are calibrated with the temperature fitted on all other anatomies. The floor is
what the exact probability of the groups given the true hippocampal fraction would show on as few subjects."""

_INTERVALS = (
    "95 % intervals by bootstrap over subjects (2,000 draws within groups). *Volume alone* is the true hippocampal "
    "share of the intracranial volume, which no scan shows directly. Intervals hold for this simulation and these "
    "anatomies; they say nothing on patients."
)

_LIMITS = """## Known failure modes
- It knows one disease pattern, the simulated one. Other dementias, tumours, strokes, hydrocephalus, surgery: undefined.
- Children, and hippocampi outside of 2.0 to 6.6 per mille of the intracranial volume, were not trained on.
- Scans that are not T1-weighted, or with a failed brain mask or registration, give an answer all the same: look at the
  registration check first.
- Group labels are stylised draws; probabilities are calibrated for equally frequent simulated groups,
  not for a clinic."""

_PUBLISHED_LIMITS = """## Known failure modes
- It knows one disease, the simulated one: means and spreads of published volumes, not patients. Other dementias,
  tumours, large strokes, hydrocephalus, surgery: undefined.
- Children and people above 95 years were not trained on; below 55 years only healthy ones.
- Scans that are not T1-weighted, or with a failed brain mask or registration, give an answer all the same: look at the
  registration check first.
- Probabilities are calibrated for equally frequent simulated groups of elderly people, not for a clinic."""

_ONE_SEED = """
- This is one network of one seed. Another seed would answer somewhat differently; by how much was not measured, so no
  output carries that uncertainty."""

_SEEDS = """
- The deviation over the networks that stands behind an answer (51 % ± 6) is what chance in training does, or less.
  What all of them learned wrongly from the same simulated scans is not in it."""

_USE = """## Licence, and another model
Weights and card: Apache-2.0. To train on your own cohort: `mri-interpret train --table participants.tsv -o MYMODEL`,
with `--init atrophy_cnn` to start from these weights; `mri-interpret explain SCAN --model MYMODEL` uses the result."""


_RESUMES = "The same command resumes after a kill, and goes on when asked for more samples. "


def _how(story: TrainingStory) -> str:
    seeds = f"seed {story.seed}"
    if story.members > 1:
        seeds = f"each of seeds {story.seed} to {story.seed + story.members - 1}"
    return f"""## Training
Training anatomies: {story.training_anatomies}. {story.samples:,} scans in {story.hours:.1f} hours on {story.hardware};
{seeds}.

```
{story.command}
```

{_RESUMES if story.resumes else ""}`training_log.csv` beside this card holds the curve."""


def _auc_table(evaluation: Evaluation) -> str:
    lines = ["| condition | AUC AD vs CN | AUC MCI vs CN |", "|---|---|---|"]
    lines += [f"| {name} | {pair['AD']} | {pair['MCI']} |" for name, pair in evaluation.aucs.items()]
    return "\n".join(lines)


def _single_numbers(evaluation: Evaluation) -> str:
    rows = {
        "accuracy, three classes": evaluation.accuracy,
        "expected calibration error after temperature scaling": evaluation.calibration_error,
        "correlation of the AD - CN logit with the hippocampal fraction": evaluation.correlation,
        "mean change of the AD probability by a left-right flip": evaluation.flip_change,
    }
    floor = evaluation.least_calibration_error
    lines = ["| | value (95 % interval) |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    lines.append(f"| expected calibration error of the true fraction's posterior: the floor | {floor:.3f} |")
    lines.append(f"| temperature | {evaluation.temperature:.3f} |")
    if evaluation.young is not None:
        below, number = evaluation.young
        lines.append(f"| healthy people below 55 years with an AD probability below 0.05 | {below} of {number} |")
    return "\n".join(lines)


def _confusion_table(evaluation: Evaluation) -> str:
    total = int(evaluation.confusion.sum())
    lines = [f"### Confusion matrix, {total} subjects", f"| truth | {' | '.join(f'called {g}' for g in GROUPS)} |"]
    lines.append("|---" * (len(GROUPS) + 1) + "|")
    lines += [f"| {g} | {' | '.join(map(str, row))} |" for g, row in zip(GROUPS, evaluation.confusion, strict=True)]
    return "\n".join(lines)


def _reliability_table(evaluation: Evaluation) -> str:
    confidence, accuracy, counts = evaluation.bins
    lines = ["![Reliability diagram](reliability.png)", "", "| confidence | accuracy | scans |", "|---|---|---|"]
    lines += [f"| {c:.2f} | {a:.2f} | {n} |" for c, a, n in zip(confidence, accuracy, counts, strict=True) if n > 0]
    return "\n".join(lines)


def verdicts(evaluation: Evaluation) -> list[tuple[str, str, bool]]:
    """(goal, what was reached, met) for each of the goals that this evaluation can tell."""
    plain, volume = evaluation.aucs["plain"], evaluation.aucs["volume alone"]
    found = []
    for group, least in GOAL_AUC.items():
        value, reference = plain[group].value, volume[group].value
        found.append((f"AUC {group} vs CN at least {least}", f"{value:.3f}", value >= least))
        gap = reference - value
        found.append(
            (
                f"AUC {group} vs CN at most {GOAL_AUC_BELOW_VOLUME} below volume alone",
                f"{gap:.3f} below",
                gap <= GOAL_AUC_BELOW_VOLUME,
            )
        )
        for name, pair in evaluation.aucs.items():
            if name in ("plain", "volume alone", "all volumes"):
                continue
            change = pair[group].value - value
            goal = f"AUC {group} vs CN within {GOAL_AUC_CHANGE}: {name}"
            found.append((goal, f"{change:+.3f}", change >= -GOAL_AUC_CHANGE))
    error = evaluation.calibration_error.value
    found.append(
        (f"expected calibration error under {GOAL_CALIBRATION_ERROR}", f"{error:.3f}", error < GOAL_CALIBRATION_ERROR)
    )
    r = evaluation.correlation.value
    found.append(
        (
            f"correlation of the AD - CN logit with the fraction at most {GOAL_CORRELATION}",
            f"{r:.3f}",
            r <= GOAL_CORRELATION,
        )
    )
    flip = evaluation.flip_change.value
    found.append((f"change by a left-right flip under {GOAL_FLIP_CHANGE}", f"{flip:.3f}", flip < GOAL_FLIP_CHANGE))
    return found


def _verdict(evaluation: Evaluation) -> str:
    lines = ["## Goals", "| goal | reached | met |", "|---|---|---|"]
    lines += [f"| {goal} | {reached} | {'yes' if met else '**no**'} |" for goal, reached, met in verdicts(evaluation)]
    return "\n".join(lines)


def reliability_picture(evaluation: Evaluation) -> bytes:
    """PNG of the reliability diagram."""
    from matplotlib.figure import Figure

    confidence, accuracy, counts = evaluation.bins
    there = counts > 0
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="perfect")
    axes.plot(confidence[there], accuracy[there], marker="o", label="this model")
    axes.bar(confidence[there], counts[there] / counts.sum(), width=0.03, color="0.8", label="share of scans")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    return buffer.getvalue()
