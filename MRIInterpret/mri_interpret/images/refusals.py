"""What every reader refuses, in the same words: library errors, wrong shapes and types, bad affines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import UserError
from .volume import Affine

MAX_VOXELS = 1_000_000_000  # 4 GB as float32; a whole brain at 0.25 mm has half as many


@contextmanager
def one_sentence(where: str, what: str = "is not a readable image") -> Iterator[None]:
    """Turn whatever a library raises into a UserError: their errors have no common base.

    Parameters
    ----------
    where
        The file or image, as messages name it.
    what
        How the sentence goes on if anything is raised.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except UserError:
        raise
    except PermissionError as error:
        raise UserError(f"{where} may not be read (permission denied): ask its owner for access.") from error
    except MemoryError as error:
        raise UserError(f"{where} does not fit into memory: resample it to about 1 mm first.") from error
    except Exception as error:
        reason = short(error).replace(f"File {where}", "it").replace(where, "it")
        raise UserError(f"{where} {what} ({reason}): copy or export it again.") from error


def short(error: BaseException) -> str:
    """The one line of a library's message that gives the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    reason = lines[0]
    if "itk" in reason.lower():
        # ITK puts its own file and line first and the reason last, which may be that of a call that succeeded.
        reason = [line for line in lines if line != "Reason: Success"][-1]
        reason = re.sub(r"^ITK ERROR: \w+\(0x\w+\): ", "", reason)
    return reason.rstrip(".:")[:160]


def single_volume(shape: Sequence[int], where: str) -> tuple[int, int, int]:
    """The shape without trailing axes of length one.

    Raises
    ------
    UserError
        If what is left is not three axes of at least one voxel, or holds more voxels than fit into memory.
    """
    kept = [int(size) for size in shape]
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
    sizes = " x ".join(map(str, kept))
    if min(kept, default=0) < 1:
        raise UserError(f"{where} holds no voxels (its header says {sizes or 'no size'}): export it again.")
    if len(kept) > 4:
        raise UserError(
            f"{where} is a vector image with {kept[-1]} values for each voxel ({sizes}): "
            "give the scalar T1-weighted volume."
        )
    if len(kept) == 4:
        raise UserError(
            f"{where} is 4-dimensional ({sizes}): give one 3D volume, for instance the first or the mean of the series."
        )
    if len(kept) < 3:
        raise UserError(f"{where} is {len(kept)}-dimensional ({sizes}): a 3D volume is needed.")
    i, j, k = kept
    if i * j * k > MAX_VOXELS:
        raise UserError(f"{where} has {sizes} voxels, which is too many to explain: resample it to about 1 mm first.")
    return i, j, k


def check_scalar(dtype: Any, where: str) -> None:
    """Raise a UserError for voxels that are not single real numbers."""
    dtype = np.dtype(dtype)
    if dtype.fields is not None:
        raise UserError(f"{where} is a colour (RGB) image: give the scalar T1-weighted volume it was made from.")
    if dtype.kind == "c":
        raise UserError(f"{where} holds complex numbers: give the magnitude image.")
    if dtype.kind not in "biuf":
        raise UserError(f"{where} holds no numbers (its voxels are of type {dtype}): give a scalar image.")


def check_components(number: int, where: str) -> None:
    """Raise a UserError for an image with several values for each voxel."""
    if number != 1:
        raise UserError(
            f"{where} is a colour or vector image ({number} values for each voxel): "
            "give the scalar T1-weighted volume it was made from."
        )


def checked_affine(affine: Any, where: str) -> Affine:
    """The affine as float64.

    Raises
    ------
    UserError
        If it is not 4 x 4, not finite, or its axes do not span space.
    """
    with one_sentence(where, "has an affine that is not a matrix of numbers"):
        matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise UserError(
            f"{where} has an affine of shape {matrix.shape}: it must be 4 x 4, from voxel indices to RAS mm."
        )
    if not np.isfinite(matrix).all():
        raise UserError(f"{where} has an orientation matrix with missing or infinite entries: export it again.")
    if not np.allclose(matrix[3], [0, 0, 0, 1]):
        raise UserError(
            f"{where} has an affine whose last row is not 0, 0, 0, 1: give one from voxel indices to RAS mm."
        )
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(spacing).all() or np.any(spacing == 0):
        singular = True
    else:
        singular = bool(abs(np.linalg.det(matrix[:3, :3] / spacing)) < 1e-3)
    if singular:
        raise UserError(
            f"{where} has a singular orientation matrix (its axes do not span space): "
            "repair the header or export it again."
        )
    return matrix


def no_orientation(where: str, why: str) -> UserError:
    """The error for an image whose left and right cannot be known."""
    return UserError(
        f"{where} carries no orientation ({why}), so left and right are unknown: "
        "convert it again from DICOM, or give the voxels with their affine."
    )
