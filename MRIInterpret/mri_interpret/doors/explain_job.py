"""Explaining a scan of a scene: scan node in, result in the scene out, in this process or in a worker process."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..progress import ProgressCallback, silent
from ..worker import messages
from ..worker.explain_request import ExplainRequest, carry_out
from ..worker.process import WorkerProcess
from .result import MRIInterpretResult

if TYPE_CHECKING:
    from ..explanation.explanation import Explanation
    from ..scene.result_nodes import ResultNodes


def explain(
    scene: Any,
    scan_node: Any,
    *,
    mask_node: Any = None,
    input_nodes: Mapping[str, Any] | None = None,
    segmentation_node: Any = None,
    replace: str = "",
    show_3d: bool = True,
    progress: ProgressCallback = silent,
    **options: Any,
) -> MRIInterpretResult:
    """Explain a scan in this process and put the result into the scene; returns when it is done.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    scan_node
        vtkMRMLScalarVolumeNode; it is not modified.
    mask_node
        vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode of the brain, or None.
    input_nodes
        Further inputs of the model: channel to vtkMRMLScalarVolumeNode.
    segmentation_node
        The same of the brain's structures, the user's own segmentation; None to let the network segment the scan.
    replace
        Name of a result to take out of the scene once the new one is there.
    show_3d
        Whether the result is shown in the 3D views, too.
    progress
        Told about each step; may raise Cancelled, which leaves the scene as it was.
    options
        Fields of :class:`ExplainRequest`: model, methods, target, goal, device, mask, space, regions, trust,
        parameters.

    Raises
    ------
    UserError
        With one sentence for whatever the user can mend. The scene is then as it was.
    """
    from ..scene.scan_input import inputs_of, mask_of, scan_of
    from ..scene.segmentation_input import segmentation_of

    scan, brain = scan_of(scan_node), mask_of(mask_node, scan_node)
    own, names = segmentation_of(segmentation_node, scan_node) or (None, {})
    inputs = inputs_of(input_nodes or {}, scan_node)
    request = _request({}, brain is not None, own is not None, names, **options)
    explanation = carry_out(request, scan, brain, progress, inputs, segmentation=own)
    return show(scene, explanation, scan_node, replace, progress, show_3d)


def start(
    scan_node: Any,
    *,
    mask_node: Any = None,
    input_nodes: Mapping[str, Any] | None = None,
    segmentation_node: Any = None,
    command: Sequence[str] | None = None,
    **options: Any,
) -> WorkerProcess:
    """Start the same in a worker process. Poll it; when it is done, hand it to :func:`finish`."""
    from ..scene.scan_input import inputs_of, mask_of, scan_of
    from ..scene.segmentation_input import segmentation_of

    scan, brain = scan_of(scan_node, copy=False), mask_of(mask_node, scan_node)
    own, names = segmentation_of(segmentation_node, scan_node) or (None, {})
    inputs = inputs_of(input_nodes or {}, scan_node, copy=False)

    def prepare(folder: Path) -> Iterator[None]:
        from ..images.array_files import write_array_file_steps

        record = yield from write_array_file_steps(scan, folder, "scan")
        request = _request(record, brain is not None, own is not None, names, **options)
        if brain is not None:
            record = yield from write_array_file_steps(brain, folder, "mask")
            request = replaced(request, mask_volume=record)
        if own is not None:
            record = yield from write_array_file_steps(own, folder, "segmentation")
            request = replaced(request, segmentation_volume=record)
        for number, (channel, volume) in enumerate(inputs.items()):
            record = yield from write_array_file_steps(volume, folder, f"input{number}")
            request = replaced(request, inputs={**request.inputs, channel: record})
        request.write(folder)

    return WorkerProcess(prepare, command)


def finish(
    scene: Any,
    worker: WorkerProcess,
    done: messages.Done,
    scan_node: Any,
    replace: str = "",
    show_3d: bool = True,
) -> Generator[float, None, MRIInterpretResult]:
    """Put a worker's explanation into the scene, in steps; it takes the place of the result that ``replace`` names.

    The worker's files are deleted when the result is no longer used, or when they are let go of before.
    """
    folder = Path(done.folder)
    result: MRIInterpretResult = yield from show_steps(scene, folder, folder, scan_node, replace, show_3d)
    weakref.finalize(result, worker.clean_up)
    return result


def show_steps(
    scene: Any,
    folder: Path,
    saved: Path,
    scan_node: Any = None,
    replace: str = "",
    show_3d: bool = True,
) -> Generator[float, None, MRIInterpretResult]:
    """Put the scene content that a worker wrote into the scene, in steps.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    folder
        Where the content lies, see :mod:`scene_content.content_files`.
    saved
        Folder where the explanation is saved, to be read when it is asked for.
    scan_node
        The scan, if it is in the scene already.
    replace
        Name of the result whose place the new one takes.
    show_3d
        Whether it is shown in the 3D views, too.

    Yields
    ------
    float
        How much is done, 0 to 1. Closing the generator leaves the scene as it was.
    """
    from ..scene.build import arrange_steps, build_steps
    from ..scene.rendering import paused_steps
    from ..scene.result_nodes import remove_result, remove_steps
    from ..scene_content.content_files import read_content

    yield 0.0  # the first time, modules were loaded
    content = read_content(folder)
    yield 0.01
    nodes = yield from build_steps(content, scene, scan_node=scan_node)
    try:
        for _ in arrange_steps(scene, nodes, content, show_3d):
            yield 0.97
        if not replace:
            yield 1.0
    except BaseException:
        remove_result(scene, nodes.run)
        raise
    removal = paused_steps(remove_steps(scene, replace))
    try:
        for _ in removal:
            yield 0.99
    finally:  # once begun, it is not left half done
        for _ in removal:
            pass
    if replace:
        yield 1.0
    return MRIInterpretResult(_renamed(scene, nodes, content.run), saved)


def _renamed(scene: Any, nodes: ResultNodes, wanted: str) -> ResultNodes:
    """The result under the name that it would have, had what it replaced never been there."""
    from ..scene.nodes import runs
    from ..scene.result_nodes import rename_result
    from ..scene_content.content import unique_name

    name = unique_name(wanted, [run for run in runs(scene, unfinished=True) if run != nodes.run])
    if name == nodes.run:
        return nodes
    rename_result(scene, nodes.run, name)
    return replaced(nodes, run=name)


def show(
    scene: Any,
    explanation: Explanation,
    scan_node: Any = None,
    replace: str = "",
    progress: ProgressCallback = silent,
    show_3d: bool = True,
) -> MRIInterpretResult:
    """Add an explanation to the scene; ``replace`` names a result whose place it takes.

    Parameters
    ----------
    scan_node
        The scan, if it is in the scene already; else it is added.
    show_3d
        Whether it is shown in the 3D views, too.
    """
    from ..scene.build import build_scene
    from ..scene.result_nodes import remove_result

    nodes = build_scene(explanation, scene, scan_node=scan_node, show_3d=show_3d, progress=progress)
    if replace:
        from ..scene_content.content import run_name

        remove_result(scene, replace)
        nodes = _renamed(scene, nodes, run_name(explanation))
    return MRIInterpretResult(nodes, explanation)


def find(scene: Any, run: str) -> MRIInterpretResult | None:
    """A result that is in the scene, by its name; it knows its nodes only."""
    from ..scene.result_nodes import find_result

    nodes = find_result(scene, run)
    return MRIInterpretResult(nodes) if nodes is not None else None


def _request(
    scan: dict[str, Any], has_mask: bool, has_segmentation: bool, names: dict[int, str], **options: Any
) -> ExplainRequest:
    chosen = {key: value for key, value in options.items() if value is not None}
    if "methods" in chosen:
        chosen["methods"] = tuple(chosen["methods"])
    if has_mask:
        chosen["mask"] = "given"
    if has_segmentation:
        chosen |= {"segmentation": "given", "segmentation_names": tuple(names.items())}
    try:
        return ExplainRequest(scan=scan, **chosen)
    except TypeError as error:
        raise UserError(f"Explain does not know one of the options {', '.join(sorted(chosen))} ({error}).") from error
