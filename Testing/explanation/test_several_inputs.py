"""A network of several inputs: files by channel, in Python and on the command line; what does not do is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mri_interpret as mi
import nibabel as nib
import numpy as np
import pytest
from mri_interpret.cohort.explain_subject import explain_subject
from mri_interpret.cohort.planning import Options, make_plan
from mri_interpret.command_line import app as cli
from mri_interpret.errors import UserError
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.models.plain_cnn import PlainCNN3d
from safetensors.torch import save_file

from Testing.fixtures_explanation import MODEL_GRID, kept, make_explanation
from Testing.models.bundles import NETWORK, write_small_bundle

STEPS = [
    {"step": "mask"},
    {"step": "registration"} | {key: MODEL_GRID[key] for key in ("shape", "spacing", "origin")},
    {"step": "intensity", "method": "zscore"},
    {"step": "channels", "channels": ["image", "flair"]},
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {"mri_interpret.preprocessing": STEPS, "mri_interpret.grid": None, "mri_interpret.intensity": None}
    folder = write_small_bundle(tmp_path_factory.mktemp("channels") / "two", changes)
    definition = {"_target_": "PlainCNN3d", **NETWORK, "in_channels": 2}
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    save_file(PlainCNN3d(**NETWORK, in_channels=2).state_dict(), folder / "models" / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def phantom() -> Explanation:
    return make_explanation(signs=(1, 1, -1))


@pytest.fixture(scope="module")
def flair(phantom: Explanation) -> Volume:
    values = np.asarray(phantom.scan.array, np.float32)
    return Volume((800 - values) * (phantom.mask.array > 0), phantom.scan.affine, "flair.nii.gz")


def explained(phantom: Explanation, bundle: Path, inputs: dict[str, Any] | None, **options: Any) -> Explanation:
    options = {"mask": phantom.mask, "space": "mni", "trust": "off", "methods": ["gradient"], "device": "cpu"} | options
    return mi.explain(
        phantom.scan, model=bundle, target="AD", inputs=inputs, segmentation=phantom.anatomy,
        cache=kept(), **options,
    )  # fmt: skip


def finer(volume: Volume) -> Volume:
    """The same image on a finer grid that reaches further."""
    affine = volume.affine @ np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = volume.affine[:3, :3] @ [-2.0, -2.0, -2.0] + volume.affine[:3, 3]
    shape = tuple(2 * size + 8 for size in volume.shape)
    return resample(volume, Grid((shape[0], shape[1], shape[2]), affine))


def test_both_inputs_reach_the_network(phantom: Explanation, bundle: Path, flair: Volume) -> None:
    one = explained(phantom, bundle, {"flair": flair})
    other = explained(phantom, bundle, {"flair": flair.with_array(np.flip(flair.array, 0).copy())})
    assert one.prediction.logits != other.prediction.logits
    assert one.provenance.further_inputs != other.provenance.further_inputs
    assert set(one.provenance_record()["input"]["further_inputs"]) == {"flair"}


def test_an_input_on_another_grid_over_the_same_brain_is_interpolated(
    phantom: Explanation, bundle: Path, flair: Volume
) -> None:
    here, there = (explained(phantom, bundle, {"flair": one}).prediction.logits for one in (flair, finer(flair)))
    assert here == pytest.approx(there, abs=0.05 * max(map(abs, here.values())))


def cut(flair: Volume) -> Volume:
    return Volume(flair.array[: flair.shape[0] // 2].copy(), flair.affine, "half.nii.gz")


def elsewhere(flair: Volume) -> Volume:
    affine = flair.affine.copy()
    affine[:3, 3] += 500
    return Volume(flair.array, affine, "far.nii.gz")


WRONG = [
    (lambda flair: {}, "wants the further input 'flair'"),
    (lambda flair: {"flair": flair, "t2": flair}, "takes no input 't2': beside the scan it takes flair"),
    (lambda flair: {"flair": cut(flair)}, r"'flair' \(half.nii.gz\) covers \d+% of the scan's brain"),
    (lambda flair: {"flair": elsewhere(flair)}, r"'flair' \(far.nii.gz\) covers 0% of the scan's brain"),
    (lambda flair: {"flair": flair.with_array(np.zeros_like(flair.array))}, "is constant in the brain"),
    (lambda flair: {"flair": flair.with_array(np.full_like(flair.array, np.nan))}, "NaN or infinite"),
]


@pytest.mark.parametrize(
    ("given", "sentence"), WRONG, ids=["missing", "too many", "cut", "elsewhere", "constant", "not finite"]
)
def test_inputs_that_do_not_do_are_one_sentence(
    given: Any, sentence: str, phantom: Explanation, bundle: Path, flair: Volume
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        explained(phantom, bundle, given(flair))
    assert "\n" not in str(caught.value)


def test_a_network_of_one_input_takes_no_other(phantom: Explanation, flair: Volume) -> None:
    with pytest.raises(UserError, match="takes no input 'flair': it takes the scan alone"):
        explained(phantom, mi.explain.__kwdefaults__["model"], {"flair": flair})


def written(volume: Volume, path: Path) -> Path:
    image = nib.Nifti1Image(np.asarray(volume.array, np.float32), volume.affine)
    image.header["sform_code"] = 1
    nib.save(image, path)
    return path


def test_a_cohorts_table_names_them(phantom: Explanation, bundle: Path, flair: Volume, tmp_path: Path) -> None:
    """The subject's result is that of the scan alone with its file, and is made again when that file changes."""
    for name, image in (("t1", phantom.scan), ("flair", flair), ("mask", phantom.mask)):
        written(image, tmp_path / f"{name}.nii.gz")
    written(phantom.anatomy.labels, tmp_path / "labels.nii.gz")  # type: ignore[union-attr]
    table = tmp_path / "participants.tsv"
    table.write_text(
        "participant_id\tpath\tFLAIR\tmask\tsegmentation\nS1\tt1.nii.gz\tflair.nii.gz\tmask.nii.gz\tlabels.nii.gz\n"
    )
    options = Options(
        model=str(bundle), methods=("gradient",), target="AD", space="mni", native=False, pages=False, trust="off",
        cache=False,
    )  # fmt: skip
    plan = make_plan(table, tmp_path / "out", options)
    assert plan.cohort.covariates == ()
    assert explain_subject(plan.jobs[0]).reason == ""
    (result,) = plan.subject_results()
    expected = explained(phantom, bundle, {"flair": flair})
    assert result.record["prediction"]["logits"] == pytest.approx(expected.prediction.logits, abs=1e-3)
    assert result.record["inputs"] == {"flair": str((tmp_path / "flair.nii.gz").resolve())}
    assert not make_plan(table, tmp_path / "out", options).jobs
    written(flair.with_array(flair.array + 1), tmp_path / "flair.nii.gz")
    assert len(make_plan(table, tmp_path / "out", options).jobs) == 1


