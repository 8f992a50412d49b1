"""Acquisition artefacts: Gibbs ringing (truncated k-space) and head motion."""

from __future__ import annotations

import torch
from torch import Tensor


def gibbs(image: Tensor, axis: int, kept: float) -> Tensor:
    """Ringing along ``axis`` of (I, J, K): only the lowest share ``kept`` (0 to 1) of the frequencies is acquired."""
    length = image.shape[axis]
    spectrum = torch.fft.rfft(image, dim=axis)
    frequency = torch.arange(spectrum.shape[axis], device=image.device) / (length / 2)
    view = [1, 1, 1]
    view[axis] = -1
    return torch.fft.irfft(spectrum * (frequency <= kept).view(view), n=length, dim=axis)


def motion(image: Tensor, axis: int, shift: int, lines: Tensor) -> Tensor:
    """Ghosts along ``axis``: the k-space lines marked in ``lines`` were read after the head had moved.

    Parameters
    ----------
    image
        (I, J, K).
    axis
        The phase-encoding axis; the head moves along the next one.
    shift
        Displacement of the head in voxels.
    lines
        bool, one for each position along ``axis``, in FFT order.
    """
    view = [1, 1, 1]
    view[axis] = -1
    still = torch.fft.fft(image, dim=axis)
    moved = torch.fft.fft(torch.roll(image, shift, (axis + 1) % 3), dim=axis)
    return torch.fft.ifft(torch.where(lines.view(view).to(image.device), moved, still), dim=axis).abs()


def random_artefact(image: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """With probability ``share``, one of the two along a random axis, mild enough for the scan to be read."""
    if float(torch.rand((), generator=generator)) >= share:
        return image
    axis = int(torch.randint(3, (), generator=generator))
    if float(torch.rand((), generator=generator)) < 0.5:
        return gibbs(image, axis, 0.6 + 0.3 * float(torch.rand((), generator=generator)))
    length = image.shape[axis]
    lines = torch.rand(length, generator=generator) < 0.3
    lines &= torch.fft.fftfreq(length).abs() > 0.08  # the middle of k-space is read in one go
    return motion(image, axis, int(torch.randint(1, 3, (), generator=generator)), lines)
