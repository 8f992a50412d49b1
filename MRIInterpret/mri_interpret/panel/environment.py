"""Which Python packages Slicer lacks, and asking the user for them: when they are needed, never at start-up."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import slicer

from ..errors import UserError

TORCH = ">=2.4"
# What Slicer or the PyTorch extension bring: pip would put other builds over them, when a package asks for one of them.
BROUGHT = ["torch", "torchvision", "SimpleITK", "numpy", "vtk"]
_IMPORT_SECONDS = 180  # the first import after an installation reads hundreds of megabytes


def torch_missing() -> bool:
    """Whether PyTorch cannot be imported. It is looked for, not imported."""
    return importlib.util.find_spec("torch") is None


def requirements_missing(requirements: str | Path) -> bool:
    """Whether a package of the requirements file is not installed, or too old."""
    import slicer.packaging as packaging

    return not packaging.pip_check(packaging.load_requirements(requirements))


def ensure(requirements: str | Path, button: str = "Explain") -> None:
    """Install what is missing, each time after the user agreed in a dialog.

    Parameters
    ----------
    requirements
        The module's requirements.txt: all but torch, which is the PyTorch extension's business.
    button
        What was pressed, for the sentences.

    Raises
    ------
    UserError
        If the user refuses, the PyTorch extension is not there, or the installation fails: what to do, in one sentence.
    """
    installed = torch_missing()
    if installed:
        _ensure_torch(button)
    if requirements_missing(requirements):
        _install(requirements, button)
        installed = True
    if installed:
        problem = torch_problem()
        if problem:
            raise UserError(
                f"{button} needs PyTorch, which is installed but does not start ({problem}): in the module PyTorch "
                "Utils, uninstall PyTorch, restart Slicer, and install it again."
            )


def torch_problem() -> str:
    """Why PyTorch does not start in a process of its own, as the worker would; empty if it does.

    Here it is not imported: what is broken could end Slicer, and what is imported cannot be replaced.
    """
    from ..worker.process import python_executable

    command = [python_executable(), "-c", "import torch; torch.zeros(1)"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_IMPORT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")


def _install(requirements: str | Path, button: str) -> None:
    import slicer.packaging as packaging

    try:
        packaging.pip_ensure(packaging.load_requirements(requirements), skip_packages=BROUGHT, requester="MRIInterpret")
    except RuntimeError as error:
        raise UserError(
            f"{button} needs Python packages that were not installed: press {button} again to install them."
        ) from error
    except Exception as error:
        raise UserError(f"Python packages could not be installed ({error}): check the internet connection.") from error
    if requirements_missing(requirements):
        raise UserError(f"Python packages that {button} needs are missing: restart Slicer and press {button} again.")


def _ensure_torch(button: str) -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise UserError(
            f"{button} needs PyTorch: install the PyTorch extension in Slicer's Extensions Manager and restart Slicer."
        ) from error
    logic: Any = PyTorchUtils.PyTorchUtilsLogic()
    if slicer.app.testingEnabled() or logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH) is None:
        raise UserError(f"{button} needs PyTorch, which was not installed: press {button} again to install it.")
