"""Scenes that are added to one another may hold results of one name: they are told apart, else they would be mixed."""

from __future__ import annotations

from typing import Any

from ..scene_content.content import unique_name
from . import hierarchy
from .nodes import RUN, nodes_of_run, runs
from .result_nodes import split_by_result


def tell_apart(scene: Any) -> dict[str, str]:
    """Give each result that was added under a name which was there before a name of its own.

    The same scan explained twice, by two models or with other options, has the same name in both scenes.

    Parameters
    ----------
    scene
        vtkMRMLScene, after another scene was added to it.

    Returns
    -------
    dict
        The former name to the name of the result that was added last.
    """
    renamed: dict[str, str] = {}
    for run in runs(scene, unfinished=True):  # what is still being built goes on under its name
        for nodes in split_by_result(nodes_of_run(scene, run))[1:]:
            name = unique_name(run, runs(scene, unfinished=True))
            folder = hierarchy.folder_above(scene, nodes[0])
            for node in nodes:
                node.SetAttribute(RUN, name)
            if folder is not None:
                hierarchy.rename_folder(scene, folder, name)
            renamed[run] = name
    return renamed
