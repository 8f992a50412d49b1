"""The module's work without its panel: scan node in, result out, in this process or in a worker process."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

from ..errors import UserError
from ..progress import ProgressCallback, silent
from ..worker import messages
from ..worker.job import Job, run_job
from ..worker.process import WorkerProcess
from .result import MRIInterpretResult
from .runner import Runner

__all__ = ["Runner", "explain", "find", "finish", "mask_of", "scan_of", "show", "silent", "start"]

if TYPE_CHECKING:
    from ..images.volume import Volume


def explain(
    scene: Any,
    volume: Any,
    *,
    mask_node: Any = None,
    replace: str = "",
    progress: ProgressCallback = silent,
    **wishes: Any,
) -> MRIInterpretResult:
    """Explain a scan in this process and put the result into the scene; returns when it is done.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    volume
        vtkMRMLScalarVolumeNode; it is not modified.
    mask_node
        vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode of the brain, or None.
    replace
        Name of a result to take out of the scene once the new one is there.
    progress
        Told about each step; may raise Cancelled, which leaves the scene as it was.
    wishes
        Fields of :class:`Job`: model, methods, target, device, mask, space, parameters.

    Raises
    ------
    UserError
        With one sentence for whatever the user can mend. The scene is then as it was.
    """
    scan, brain = scan_of(volume), mask_of(mask_node, volume)
    job = _job({}, brain is not None, **wishes)
    explanation = run_job(job, scan, brain, progress, logging.info)
    return show(scene, explanation, volume, replace, progress)


def start(volume: Any, *, mask_node: Any = None, command: Sequence[str] | None = None, **wishes: Any) -> WorkerProcess:
    """Start the same in a worker process. Poll it; when it is done, hand it to :func:`finish`."""
    scan, brain = scan_of(volume, copy=False), mask_of(mask_node, volume)

    def prepare(folder: Path) -> Iterator[None]:
        from ..images.array_files import write_steps

        record = yield from write_steps(scan, folder, "scan")
        job = _job(record, brain is not None, **wishes)
        if brain is not None:
            record = yield from write_steps(brain, folder, "mask")
            job = Job(**{**job.__dict__, "mask_volume": record})
        job.write(folder)

    return WorkerProcess(prepare, command)


def finish(
    scene: Any, worker: WorkerProcess, done: messages.Done, volume: Any, replace: str = ""
) -> Generator[float, None, MRIInterpretResult]:
    """Put a worker's result into the scene, in steps; it takes the place of the result that ``replace`` names.

    The worker's files are deleted when the result is no longer used.
    """
    from functools import partial

    from ..scene.build import arrange, build_steps
    from ..scene.found import remove_steps
    from ..scene_content.content_files import read_content
    from ..worker.exchange import read_explanation

    folder = Path(done.folder)
    content = read_content(folder)
    yield 0.01
    nodes = yield from build_steps(content, scene, scan_node=volume)
    arrange(scene, nodes, content)
    removal = remove_steps(scene, replace)
    try:
        for _ in removal:
            yield 0.99
    finally:  # once begun, it is not left half done
        for _ in removal:
            pass
    result = MRIInterpretResult(nodes, partial(read_explanation, folder), worker)
    weakref.finalize(result, worker.clean_up)
    return result


def show(
    scene: Any, explanation: Any, volume: Any, replace: str = "", progress: ProgressCallback = silent
) -> MRIInterpretResult:
    """Add an explanation to the scene beside its scan; ``replace`` names a result that it takes the place of."""
    from ..scene.build import build_scene
    from ..scene.found import remove_result

    nodes = build_scene(explanation, scene, scan_node=volume, progress=progress)
    if replace:
        remove_result(scene, replace)
    return MRIInterpretResult(nodes, explanation)


def find(scene: Any, run: str) -> MRIInterpretResult | None:
    """A result that is in the scene, by its name."""
    from ..scene.found import find_result

    nodes = find_result(scene, run)
    return MRIInterpretResult(nodes) if nodes is not None else None


def _job(scan: dict[str, Any], has_mask: bool, **wishes: Any) -> Job:
    chosen = {key: value for key, value in wishes.items() if value is not None}
    if "methods" in chosen:
        chosen["methods"] = tuple(chosen["methods"])
    if has_mask:
        chosen["mask"] = "given"
    return Job(scan=scan, **chosen)


def scan_of(node: Any, copy: bool = True) -> Volume:
    """The voxels and geometry of a scan's node, in its own coordinates: results go under the same parent transform.

    Without ``copy`` the voxels are the node's own; they stay valid if it goes away, but follow its changes.

    Raises
    ------
    UserError
        If it holds no image, or lies under a transform that is not linear.
    """
    from ..scene.geometry import volume_of

    if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
        raise UserError("No scan is chosen: choose a volume.")
    parent = node.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise UserError(
            f"The volume {node.GetName()} is under the non-linear transform {parent.GetName()}: "
            "harden the transform, or take the volume out of it."
        )
    try:
        return volume_of(node, copy)
    except ValueError as error:
        raise UserError(f"The volume {node.GetName()} cannot be explained: {error}.") from error


def mask_of(node: Any, scan_node: Any) -> Volume | None:
    """The brain mask on the scan's grid, from a label volume or from all segments of a segmentation.

    Raises
    ------
    UserError
        If the label volume has another grid than the scan, or the mask is empty.
    """
    if node is None:
        return None
    import numpy as np

    from ..scene.geometry import volume_of

    if node.GetTransformNodeID() != scan_node.GetTransformNodeID():
        raise UserError(
            f"The mask {node.GetName()} and the volume {scan_node.GetName()} are not under the same transform: "
            "put both under the same one."
        )
    scan = volume_of(scan_node, copy=False)
    if node.IsA("vtkMRMLSegmentationNode"):
        array = _segments_on_grid(node, scan)
    else:
        labels = volume_of(node, copy=False)
        if not labels.grid.same_as(scan.grid, 1e-3):
            raise UserError(
                f"The mask {node.GetName()} does not lie on the voxel grid of {scan_node.GetName()}: "
                "resample it, or choose a segmentation."
            )
        array = labels.array > 0
    if not array.any():
        raise UserError(f"The mask {node.GetName()} is empty: draw the brain, or choose no mask.")
    return scan.with_array(np.asarray(array, np.uint8), node.GetName())


def _segments_on_grid(segmentation: Any, scan: Volume) -> Any:
    """Voxels of the scan that are in any segment; bool, shape (I, J, K)."""
    import numpy as np

    from ..scene.geometry import oriented_image
    from ..scene_content.vtk_images import voxels

    merged = slicer.vtkOrientedImageData()
    reference = oriented_image(scan.with_array(np.zeros(scan.shape, np.uint8)))
    whole = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    if not segmentation.GenerateMergedLabelmapForAllSegments(merged, whole, reference):
        raise UserError(
            f"The segmentation {segmentation.GetName()} has no segments: draw the brain, or choose no mask."
        )
    return voxels(merged) > 0
