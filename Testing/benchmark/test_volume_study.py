"""The study of the volume methods: what its tables make of known rows, its placebo, and the choice of a summary."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.stored_maps import maps_path, save_maps
from mri_interpret.benchmark.volume_truth import FLUID, REACHED
from mri_interpret.checks.volume_maps import COUNTERFACTUAL, GRADIENT
from mri_interpret.deformation.metric import metric_of
from mri_interpret.images.volume import Grid
from mri_interpret.models.plain_cnn import PlainCNN3d
from mri_interpret.summary import summarise

from Testing.benchmarks import volume_metric_paired as paired
from Testing.benchmarks import volume_metric_spread as spread
from Testing.benchmarks.summary_candidates import subjects_of
from Testing.benchmarks.summary_weights import Choice, choose, chosen_set, joined, measured, well_localised
from Testing.benchmarks.summary_weights import page as page_of_the_summary
from Testing.benchmarks.volume_continued import CONTINUED, continued, reckoned, with_continued
from Testing.benchmarks.volume_measurements import TWIN, TYPICAL, warped_change
from Testing.benchmarks.volume_methods import FIRST, half_of, same_classes, tasks
from Testing.benchmarks.volume_tables import agreement, best_scale, ceiling_table, goals_table, page
from Testing.deformation.test_head import ball, head_on, noise

SHAPE = (12, 12, 12)
SUBJECTS = 12


def rows() -> pd.DataFrame:
    """Twelve subjects, the halves in turn, by two networks; subject 0 is not called AD by the first one."""
    found = []
    for index in range(SUBJECTS):
        half = ("choose", "report")[index % 2]
        made = 0.2 + 0.02 * index
        for network, extra in (("a", 0.05), ("b", -0.05)):
            asked = made + extra + (0.1 if half == "report" else 0.0)
            values = {
                ("gradient", "times chance"): 8.0,
                (GRADIENT, "times chance"): 12.0 if half == "report" else 6.0,
                (COUNTERFACTUAL, "times chance"): 5.0,
                (COUNTERFACTUAL, REACHED): float(index != 1),
                (COUNTERFACTUAL, "hippocampus: asked"): asked,
                (COUNTERFACTUAL, "hippocampus: would undo"): made,
                (COUNTERFACTUAL, "hippocampus: error"): abs(asked - made),
                (COUNTERFACTUAL, "hippocampus: to even odds"): made / 2,
                (COUNTERFACTUAL, "hippocampus: error to even odds"): abs(asked - made / 2),
                (COUNTERFACTUAL, TWIN + "hippocampus: asked"): made / 2 + extra,
                (COUNTERFACTUAL, TWIN + "hippocampus: would undo"): made,
                (COUNTERFACTUAL, TWIN + "hippocampus: error"): abs(made / 2 + extra - made),
                (COUNTERFACTUAL, "random network: times chance"): 1.0,
                (COUNTERFACTUAL, "steps"): 9.0,
                (COUNTERFACTUAL, "icc"): 0.9,
            }
            for (method, measure), value in values.items():
                found.append(
                    (network, half, f"AD {index}", "02", not (index == 0 and network == "a"), method, measure, value)
                )
    columns = ["network", "half", "subject", "anatomy", "called_ill", "method", "measure", "value"]
    return pd.DataFrame(found, columns=columns).assign(contrast=2.0)


def test_goals_are_met_or_not_by_the_reporting_half() -> None:
    lines = {line.split("|")[1].strip(): line for line in goals_table(rows()).splitlines()[2:]}
    gains = lines["volume gradient, times chance"]
    assert "6.00 [6.00, 6.00], n 6" in gains
    assert "12.00 [12.00, 12.00], n 6" in gains
    assert gains.endswith("| yes, on 12 subjects of 60 |"), "too few to decide is said"
    # One of six subjects of the reporting half does not arrive.
    assert "0.83" in lines["counterfactuals that reach the boundary"]
    assert lines["counterfactuals that reach the boundary"].endswith("| **no**, on 12 subjects of 60 |")
    assert "| yes, on 12" in lines["hippocampus: mean absolute error"], "the networks' errors are averaged: 0.10"
    assert lines["volume gradient, ICC of the region profile"].endswith("| not measured |")


def test_networks_of_one_subject_are_averaged_before_the_correlation() -> None:
    found = agreement(rows(), "hippocampus")
    assert found.n == SUBJECTS
    reporting = agreement(rows()[rows()["half"] == "report"], "hippocampus")
    assert reporting.value == pytest.approx(1), "0.05 more by one network and less by the other cancel"


def test_metrics_are_compared_on_the_subjects_that_both_have() -> None:
    other = "tissue and fluid apart, 6 mm"
    table = []
    for subject, now, this in ((2, 0.3, 0.1), (6, 0.2, 0.1), (8, 0.9, None)):
        for metric, error in ((paired.NOW, now), (other, this)):
            if error is not None:
                values = dict.fromkeys(paired.MEASURES, 1.0) | {"hippocampus: error by warping": error}
                table += [(metric, subject, measure, value) for measure, value in values.items()]
    text = paired.table(pd.DataFrame(table, columns=["metric", "subject", "measure", "value"]))
    assert "2 subjects: 2, 6." in text
    assert "| hippocampus: error by warping | 0.250 | 0.100 | -0.150 [-0.200, -0.100] |" in text
    assert text.count("## ") == 1, "metrics that were not run are left out"


def test_half_of_what_is_right_is_right_after_the_best_scale() -> None:
    assert best_scale(np.array([0.1, 0.2, 0.0, 0.3]), np.array([0.2, 0.4, 0.5, 0.1])) == pytest.approx(2)
    both = rows()
    lines = {line.split("|")[1].strip(): line for line in ceiling_table(both).splitlines()[2:]}
    # The first subject, which one network does not call ill, is part of these rows: networks cancel in every subject.
    towards = [line for line in ceiling_table(both).splitlines() if line.startswith("| towards the answer without")]
    assert [line.split("|")[2].strip() for line in towards] == ["1.00", "2.00"]
    assert "0.00 [0.00, 0.00], n 6" in towards[1]
    # Made is 0.2 to 0.42, and the boundary comes half way.
    ideal = lines["an ideal observer's boundary, against what would undo"]
    assert "0.15" in ideal
    assert "0.16" in ideal


def test_what_is_continued_is_in_proportion_and_only_of_who_reached_the_boundary() -> None:
    both = rows()
    assert continued(both, {}).empty, "no typical answer is known"
    levels = {"a": -1.0, "b": -2.0}
    known = both[(both["measure"] == "steps") & (both["subject"] == "AD 3")]  # by the networks a and b
    values = {"contrast": list(levels.values()), REACHED: [1.0, 1.0], "hippocampus: asked": [0.5, 0.6]}
    gone = pd.concat([known.assign(measure=TYPICAL + name, value=value) for name, value in values.items()])
    found = continued(pd.concat([both, gone]), levels)
    values = found.set_index(["network", "subject", "measure"])["value"].to_dict()
    assert values["a", "AD 3", CONTINUED + "hippocampus: asked"] == 0.5, "this way was gone"
    # Half as much more, and twice, of what the boundary asks: 0.2 + 0.02 * 5, 0.1 in the reporting half, and +-0.05.
    assert values["a", "AD 5", CONTINUED + "hippocampus: asked"] == pytest.approx(1.5 * 0.45)
    assert values["b", "AD 5", CONTINUED + "hippocampus: asked"] == pytest.approx(2 * 0.35)
    assert values["b", "AD 5", CONTINUED + "hippocampus: error"] == pytest.approx(2 * 0.35 - 0.3)
    assert "AD 1" not in set(found["subject"]), "it did not reach the boundary"
    assert set(found["half"]) == {"choose", "report"}
    assert "| continued to a typical healthy answer: error | <= 0.12 |" in goals_table(with_continued(both, levels))
    # One subject, two networks, 0.26 + 0.1 +- 0.05 at the boundary: |0.615 - 0.5| and |0.62 - 0.6|.
    assert reckoned(pd.concat([both, gone]), TYPICAL).value == pytest.approx((0.115 + 0.02) / 2)


def test_the_page_leaves_out_who_is_not_called_ill() -> None:
    everyone = rows()
    text = page(everyone[everyone["called_ill"]])
    assert f"{GRADIENT} 12 subjects (23 explanations)" in page(everyone)
    assert page(everyone) == text
    assert "random network" in text


def test_a_structure_that_is_stretched_grows_as_much() -> None:
    """A box of 8 voxels, in a field with a step of two voxels that stretches the first axis by a quarter around it."""
    share = np.zeros((24, 12, 12), np.float32)
    share[8:16, 4:8, 4:8] = 1
    displacement = torch.zeros(3, 12, 6, 6)
    # Cells lie at voxels 0.5, 2.5, ...; backwards, the scan is looked at 1 / 1.25 of the way from the centre.
    voxels = 0.5 + 2 * torch.arange(12, dtype=torch.float32)
    displacement[0] = ((voxels - 11.5) * (1 / 1.25 - 1) * 3)[:, None, None]
    deformation: Any = SimpleNamespace(
        displacement=displacement, step=(2.0, 2.0, 2.0), origin=(0.5, 0.5, 0.5), spacing=(3.0, 3.0, 3.0)
    )
    assert warped_change(share, deformation) == pytest.approx(np.log(1.25), abs=0.01)


def test_every_subject_gets_a_network_before_any_gets_a_second() -> None:
    order = [task for task in tasks(7, 3) if task.kind == "maps" and task.methods == FIRST]
    assert {task.subject for task in order[:7]} == set(range(7))
    assert len(set(order)) == 21
    twins = [task.subject for task in tasks(7, 3) if task.kind == "twins"]
    assert twins == list(range(7)), "by one network each"
    assert len({task.path(Path(), "n") for task in tasks(7, 1)}) == len(list(tasks(7, 1)))


def test_with_networks_of_folds_each_subject_gets_the_one_that_never_saw_its_anatomy() -> None:
    order = list(tasks(6, 3, lambda subject: (2, 0)[subject % 2]))
    assert {(task.subject % 2, task.network) for task in order} == {(0, 2), (1, 0)}
    assert len({task.path(Path(), "n") for task in order}) == len(order), "nothing twice"
    assert {task.kind for task in order} == {task.kind for task in tasks(6, 3)}


def test_the_metric_was_chosen_on_two_anatomies_and_all_others_report() -> None:
    assert [half_of(f"labels_{name}") for name in ("02", "13", "08", "19")] == ["choose"] * 2 + ["report"] * 2


def test_a_metric_in_units_of_what_healthy_people_differ_by_is_one() -> None:
    head = head_on("cubes")
    names = ("hippocampus", "amygdala", "inferior lateral ventricle", "lateral ventricle", FLUID)
    shares = {name: noise(*head.shape, seed=k).clamp(0, 0.2).float().numpy() for k, name in enumerate(names)}
    a, b = noise(*head.inside.shape), noise(*head.inside.shape, seed=9)
    scaled = spread.metric(head, shares, 1.0, 0.5)
    torch.testing.assert_close((a * scaled.direction(b)).sum(), (b * scaled.direction(a)).sum(), rtol=1e-6, atol=1e-9)
    assert float((a * scaled.direction(a)).sum()) > 0
    as_it_ships = metric_of(head, torch.from_numpy(shares[FLUID])).direction(a)
    torch.testing.assert_close(spread.metric(head, shares, 0.0, 0.0).direction(a), as_it_ships)


def test_ventricles_move_more_where_changes_are_in_units_of_what_people_differ_by() -> None:
    head = head_on("cubes")
    horn = ball(head.shape, 0.3).float().numpy()
    nothing = np.zeros_like(horn)
    shares = dict.fromkeys(("hippocampus", "amygdala", "lateral ventricle"), nothing)
    around = (ball(head.shape, 0.9) & ~ball(head.shape, 0.6)).float().numpy()
    shares |= {"inferior lateral ventricle": horn, FLUID: horn + around}
    gradient = head.cells_of(torch.from_numpy(horn)).double()
    inside = gradient > 0.9
    before, after = (spread.metric(head, shares, 0.0, power).direction(gradient) for power in (0.0, 1.0))
    assert float(after[inside].abs().mean()) > 4 * float(before[inside].abs().mean())


def test_same_classes_differ_by_noise_alone() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PlainCNN3d(channels=(4, 64), strides=(4, 2)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    changed: Any = same_classes(network, [-1.0, 0.0, 1.0], seed=1)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    healthy, middle, ill = changed.classifier.weight.detach()
    size = float(before["classifier.weight"][2].square().mean().sqrt())
    for row in (healthy, ill):
        assert float((row - before["classifier.weight"][2]).std()) == pytest.approx(0.1 * size, rel=0.4)
    assert not torch.equal(healthy, ill)
    assert torch.equal(middle, before["classifier.weight"][1])
    assert torch.equal(changed.classifier.bias[0], changed.classifier.bias[2])
    assert all(
        torch.equal(changed.blocks.state_dict()[name], value) for name, value in network.blocks.state_dict().items()
    )


def test_the_best_method_gets_the_smallest_weight_that_suffices_and_the_other_half_is_told(tmp_path: Path) -> None:
    """Two subjects; "sharp" lies in the truth, "flat" everywhere, "edges" bars what an edge detector finds as well."""
    truth = np.zeros(SHAPE, bool)
    truth[5:7, 5:7, 5:7] = True
    mask = np.ones(SHAPE, bool)
    effect = np.where(truth, 1.0, 0.0).astype(np.float32)
    maps = {"sharp": effect + 0.001, "flat": np.ones(SHAPE, np.float32), "good": effect + 0.05}
    table = []
    for index, half in ((0, "choose"), (1, "report")):
        given = SimulatedSubject(
            *(f"AD {index}", "AD", "none", torch.ones(1, 1, *SHAPE), mask, effect, truth),
            hippocampus=truth,
            fraction=3.0,
        )
        save_maps(maps_path(tmp_path, "n", index), given, maps)
        for key, values in {**maps, "edges": np.ones(SHAPE)}.items():
            gain = float(values[truth].mean() / values.mean())
            table.append(("n", half, f"AD {index}", "AD", True, key, "times chance", gain))
    columns = ["network", "half", "subject", "group", "called_ill", "method", "measure", "value"]
    frame = pd.DataFrame(table, columns=columns)
    keys = well_localised(frame)
    assert keys == ["sharp", "good"]
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
    gains = measured(tmp_path, frame, keys, grid)
    # Of one subject, the interval has no width: no weighted mean reaches the best alone at 8 mm.
    assert choose(frame, gains, keys).weights is None
    # The summary's own way with the maps, at the place where the study takes the mean of densities at 8 mm.
    labels = np.ones(SHAPE, int)
    for weights in ({"sharp": 1.0, "good": 1.0}, {"sharp": 7.0, "good": 1.0}):
        summary = summarise({key: maps[key] for key in weights}, mask, grid, labels, weights=weights)
        values = np.asarray(summary.score.array)
        expected = values[truth].mean() / values.mean()
        assert joined(gains, weights).to_numpy() == pytest.approx(expected, rel=2e-3), "maps are kept in half precision"


def gains_of(sharp: float, good: float, poor: float, subjects: int = 8) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows and gains of three methods over both halves; the best one varies by 10 % over subjects."""
    rows, gains = [], []
    for index in range(subjects):
        half, subject = ("choose", "report")[index % 2], f"AD {index}"
        one: dict[str, Any] = {"half": half, "subject": subject}
        for key, value in (("sharp", sharp * (1 + 0.1 * (index // 2 % 2))), ("good", good), ("poor", poor)):
            one[f"{key} alone"], one[f"{key} smoothed"] = value, value
            rows.append(("n", half, subject, "AD", True, key, "times chance", value))
        rows.append(("n", half, subject, "AD", True, "edges", "times chance", 0.8))
        gains.append(one)
    columns = ["network", "half", "subject", "group", "called_ill", "method", "measure", "value"]
    return pd.DataFrame(rows, columns=columns), pd.DataFrame(gains)


def test_the_smallest_weight_that_is_enough_is_taken_and_who_hinders_it_is_left_out() -> None:
    rows, gains = gains_of(10.0, 9.0, 3.0)
    keys = well_localised(rows)
    assert keys == ["sharp", "good", "poor"]
    # Four subjects, 10 and 11: mean 10.5, the interval begins at 10. (11 w + 9 + 3) / (w + 2) for 10.5 w needs w > 16.
    assert choose(rows, gains, keys).weights is None
    choice = chosen_set(rows, gains, keys)
    assert choice.keys == ["sharp", "good"], "the worst is left out"
    # (10.5 w + 9) / (w + 1) >= 10 from w = 2 on.
    assert choice.weights == {"sharp": 2.0, "good": 1.0}
    text = page_of_the_summary(rows, gains, keys, Choice(["poor"], {"poor": 1.0}, []))
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert "| poor 1 | 3.00 [3.00, 3.00], n 4 | 3.00 [3.00, 3.00], n 4 |" in lines["as it is"]
    assert "| sharp 2, good 1 | 10.00" in lines["all that localise"]
    assert "| 7.00 [" in lines["all that localise"], "the difference from the score as it is"
    assert "edges | 0.80 [0.80, 0.80], n 4 |" in text


def test_the_halves_come_in_turn_until_one_has_its_subjects() -> None:
    assert subjects_of(2, 4) == [0, 1, 2, 3, 5, 7]
