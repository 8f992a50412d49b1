"""Is Slicer's MRML library there, and does it hold a scene?"""

from __future__ import annotations

from ..errors import UserError


def slicer_core_version() -> str:
    """Put a volume node into a scene, and say which library did it.

    Raises
    ------
    UserError
        If slicer-core is missing or broken.
    """
    try:
        import slicer
    except ImportError as error:
        raise UserError("slicer-core, which writes the Slicer scenes, is missing: pip install slicer-core") from error
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "probe")
    if node is None or scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") != 1:
        raise UserError("slicer-core does not hold a volume in a scene: pip install --force-reinstall slicer-core")
    from importlib import metadata

    try:
        return f"slicer-core {metadata.version('slicer-core')}"
    except metadata.PackageNotFoundError:
        return "3D Slicer's own MRML library"
