"""The part of the logic that is about a result that is there: how it is shown, and what of it is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer

if TYPE_CHECKING:
    from ..doors.result import MRIInterpretResult


class ResultLogic:
    """What the section "Result" of the panel does, for scripts. MRIInterpretLogic has it."""

    def showMap(
        self,
        result: MRIInterpretResult,
        key: str = "summary",
        threshold: float | None = None,
        opacity: float = 0.75,
        show3D: bool = True,
        topPercent: float | None = None,
    ) -> float:
        """Show a map over the scan, in every slice view and in 3D.

        :param key: "summary", a method, "consensus" or "spread".
        :param threshold: the least magnitude that is shown, in the map's units; as it is if left out.
        :param opacity: of the map over the scan, 0 to 1.
        :param topPercent: instead of the threshold, the share of the brain's voxels that is shown, 0 to 100.
        :return: the threshold that is in force; 0 for the consensus, which has none.
        """
        from ..scene import map_display

        shaded = map_display.has_threshold(result.nodes, key)
        if topPercent is not None and shaded:
            node = map_display.node_of(result.nodes, key)
            threshold = map_display.Magnitudes(node).value_of_top(topPercent)
        map_display.show(slicer.mrmlScene, result.nodes, key, value=threshold, opacity=opacity, show_3d=show3D)
        return map_display.shown_from(result.nodes, key) if shaded else 0.0

    def jumpToHottest(self, result: MRIInterpretResult, key: str = "summary") -> None:
        """Move the slices through the voxel with the largest magnitude of a map."""
        from ..scene import map_display

        map_display.jump_to_hottest(slicer.mrmlScene, result.nodes, key)

    def outlineRegion(self, result: MRIInterpretResult, label: int | None) -> None:
        """Outline one region by its label, and move the slices to its centre; None outlines none."""
        from ..doors import shown_map
        from ..scene.atlas import highlight

        if label is None:
            highlight(result.nodes.atlas, None)
        else:
            shown_map.go_to_structure(slicer.mrmlScene, result.nodes, label)

    def compareMethods(self, result: MRIInterpretResult, key: str = "summary", opacity: float = 0.75) -> list[str]:
        """Show four maps side by side, in linked slice views.

        :param key: a map; it and its neighbours in the list (summary, methods, consensus, spread) are shown.
        :param opacity: of the maps over the scan, 0 to 1.
        :return: the maps that are shown.
        """
        from ..scene import light_box

        keys = light_box.page_of(list(result.nodes.volumes), key)
        light_box.open_layout(slicer.mrmlScene)
        light_box.show(slicer.mrmlScene, result.nodes, keys, opacity)
        light_box.fit(slicer.mrmlScene, result.nodes)
        return keys

    def stopComparing(self) -> None:
        """The layout that was there before comes back."""
        from ..scene import light_box

        light_box.close_layout(slicer.mrmlScene)

    def exportVolumes(self, result: MRIInterpretResult, path: Any) -> None:
        """Save the table of this brain's volumes as CSV.

        :param path: the file.
        """
        from ..atomic import write_text
        from ..doors.result_tables import volumes_csv

        write_text(path, volumes_csv(result.nodes))
