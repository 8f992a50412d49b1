"""How far the networks of one model disagree: right numbers, and words wherever the answer stands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mri_interpret as mi
import numpy as np
import pytest
import torch
from mri_interpret.command_line.explain import _print_summary
from mri_interpret.dicom_export.content import content_of, read_content, write_content_steps
from mri_interpret.explanation.answer_words import answer_words, points_words, share_words
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.facts import Prediction
from mri_interpret.explanation.scan_attribution import attribute, contrast_of
from mri_interpret.images.grid import Grid
from mri_interpret.model_check.facts import CheckedInput
from mri_interpret.model_check.page import answer_words as checked_words
from mri_interpret.models.bundle import ModelBundle
from mri_interpret.models.layer_list import MeanOfNetworks
from mri_interpret.models.metadata import read_metadata
from mri_interpret.models.outputs import OutputMeaning
from mri_interpret.report.answer_chart import answer_chart
from mri_interpret.report.content import _answer
from mri_interpret.report.plain_words import plain_words
from mri_interpret.scene_content.note import note_text
from mri_interpret.scene_content.table_content import answer_chart as scene_chart
from scipy.special import softmax
from torch import Tensor, nn

from Testing.models.bundles import write_small_bundle

SHAPE = (9, 10, 8)
LAYERS: list[dict[str, Any]] = [
    {"layer": "Conv3d", "in_channels": 1, "out_channels": 4, "kernel_size": 3},
    {"layer": "ReLU"},
    {"layer": "AdaptiveAvgPool3d", "output_size": 1},
    {"layer": "Flatten"},
    {"layer": "Linear", "in_features": 4, "out_features": 3},
]
AGE = {"kind": "regression", "name": "age", "unit": "years", "range": [-500, 500]}
LEGEND = "SD over the 3 networks of this model"


def mean_of(layers: list[dict[str, Any]], members: int = 3) -> MeanOfNetworks:
    torch.manual_seed(4)
    network = MeanOfNetworks(members, layers)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)  # so that answers differ
    return network.eval()


class OnlyMemberLogits(nn.Module):
    """The same network as a class that says no more than what its members would answer."""

    def __init__(self, network: MeanOfNetworks) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def member_logits(self, x: Tensor) -> Tensor:
        return self.network.member_logits(x)


def image() -> np.ndarray:
    return np.random.default_rng(0).random((1, *SHAPE)).astype(np.float32)


def each_logit(network: MeanOfNetworks) -> np.ndarray:
    """(members, outputs), in float64."""
    with torch.no_grad():
        x = torch.from_numpy(image())[None]
        return np.stack([member(x)[0].double().numpy() for member in network.members])


def prediction_of(folder: Path, network: nn.Module, **metadata: Any) -> Prediction:
    changes = {f"mri_interpret.{key}": value for key, value in metadata.items()} | {"network_data_format": None}
    bundle = ModelBundle(folder, read_metadata(write_small_bundle(folder, changes)), "0" * 64, network)
    mask = SimpleNamespace(array=np.ones(SHAPE, np.uint8))
    scan: Any = SimpleNamespace(channels=image(), model_mask=mask, grid=Grid(SHAPE, np.eye(4)))
    labels: Any = SimpleNamespace(array=np.ones(SHAPE, np.int64))
    contrast = contrast_of("predicted", bundle)
    methods = ["gradient", "integrated_gradients"]  # the second makes passes of other images
    return attribute(bundle, scan, labels, methods, "predicted", contrast, "cpu", lambda *_: None)[0]


@pytest.mark.parametrize("wrap", [lambda network: network, OnlyMemberLogits], ids=["watched", "asked"])
def test_the_spread_is_that_of_the_members_calibrated_probabilities(tmp_path: Path, wrap: Any) -> None:
    network = mean_of(LAYERS)
    found = prediction_of(tmp_path / "m", wrap(network), temperature=2.0)
    odds = softmax(each_logit(network) / 2.0, axis=1)
    expected = np.sqrt(((odds - odds.mean(0)) ** 2).sum(0) / 2)  # ddof 1, written out
    assert expected.min() > 0.01
    assert found.members == 3
    assert found.members_sd is not None
    assert list(found.members_sd) == list(found.probabilities)
    np.testing.assert_allclose(list(found.members_sd.values()), expected, rtol=1e-4)
    mean = softmax(each_logit(network).mean(0) / 2.0)
    np.testing.assert_allclose(list(found.probabilities.values()), mean, rtol=1e-4)


def test_members_that_return_probabilities_are_read_as_the_model_is(tmp_path: Path) -> None:
    network = mean_of([*LAYERS, {"layer": "Softmax", "dim": 1}])
    found = prediction_of(tmp_path / "m", network, output="softmax", temperature=1.0)
    assert found.members_sd is not None
    np.testing.assert_allclose(list(found.members_sd.values()), each_logit(network).std(0, ddof=1), rtol=1e-4)


def test_the_spread_of_a_quantity_is_in_its_unit(tmp_path: Path) -> None:
    network = mean_of([*LAYERS[:-1], {"layer": "Linear", "in_features": 4, "out_features": 1}])
    found = prediction_of(tmp_path / "m", network, output=AGE, classes=None)
    assert found.members_sd == pytest.approx({"age": each_logit(network).std(ddof=1)}, rel=1e-4)


def test_one_network_has_no_spread_and_not_a_spread_of_zero(tmp_path: Path) -> None:
    found = prediction_of(tmp_path / "m", mean_of(LAYERS, 1))
    assert (found.members_sd, found.members) == (None, 1)
    assert "±" not in answer_words(found, OutputMeaning("logits", tuple(found.probabilities))).details


def test_percentages_in_words() -> None:
    assert share_words(0.512, None) == "51%"
    assert share_words(0.512, 0.061) == "51 % ± 6"
    assert share_words(0.512, 0.061, 1) == "51.2 % ± 6.1"
    assert [points_words(value) for value in (0.0, 0.0001, 0.004, 0.0094, 0.0096)] == ["0", "< 0.1", "0.4", "0.9", "1"]


@pytest.fixture(scope="module")
def ensemble(small_explanation: Explanation) -> Explanation:
    """The small explanation as if three networks had been asked."""
    odds = {"CN": 0.512, "MCI": 0.304, "AD": 0.184}
    deviations = {"CN": 0.061, "MCI": 0.042, "AD": 0.0004}
    prediction = replace(
        small_explanation.prediction, predicted="CN", probabilities=odds, members_sd=deviations, members=3
    )
    return replace(small_explanation, prediction=prediction)


def test_it_is_saved_and_results_without_it_open(
    ensemble: Explanation, small_explanation: Explanation, tmp_path: Path
) -> None:
    files = ensemble.save(tmp_path / "new")
    assert mi.load(tmp_path / "new").prediction == ensemble.prediction
    record = json.loads(files["prediction"].read_text(encoding="utf-8"))
    assert record["members_sd"] == ensemble.prediction.members_sd
    assert record["members"] == 3
    assert "members_sd" not in small_explanation.prediction_record()
    index = files["explanation"]
    facts = json.loads(index.read_text(encoding="utf-8"))
    del facts["facts"]["prediction"]["members_sd"], facts["facts"]["prediction"]["members"]  # as versions before it did
    index.write_text(json.dumps(facts), encoding="utf-8")
    old = mi.load(tmp_path / "new").prediction
    assert (old.members_sd, old.members) == (None, 1)
    assert old.probabilities == ensemble.prediction.probabilities


def test_every_text_says_it_and_what_it_is(ensemble: Explanation, capsys: pytest.CaptureFixture[str]) -> None:
    _print_summary(ensemble, Path("out"), {})
    assert f"Predicted CN (CN 51 % ± 6, MCI 30 % ± 4, AD 18 % ± < 0.1; ±: {LEGEND})" in capsys.readouterr().out
    note = note_text(ensemble)
    assert f"CN (probabilities: CN 51 % ± 6, MCI 30 % ± 4, AD 18 % ± < 0.1; ±: {LEGEND})" in note
    report = _answer(ensemble)
    assert (report["beside"], report["legend"]) == ("51.2 % ± 6.1", LEGEND)
    assert "".join(part.text for part in plain_words(ensemble)[0]) == "The network calls this scan CN (51 % ± 6)."
    page = ensemble._repr_html_()
    assert "51.2 % ± 6.1" in page
    assert "18.4 % ± &lt; 0.1" in page
    assert LEGEND in page
    odds, deviations = ensemble.prediction.probabilities, ensemble.prediction.members_sd
    checked = CheckedInput("scan", probabilities=odds, predicted="CN", members_sd=deviations, members=3)
    assert checked_words(checked) == f"CN (CN 51.2 % ± 6.1, MCI 30.4 % ± 4.2, AD 18.4 % ± < 0.1; ±: {LEGEND})"


def test_charts_show_it(ensemble: Explanation, small_explanation: Explanation) -> None:
    def drawn(one: Explanation) -> Any:
        return answer_chart(one.prediction, one.target, one.model.output)

    picture = drawn(ensemble)
    assert "CN 51.2 % ± 6.1" in picture.alt
    assert picture.caption == f"±: {LEGEND}."
    alone = replace(ensemble.prediction, members_sd=None, members=1)
    without = drawn(replace(ensemble, prediction=alone))
    assert len(picture.data) > len(without.data) + 300  # bars for the deviations
    assert without.caption == ""
    scene = scene_chart(ensemble).table
    assert scene.columns["sd"] == [0.061, 0.042, 0.0004]
    assert f"CN 51 % ± 6, MCI 30 % ± 4, AD 18 % ± < 0.1 ({LEGEND}" in scene.title
    assert set(scene_chart(small_explanation).table.columns) == {"class", "probability"}


def test_a_quantity_says_it_in_its_unit(age_explanation: Explanation) -> None:
    (name,) = age_explanation.model.output.classes
    asked = replace(age_explanation.prediction, logits={name: 71.34}, members_sd={name: 2.14}, members=3)
    one = replace(age_explanation, prediction=asked)
    words = answer_words(asked, one.model.output)
    assert words.headline == f"{name} 71.3 ± 2.1 years"
    assert words.legend == LEGEND
    tiny = replace(asked, members_sd={name: 0.00213})
    assert answer_words(tiny, one.model.output).headline == f"{name} 71.3 ± 0.002 years"
    said = "".join(part.text for part in plain_words(one)[0])
    assert said == f"The network puts the {name} of this scan at 71.3 ± 2.1 years."
    chart = answer_chart(asked, one.target, one.model.output)
    assert words.headline in chart.alt
    assert LEGEND in chart.caption
    assert f"{name} 71.3 ± 2.1 years" in note_text(one)


def test_dicom_reports_measure_it(ensemble: Explanation, tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    from mri_interpret.dicom_export.measurements import _answer as measured

    for _ in write_content_steps(content_of(ensemble), tmp_path):  # as it passes on to another process
        pass
    content = read_content(tmp_path)
    found = {one.name.meaning: one.value for one in measured(content).get_measurements()}
    assert found["Probability of CN"] == pytest.approx(0.512)
    assert found["SD over 3 networks of CN"] == pytest.approx(0.061)
    assert len(found) == 6
