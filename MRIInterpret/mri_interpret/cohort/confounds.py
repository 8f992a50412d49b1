"""What a comparison of two groups is adjusted for, and whether it can be told from the groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .subjects import Subject

LEAST_FREEDOM = 4  # degrees of freedom that a test must have left


def confound_matrix(subjects: Sequence[Subject], names: Sequence[str]) -> NDArray[np.float64] | None:
    """Covariates as columns: numbers centred, words as one 0/1 column per kind but the first; None without names.

    Returns
    -------
    array
        (subjects, columns), without columns that are the same for all.
    """
    columns: list[NDArray[np.float64]] = []
    for name in names:
        values = [subject.covariates[name] for subject in subjects]
        if all(isinstance(value, int | float) for value in values):
            numbers = np.array(values, dtype=np.float64)
            columns.append(numbers - numbers.mean())
        else:
            kinds = sorted({str(value) for value in values})
            columns += [np.array([str(value) == kind for value in values], dtype=np.float64) for kind in kinds[1:]]
    varying = [column for column in columns if np.ptp(column) > 0]
    return np.stack(varying, axis=1) if varying else None


def why_no_test(confounds: NDArray[np.float64] | None, first: int, second: int, names: Sequence[str]) -> str:
    """A sentence on why two groups cannot be compared with these confounds; "" if they can.

    Parameters
    ----------
    confounds
        From :func:`confound_matrix`; the ``first`` subjects of one group, then the ``second`` of the other.
    names
        Of the covariates.
    """
    if confounds is None:
        return ""
    number = first + second
    groups = np.repeat([1.0, 0.0], [first, second])[:, None]
    scaled = confounds / np.abs(confounds).max(axis=0)  # a rank must not depend on units
    without = np.hstack([np.ones((number, 1)), scaled])
    rank = int(np.linalg.matrix_rank(without))
    adjusted = " and ".join(names)
    if int(np.linalg.matrix_rank(np.hstack([without, groups]))) == rank:
        return f"{adjusted} tells which group a subject is in, so that nothing is left to compare after adjusting."
    if number - rank - 1 < LEAST_FREEDOM:
        return (
            f"Adjusting for {adjusted} takes {rank - 1} of the {number - 2} degrees of freedom that {number} subjects "
            f"leave: at least {LEAST_FREEDOM} must remain."
        )
    return ""