def command(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_the_command_line_takes_further_inputs(
    phantom: Explanation, bundle: Path, flair: Volume, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = written(phantom.mask, tmp_path / "mask.nii.gz")
    scan, other = written(phantom.scan, tmp_path / "t1.nii.gz"), written(flair, tmp_path / "flair.nii.gz")
    code = command(
        "explain", scan, "--input", f"flair={other}", "--model", bundle, "--mask", mask, "--space", "mni",
        "--methods", "gradient", "--trust", "off", "--device", "cpu", "--no-scene",
        "--segmentation", mask, "-o", tmp_path / "out", "--json",
    )  # fmt: skip
    assert code == 0
    printed = json.loads(capsys.readouterr().out)
    expected = explained(phantom, bundle, {"flair": flair})
    assert printed["logits"] == pytest.approx(expected.prediction.logits, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "flair"], "--input does not understand 'flair'"),
        (["--input", "=x.nii.gz"], "--input does not understand"),
        (["--input", "flair=a.nii", "--input", "flair=b.nii"], "'flair' twice"),
        (["--input", "flair=missing.nii.gz"], "missing.nii.gz does not exist"),
        ([], "wants the further input 'flair': give its file too (option --input)"),
    ],
)
def test_wrong_inputs_on_the_command_line(
    arguments: list[str], words: str, phantom: Explanation, bundle: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    scan = written(phantom.scan, tmp_path / "t1.nii.gz")
    assert command("explain", scan, "--model", bundle, "-o", tmp_path / "out", *arguments) == 2
    assert words in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))
