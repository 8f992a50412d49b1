"""The brain in the scan and its way to the template: found together, because a head that lies askew needs both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..images.volume import Affine, Array, Volume, resample
from ..progress import ProgressCallback, step
from ..thresholds import ALREADY_REGISTERED_CORRELATION, ALREADY_REGISTERED_OVERLAP
from .bias import BiasField, fit_bias_field
from .brain_mask import BrainMask, NoBrain, checked_mask, find_brain_mask
from .cache import PreprocessingCache, content_hash
from .head_pose import likely_poses, upright
from .match import Match, measure_match
from .registration import Misaligned, register_affine
from .template import TEMPLATE_NAME, load_template
from .verdict import registration_verdict

REGISTRATION_SEED = 7
_CENTRE = np.array([0.0, -18.0, 8.0, 1.0])  # of the template's brain, RAS mm
_MOST_POSES = 3  # a number and no time, so that a busy computer finds the same alignment
_UPRIGHT_DEG = 35.0  # in heads turned by less, deepbet finds the brain as in upright ones
_SAME_DEG, _SAME_MM = 25.0, 30.0  # a pose so close to the alignment at hand leads to the same one


@dataclass(frozen=True)
class Alignment:
    """Where the brain is and how it lies on the template."""

    brain: BrainMask
    to_template: Affine  # 4 x 4, RAS mm of the scan to RAS mm of the template
    method: str  # "affine" or "none"
    match: Match
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Aligner:
    """Finds a scan's brain and brings it to the template, with what was found before taken from the cache.

    Attributes
    ----------
    scan, scan_hash
        The scan and its content hash.
    device
        "cpu" or "cuda", for the brain extraction.
    hits
        Is given the names of the steps that came from the cache.
    """

    scan: Volume
    scan_hash: str
    device: str
    cache: PreprocessingCache
    progress: ProgressCallback
    hits: list[str]
    _corrected: dict[str, Volume] = field(default_factory=dict, repr=False)  # the scan by the brain of its bias field

    def align(self, mask: str | Path | Volume, space: str) -> Alignment:
        """Find the brain and its way to the template.

        Where the first attempt is not good, the template's brain is looked for in every pose, and the brain's mask and
        alignment are found again in the scan turned upright; and so they are where the head lies askew.

        Parameters
        ----------
        mask, space
            See :func:`~mri_interpret.preprocessing.pipeline.preprocess`.

        Raises
        ------
        UserError
            If there is no brain, or no alignment that could be right.
        """
        automatic = isinstance(mask, str) and mask == "auto"
        brain: BrainMask | None = None
        first: Alignment | None = None
        refusal: UserError | None = None
        try:
            with step(self.progress, "Finding the brain"):
                brain = self._mask(mask)
            first = self._aligned(brain, space)
        except (NoBrain, Misaligned) as error:
            if space == "mni" or (brain is None and not automatic):
                raise
            refusal = error
        if first is not None and (space == "mni" or first.method == "none"):
            return first
        if first is not None and first.verdict == "good":
            askew = automatic and _tilt_deg(self.scan, first.to_template) > _UPRIGHT_DEG
            return self._searched(first, None, None) if askew else first
        return self._searched(first, None if automatic else brain, refusal)

    def corrected(self, brain: Volume) -> Volume:
        """The scan without its bias field, which is fitted in the brain.

        The fit is done on axes R, A, S: its blocks begin at one end, and storage must not decide at which.
        """
        import nibabel

        inside_hash = content_hash(brain)
        if inside_hash in self._corrected:  # a registration and its match want the same
            return self._corrected[inside_hash]
        stored_as = nibabel.io_orientation(self.scan.affine)
        back = nibabel.orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), stored_as)
        image = nibabel.apply_orientation(np.asarray(self.scan.array), stored_as)
        key = self.cache.key("bias field, R A S", self.scan_hash, inside_hash)
        stored = self.cache.load(key)
        if stored is not None:
            bias = BiasField(stored["coarse"], stored["factors"], stored["start"])
        else:
            inside = nibabel.apply_orientation(np.asarray(brain.array), stored_as)
            spacing = np.empty(3)
            spacing[stored_as[:, 0].astype(int)] = self.scan.grid.spacing
            bias = fit_bias_field(image, inside, spacing, progress=self.progress)
            self.cache.store(key, coarse=bias.coarse, factors=bias.factors, start=bias.start)
        found = self.scan.with_array(np.ascontiguousarray(nibabel.apply_orientation(bias.corrected(image), back)))
        self._corrected.clear()  # of several masks the last one's is kept: memory
        self._corrected[inside_hash] = found
        return found

    def rigid(self, found: Alignment) -> Affine:
        """A transform that turns and shifts only, from the affine one's turn."""
        key = self.cache.key(
            "rigid", self.scan_hash, content_hash(found.brain.volume), TEMPLATE_NAME, REGISTRATION_SEED
        )
        stored = self.cache.load(key)
        if stored is not None:
            return np.asarray(stored["affine"], dtype=np.float64)
        fixed, fixed_mask = load_template(1)
        left, _, right = np.linalg.svd(found.to_template[:3, :3])
        start, centre = np.eye(4), np.linalg.inv(found.to_template) @ _CENTRE
        start[:3, :3] = left @ right
        start[:3, 3] = _CENTRE[:3] - start[:3, :3] @ centre[:3]
        brain = found.brain.volume
        affine = register_affine(
            self.corrected(brain), brain, fixed, fixed_mask, rigid=True, start=start, seed=REGISTRATION_SEED,
            progress=self.progress,
        )  # fmt: skip
        self.cache.store(key, affine=affine)
        return affine

    def _mask(self, mask: str | Path | Volume) -> BrainMask:
        if isinstance(mask, Volume) or str(mask) not in ("auto", "none"):
            return find_brain_mask(self.scan, mask, self.device)  # reading a given mask is as quick as the cache
        key = self.cache.key("mask", self.scan_hash, str(mask))
        stored = self.cache.load(key)
        if stored is not None and stored["mask"].shape == self.scan.shape:
            self.hits.append("mask")
            return self._named(stored["mask"], str(stored["method"]))
        brain = find_brain_mask(self.scan, mask, self.device)
        self.cache.store(key, mask=brain.volume.array, method=np.array(brain.method))
        return brain

    def _named(self, mask: Array, method: str) -> BrainMask:
        return BrainMask(self.scan.with_array(mask, f"{self.scan.name} brain mask"), method)

    def _aligned(self, brain: BrainMask, space: str) -> Alignment:
        """As the scan lies, or registered from there."""
        if space != "native":
            as_it_lies = measure_match(self.scan, brain.volume, np.eye(4), offset=False)
            matches = (
                as_it_lies.correlation >= ALREADY_REGISTERED_CORRELATION
                and as_it_lies.overlap >= ALREADY_REGISTERED_OVERLAP
            )
            if space == "mni" or matches:
                match = self._measured("as it lies", brain, lambda: np.eye(4))[1]
                return self._judged(brain, np.eye(4), "none", match)
        affine, match = self._measured("affine", brain, lambda: self._registered(brain.volume, None))
        return self._judged(brain, affine, "affine", match)

    def _measured(self, kind: str, brain: BrainMask, find: Callable[[], Affine]) -> tuple[Affine, Match]:
        """A transform and its match, from the cache if they are there."""
        key = self.cache.key(kind, self.scan_hash, content_hash(brain.volume), TEMPLATE_NAME, REGISTRATION_SEED)
        stored = self.cache.load(key)
        if stored is not None:
            if kind == "affine":
                self.hits.append("registration")
            return np.asarray(stored["affine"], dtype=np.float64), Match(*map(float, stored["match"]))
        affine = find()
        match = measure_match(self.corrected(brain.volume), brain.volume, affine)
        self.cache.store(key, affine=affine, match=np.array(astuple(match)))
        return affine, match

    def _registered(self, brain: Volume, start: Affine | None) -> Affine:
        fixed, fixed_mask = load_template(1)
        return register_affine(
            self.corrected(brain), brain, fixed, fixed_mask, start=start, seed=REGISTRATION_SEED, progress=self.progress
        )

    def _judged(self, brain: BrainMask, affine: Affine, method: str, match: Match) -> Alignment:
        verdict, sentence = registration_verdict(self.scan.name or "The scan", affine, match)
        return Alignment(brain, affine, method, match, verdict, sentence)

    def _searched(self, first: Alignment | None, brain: BrainMask | None, refusal: UserError | None) -> Alignment:
        """The best alignment from other poses; ``brain`` is the mask if it was given, else it is found again."""
        key = self.cache.key(
            "pose", self.scan_hash, content_hash(brain.volume) if brain else "", TEMPLATE_NAME, REGISTRATION_SEED
        )
        stored = self.cache.load(key)
        if stored is not None and stored["mask"].shape == self.scan.shape:
            if "registration" not in self.hits:
                self.hits.append("registration")
            again = brain or self._named(stored["mask"], "deepbet")
            return self._judged(again, stored["affine"], "affine", Match(*map(float, stored["match"])))
        best = first
        for pose in self._poses(first, brain):
            try:
                found = self._from_pose(pose, brain)
            except (NoBrain, Misaligned) as error:
                refusal = refusal or error
                continue
            # Where all is good, the brain found in the upright head is the surer one.
            if best is None or found.verdict == "good" or _rank(found) > _rank(best):
                best = found
            if found.verdict == "good":
                break
        if best is None:
            raise refusal or Misaligned(f"{self.scan.name or 'The scan'} could not be brought into template space.")
        self.cache.store(
            key, mask=best.brain.volume.array, affine=best.to_template, match=np.array(astuple(best.match))
        )
        return best

    def _poses(self, first: Alignment | None, brain: BrainMask | None) -> list[Affine]:
        """RAS mm of the scan to about RAS mm of the template, the likeliest first."""
        if first is not None and first.verdict == "good":
            return [first.to_template]
        searched = self.scan if brain is None else _brain_only(self.scan, brain.volume)
        found = likely_poses(searched, _MOST_POSES, self.progress)
        if brain is None or first is None:
            return found
        return [pose for pose in found if not _same(pose, first.to_template)]

    def _from_pose(self, pose: Affine, brain: BrainMask | None) -> Alignment:
        """Mask and alignment of the scan turned upright."""
        if brain is None:
            with step(self.progress, "Finding the brain"):
                head = upright(self.scan, pose)
                inside = find_brain_mask(head, "auto", self.device).volume
                back = resample(inside.with_array(inside.array.astype(np.float32)), self.scan.grid, pose)
                brain = checked_mask(self.scan, back.array > 0.5, "deepbet")
        affine = self._registered(brain.volume, pose)
        return self._judged(brain, affine, "affine", measure_match(self.corrected(brain.volume), brain.volume, affine))


