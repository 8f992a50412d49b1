"""`mri-interpret cohort` with nothing but a recipe: a published regression network, from files to group results.

By hand (``--thorough``), with random weights; with the weights of one real fold where they are at hand.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mri_interpret.command_line import app as cli
from mri_interpret.models.registry import find_model

from Testing.cohort.cohort_scans import write_cohort
from Testing.models.test_recipes import REAL, random_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
REAL_SCANS = REAL.parents[1] / "real-scans"


def run(*arguments: str | Path, models: Path) -> str:
    """What the command line prints; its workers are processes of their own."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setenv("MRI_INTERPRET_MODELS", str(models))
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
    assert not ended.value.code, said.getvalue()
    return said.getvalue()


@pytest.mark.thorough  # what a recipe adds, and a cohort of a model that returns a number, are tested apart
def test_two_folds_with_random_weights(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    files, models = tmp_path / "files", tmp_path / "models"
    files.mkdir()
    for fold in range(2):
        state = {name: value * (1 + 0.1 * fold) if value.is_floating_point() else value
                 for name, value in random_state().items()}  # fmt: skip
        save_file(state, files / f"fold{fold}.safetensors")
    assert "Added qiu2022_cog" in run("models", "add", files, "--recipe", "qiu2022", models=models)
    assert "mean of the folds 0, 1" in run("models", models=models)
    table = write_cohort(tmp_path, ["CN"], segmented=True)
    output = tmp_path / "out"
    quick = ["--methods", "grad_cam", "--mask", "none", "--space", "mni", "--no-native", "--no-cache", "--trust", "off"]
    quick += ["--no-pages"]
    quick += ["--device", "cpu", "--workers", "1", "--memory", "3", "--permutations", "0", "--no-scene"]
    run("cohort", table, "-o", output, "--model", "qiu2022_cog", *quick, models=models)
    predictions = pd.read_csv(output / "group" / "predictions.csv")
    assert len(predictions) == 1
    assert np.isfinite(predictions["predicted"]).all()
    assert (predictions["target"] == "COG score").all()
    page = (output / "report.html").read_text("utf-8")
    assert "Predicted COG score" in page
    assert "called 'COG score'" in page.replace("&#39;", "'")  # no true values: it is said
    subject = json.loads((output / "sub-01" / "sub-01_prediction.json").read_text())
    assert subject["kind"] == "regression"
    assert subject["value"] == predictions["predicted"][0]
    assert subject["anchors"] == [[0.0, "CN"], [1.0, "MCI"], [2.0, "dementia"]]


@pytest.mark.skipif(not REAL.is_file(), reason="the real network's weights are not here (shared/data/real-model)")
def test_parity_through_the_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`models add` with the recipe's defaults, and the numbers that the original gives (see the weights' README)."""
    models = tmp_path / "models"
    for head, wanted in (("", [-0.203319]), ("add", [0.532284, -0.974421])):
        options = ["--option", f"head={head}", "--name", head] if head else []
        run("models", "add", REAL.parent, "--recipe", "qiu2022", *options, models=models)
        monkeypatch.setenv("MRI_INTERPRET_MODELS", str(models))
        bundle = find_model(head or "qiu2022_cog")
        i, j, k = np.indices((182, 218, 182))
        x = torch.from_numpy((((7 * i + 11 * j + 13 * k) % 97) / 12).astype(np.float32))[None, None]
        with torch.no_grad():
            assert bundle.network(x).flatten().tolist() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.thorough
@pytest.mark.skipif(not (REAL.is_file() and REAL_SCANS.is_dir()), reason="the real network or scans are not here")
def test_real_scans_with_a_real_fold(tmp_path: Path) -> None:
    """A healthy adult, from a whole head: the score must be that of no dementia."""
    models, output = tmp_path / "models", tmp_path / "out"
    run("models", "add", REAL.parent, "--recipe", "qiu2022", models=models)
    scans = sorted(REAL_SCANS.glob("*_T1w.nii.gz"))[:1]
    rows = [f"S{number},{scan},{30 + 5 * number}" for number, scan in enumerate(scans)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["participant_id,path,age", *rows]) + "\n")
    quick = ["--methods", "grad_cam", "--no-native", "--trust", "off", "--workers", "1", "--no-scene"]
    run("cohort", table, "-o", output, "--model", "qiu2022_cog", *quick, models=models)
    predictions = pd.read_csv(output / "group" / "predictions.csv")
    assert len(predictions) == len(scans)
    assert (predictions["predicted"] < 1).all()
