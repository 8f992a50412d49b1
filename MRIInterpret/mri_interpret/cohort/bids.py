"""BIDS naming: labels, images in a BIDS root, and the names of derivatives.

Brain Imaging Data Structure 1.10, https://bids-specification.readthedocs.io: entities, common derivatives.
"""

from __future__ import annotations

import re
from pathlib import Path

TEMPLATE_SPACE = "MNI152NLin2009aSym"  # the standard's name of the template that nilearn ships
NATIVE_SPACE = "orig"  # the scan's own space
_IMAGE = re.compile(r"^sub-[A-Za-z0-9]+(_[a-z]+-[A-Za-z0-9]+)*_(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?$")


def label(text: str) -> str:
    """``text`` as a BIDS label: letters and digits only."""
    return re.sub(r"[^A-Za-z0-9]", "", text)


def subject_label(text: str) -> str:
    """A subject's label from a table's entry, with or without "sub-"."""
    # A number that a spreadsheet wrote with decimals is the number.
    return label(re.sub(r"^(\d+)\.0+$", r"\1", re.sub(r"^sub-", "", text.strip())))


def session_label(text: str) -> str:
    """A session's label from a table's entry, with or without "ses-"."""
    return label(re.sub(r"^ses-", "", text.strip()))


def find_images(root: Path, suffix: str, subject: str, session: str = "") -> list[Path]:
    """A subject's images of a kind in a BIDS root, sorted; those of all sessions if none is named.

    Parameters
    ----------
    root
        The folder that holds the sub-* folders.
    suffix
        The kind as BIDS names end, such as "T1w", "FLAIR", "pet"; case and a w at the end do not matter.
    subject, session
        Labels without their prefixes.
    """
    base = root / f"sub-{subject}"
    folders = [base / f"ses-{session}"] if session else [base, *sorted(base.glob("ses-*"))]
    found = [path for folder in folders for path in folder.glob(f"*/sub-{subject}_*.nii*")]
    wanted = _kind(suffix)
    named = [(path, _IMAGE.match(path.name)) for path in found]
    return sorted(path for path, match in named if match and _kind(match["suffix"]) == wanted)


def _kind(suffix: str) -> str:
    return suffix.lower().removesuffix("w")


def derivative(
    prefix: str, suffix: str, extension: str = ".nii.gz", *, space: str = "", desc: str = "", res: str = ""
) -> str:
    """A derivative's file name, entities in the standard's order.

    Parameters
    ----------
    prefix
        "sub-01" or "sub-01_ses-a".
    suffix
        What the file holds, for instance "relevance".
    space, res, desc
        Entities; none is written where the value is empty. Characters that BIDS does not allow in a label are dropped.
    """
    entities = [f"{key}-{label(value)}" for key, value in (("space", space), ("res", res), ("desc", desc)) if value]
    return "_".join([prefix, *entities, suffix]) + extension