def _rank(alignment: Alignment) -> tuple[bool, float]:
    return alignment.verdict == "good", alignment.match.correlation + alignment.match.overlap


def _brain_only(scan: Volume, brain: Volume) -> Volume:
    lowest = float(scan.array[np.asarray(brain.array) > 0].min())
    return scan.with_array(np.where(np.asarray(brain.array) > 0, scan.array - lowest, 0).astype(np.float32))


def _same(pose: Affine, to_template: Affine) -> bool:
    """Whether a registration from this pose would end where the one at hand did."""
    moved = to_template @ np.linalg.inv(pose)
    shift = float(np.linalg.norm((moved @ _CENTRE - _CENTRE)[:3]))
    return _angle_deg(moved[:3, :3]) < _SAME_DEG and shift < _SAME_MM


def _tilt_deg(scan: Volume, to_template: Affine) -> float:
    """By how much the head is turned against the voxel axes that stand for right, anterior and superior."""
    import nibabel

    axes = np.zeros((3, 3))
    for voxel_axis, (world_axis, sign) in enumerate(nibabel.io_orientation(scan.affine)):
        axes[:, int(world_axis)] = scan.affine[:3, voxel_axis] * sign
    return _angle_deg(to_template[:3, :3] @ axes)


def _angle_deg(matrix: NDArray[np.float64]) -> float:
    """Of the rotation in an affine's matrix."""
    left, _, right = np.linalg.svd(matrix)
    return float(np.degrees(np.arccos(np.clip((np.trace(left @ right) - 1) / 2, -1, 1))))
