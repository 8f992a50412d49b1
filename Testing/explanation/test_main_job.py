"""The main job end to end on the real sample scan, through the command line as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import mri_interpret as mi
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from mri_interpret.anatomy.region_statistics import OUTSIDE_LABEL
from mri_interpret.attribution import DEFAULT_METHODS
from mri_interpret.attribution.attribute import attribute
from mri_interpret.explanation.job import TYPICAL_SECONDS, explain
from mri_interpret.images.reading import read_scan
from mri_interpret.preprocessing.cache import PreprocessingCache
from mri_interpret.resources import resource

pytestmark = pytest.mark.slow  # the whole job on the sample scan

SAMPLE = resource("SampleData", "colin27_T1.nii.gz")


def run_cli(*arguments: str | Path, cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """``mri-interpret`` in a process of its own."""
    environment = os.environ | {"MRI_INTERPRET_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", "mri_interpret", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("main job")


@pytest.fixture(scope="module")
def record(folder: Path) -> dict[str, object]:
    """The sample explained once, everything written, the machine-readable result read back."""
    done = run_cli("explain", "--sample", "-o", folder / "out", "--json", cwd=folder, cache=folder / "cache")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_file_is_there_and_nothing_else(record: dict[str, object], folder: Path) -> None:
    found = {str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*") if path.is_file()}
    maps = {
        f"{kind}/{name}.nii.gz"
        for kind in ("maps", "template")
        for name in (*DEFAULT_METHODS, "summary", "consensus", "spread")
    }
    others = {f"scan/{name}.nii.gz" for name in ("scan", "mask", "template")} | {"template/input.nii.gz"}
    others |= {"anatomy.nii.gz", "volumes.csv"}
    others |= {"prediction.json", "provenance.json", "explanation.json", "regions.csv", "agreement.csv", "trust.csv"}
    assert found == maps | others | {"scene.mrb", "report.html"}


def test_maps_lie_on_the_scans_grid(record: dict[str, object], folder: Path) -> None:
    scan = nib.load(SAMPLE)
    for name in (*DEFAULT_METHODS, "summary", "consensus", "spread"):
        image = nib.load(folder / "out" / "maps" / f"{name}.nii.gz")
        assert image.shape == scan.shape
        assert np.allclose(image.affine, scan.affine)
        values = np.asarray(image.dataobj)
        assert np.isfinite(values).all()
        assert np.ptp(values) > 0
        if name in DEFAULT_METHODS:
            assert image.get_data_dtype() == np.float32
    summary = np.asarray(nib.load(folder / "out" / "maps" / "summary.nii.gz").dataobj)
    assert summary.min() >= 0
    assert summary.max() <= 1
    consensus = np.asarray(nib.load(folder / "out" / "maps" / "consensus.nii.gz").dataobj)
    assert set(np.unique(consensus)) <= {0, 1, 2, 3}
    assert (consensus > 0).sum() > 100
    spread = np.asarray(nib.load(folder / "out" / "maps" / "spread.nii.gz").dataobj)
    assert 0.01 < spread.max() <= 0.5


def test_progress_knows_every_step(record: dict[str, object]) -> None:
    assert set(record["seconds"]) <= set(TYPICAL_SECONDS)  # type: ignore[call-overload]


def test_the_prediction(record: dict[str, object], folder: Path) -> None:
    prediction = json.loads((folder / "out" / "prediction.json").read_text(encoding="utf-8"))
    assert list(prediction["probabilities"]) == ["CN", "MCI", "AD"]
    assert sum(prediction["probabilities"].values()) == pytest.approx(1.0)
    assert prediction["predicted"] == max(prediction["logits"], key=prediction["logits"].get)
    assert prediction["target"]["name"] == prediction["predicted"]
    assert set(prediction["model"]) >= {"name", "version", "hash"}
    assert "research use only" in prediction["model"]["banner"].lower()
    assert record["probabilities"] == prediction["probabilities"]


def test_region_sums_add_up_to_each_maps_total(record: dict[str, object], folder: Path) -> None:
    table = pd.read_csv(folder / "out" / "regions.csv")
    for space, kind in (("native", "maps"), ("template", "template")):
        for name in DEFAULT_METHODS:
            total = np.asarray(nib.load(folder / "out" / kind / f"{name}.nii.gz").dataobj, np.float64).sum()
            rows = table[(table["method"] == name) & (table["space"] == space)]
            sums = rows["sum"].sum()
            inside = rows[rows["label"] != OUTSIDE_LABEL]  # what lies outside the brain is told, and not counted
            assert inside["share"].sum() == pytest.approx(1.0, abs=1e-6)
            if space == "template":
                assert sums == pytest.approx(total, rel=1e-6)
            else:
                # In native space sums are scaled to model voxels; the ratio is the same for every map.
                affine = np.array(
                    json.loads((folder / "out" / "provenance.json").read_text(encoding="utf-8"))["preprocessing"][
                        "scan_to_template_ras"
                    ]
                )
                assert sums == pytest.approx(total * abs(np.linalg.det(affine[:3, :3])) / 8.0, rel=1e-6)


def test_relevance_is_the_same_in_both_spaces(record: dict[str, object], folder: Path) -> None:
    """Nothing is lost on the way back: totals agree to the interpolation's error.

    For maps that hardly reach outside the brain: class activation maps, and LRP with a flat first layer, reach beyond
    the scan's field of view.
    """
    table = pd.read_csv(folder / "out" / "regions.csv")
    sums = table.groupby(["method", "space"])["sum"].sum().unstack()
    for name in ("guided_backprop", "guided_grad_cam_pp"):
        assert sums.loc[name, "native"] == pytest.approx(sums.loc[name, "template"], rel=0.05)


def test_scene_and_report_are_whole(record: dict[str, object], folder: Path) -> None:
    with zipfile.ZipFile(folder / "out" / "scene.mrb") as archive:
        assert archive.testzip() is None
        assert any(name.endswith(".mrml") for name in archive.namelist())
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "esearch use only" in page
    assert 'src="http' not in page
    assert "data:image/" in page


def test_the_folder_opens_again(record: dict[str, object], folder: Path) -> None:
    opened = mi.load(folder / "out")
    assert opened.prediction.logits == record["logits"]
    np.testing.assert_array_equal(opened.scan.array, np.asarray(nib.load(SAMPLE).dataobj, np.float32))
    for name, one in opened.maps.items():
        stored = np.asarray(nib.load(folder / "out" / "maps" / f"{name}.nii.gz").dataobj)
        assert np.array_equal(one.native.array, stored)
    assert {verdict.method for verdict in opened.verdicts} == {*DEFAULT_METHODS, "summary"}
    assert opened.provenance.scan_file == str(SAMPLE)
    excluded = {
        verdict.method for verdict in opened.verdicts if (verdict.check, verdict.verdict) == ("randomisation", "fail")
    }
    assert excluded <= set(opened.summary_details.excluded)


def test_the_library_gives_the_same_maps_and_takes_what_was_found_from_the_cache(
    record: dict[str, object], folder: Path
) -> None:
    scan = read_scan(SAMPLE)
    before = scan.array.copy()
    explanation = explain(scan, methods=["lrp", "grad_cam"], trust="off", cache=PreprocessingCache(folder / "cache"))
    assert np.array_equal(scan.array, before)
    for name in ("lrp", "grad_cam"):
        stored = np.asarray(nib.load(folder / "out" / "maps" / f"{name}.nii.gz").dataobj)
        assert np.abs(explanation.maps[name].native.array - stored).max() <= 1e-5 * np.abs(stored).max()
    assert explanation.prediction.logits == record["logits"]
    assert explanation.provenance.from_cache == ("mask", "registration")


def test_the_input_check_tells_wrong_steps_from_right_ones_on_the_sample(
    record: dict[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the main job prepares the sample: with the bundle's own steps, and with one of them wrong in ten ways."""
    from mri_interpret.models import DEFAULT_MODEL
    from mri_interpret.models.registry import find_model
    from mri_interpret.preprocessing.pipeline import preprocess
    from mri_interpret.preprocessing.steps.chain import read_steps

    from Testing.benchmarks.input_check import wrong_chains

    monkeypatch.setenv("MRI_INTERPRET_CACHE", str(folder / "cache"))
    scan, about = read_scan(SAMPLE), find_model(DEFAULT_MODEL).metadata

    def warned(steps: object) -> bool:
        found = preprocess(scan, steps, statistics=about.statistics, cache=PreprocessingCache()).input_warnings  # type: ignore[arg-type]
        return any("does not look like its training data" in sentence for sentence in found)

    assert not warned(about.preprocessing)
    wrong = {name: warned(read_steps(steps, name)) for name, steps in wrong_chains(about.grid).items()}
    assert len(wrong) == 10
    assert sum(wrong.values()) >= 9, [name for name, said in wrong.items() if not said]


def test_the_network_that_ships_calls_the_sample_healthy_and_its_map_adds_up(
    record: dict[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its card claims, and any training that ships has to hold: CN, with AD the least likely; LRP within 5 %."""
    from mri_interpret.metrics.classification import softmax
    from mri_interpret.models.registry import find_model
    from mri_interpret.preprocessing.pipeline import preprocess

    monkeypatch.setenv("MRI_INTERPRET_CACHE", str(folder / "cache"))
    bundle = find_model()
    prepared = preprocess(read_scan(SAMPLE), bundle.metadata.preprocessing, cache=PreprocessingCache())
    image = torch.from_numpy(prepared.channels)[None]
    with torch.no_grad():
        logits = bundle.network(image)[0].double().numpy()
    cn, mci, ad = softmax(logits[None], bundle.metadata.temperature)[0]
    assert cn > mci > ad
    found = attribute(bundle.network, image, torch.tensor([-1.0, 0.0, 1.0]), "lrp")["lrp"].map
    assert float(found.sum()) == pytest.approx(logits[2] - logits[0], rel=0.05)
    weights = bundle.path / "models" / "model.safetensors"
    assert weights.stat().st_size < 12e6
