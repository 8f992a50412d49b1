"""The result that a page shows: its answer, its maps with their verdicts, how a map is shown, its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..doors import result_tables, shown_map
from ..scene import map_display
from ..scene.atlas import all_outlined, outline_all
from ..scene_content.display_range import SHOWN_TOP_PERCENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..doors.result import MRIInterpretResult
    from .session_scene import SessionScene

# What the page's state begins with.
INITIAL: dict[str, Any] = {
    "result_names": [],
    "result_name": "",
    "answer": "",
    "bars": [],
    "warnings": [],
    "changes": [],
    "maps": [],
    "map_key": "summary",
    "has_threshold": False,
    "top_percent": SHOWN_TOP_PERCENT,
    "threshold": "",
    "opacity": 0.75,
    "colours": "",
    "colour_choices": [],
    "show_3d": True,
    "outlines": False,
    "tables": {},
    "cursor": "",
}


class ShownResult:
    """Fills a page's state from the scene, and does what is clicked.

    Parameters
    ----------
    state
        trame's, shared with the page.
    scene
        The visitor's.
    say
        Shows a sentence in the page.
    """

    def __init__(self, state: Any, scene: SessionScene, say: Callable[[str], None]) -> None:
        self.state, self.scene, self._say = state, scene, say
        self.results: dict[str, MRIInterpretResult] = {}
        self._typed = 0.0  # the threshold that was typed; 0 to show the chosen share
        self._magnitudes: Any = None
        self._keys: dict[str, list[Any]] = {}  # of the tables' rows
        state.update(INITIAL)
        crosshair = scene.crosshair
        crosshair.AddObserver(crosshair.CursorPositionModifiedEvent, self._on_cursor)

    @property
    def result(self) -> MRIInterpretResult | None:
        """The one that is shown."""
        return self.results.get(self.state.result_name)

    @property
    def key(self) -> str:
        """The map that is shown."""
        result = self.result
        wanted = str(self.state.map_key)
        return wanted if result is not None and wanted in result.nodes.volumes else "summary"

    def add(self, result: MRIInterpretResult) -> None:
        """Show a new result."""
        self.results[result.run] = result
        self.state.result_names = list(self.results)
        self.choose(result.run)

    def choose(self, name: str) -> None:
        """Show a result of the scene, with the map that was shown."""
        if name not in self.results:
            return
        self.state.result_name = name
        self.state.map_key = self.key
        nodes = self.results[name].nodes
        prediction = result_tables.prediction_text(nodes)
        self.state.answer = prediction.sentence
        self.state.bars = [
            {"text": bar.text, "percent": 100 * bar.share, "note": bar.tooltip} for bar in prediction.bars
        ]
        self.state.warnings = list(prediction.warnings)
        self.state.changes = list(result_tables.volume_sentences(nodes))
        self.state.maps = [
            {"key": entry.key, "title": entry.title, "verdict": entry.verdict, "note": entry.tooltip}
            for entry in result_tables.map_entries(nodes)
        ]
        self.choose_map(self.key)

    def choose_map(self, key: str) -> None:
        """Show another map of the result."""
        result = self.result
        if result is None or key not in result.nodes.volumes:
            return
        nodes = result.nodes
        self.state.map_key, self._typed = key, 0.0  # a threshold of another map would mean another share
        self._magnitudes = shown_map.magnitudes_of(nodes, key)
        self.state.has_threshold = self._magnitudes is not None
        self.state.colour_choices = [
            {"title": title, "value": name} for title, name in map_display.colour_choices(nodes, key)
        ]
        self._fill_tables(nodes, key)
        value = shown_map.threshold_of(self._magnitudes, self._typed, float(self.state.top_percent))
        map_display.show(
            self.scene.scene,
            nodes,
            key,
            value=value,
            opacity=float(self.state.opacity),
            show_3d=bool(self.state.show_3d),
        )
        self.state.colours = map_display.colours_of(nodes, key)
        self._show_threshold()

    def _fill_tables(self, nodes: Any, key: str) -> None:
        tables = {
            "regions": result_tables.region_table(nodes, key),
            "trust": result_tables.trust_table(nodes, key),
            "volumes": result_tables.volume_table(nodes),
            "agreement": result_tables.agreement_table(nodes),
        }
        self._keys = {name: list(table.keys) for name, table in tables.items()}
        self.state.tables = {
            name: {"heads": list(table.heads), "rows": [[_cell(value) for value in row] for row in table.rows]}
            for name, table in tables.items()
        }

    def _show_threshold(self) -> None:
        result = self.result
        if result is not None:
            self.state.threshold = shown_map.threshold_text(result.nodes, self.key)
            self.state.outlines = all_outlined(result.nodes.atlas)

    def on_top(self, percent: float) -> None:
        """A share of the brain's voxels was chosen."""
        if self._magnitudes is not None:
            self._typed = 0.0
            self.state.top_percent = min(max(float(percent), shown_map.LEAST_TOP), shown_map.MOST_TOP)
            self._apply_threshold()

    def on_threshold(self, text: str) -> None:
        """A value was typed; what is no number changes nothing."""
        result = self.result
        if result is None or self._magnitudes is None or text == shown_map.threshold_text(result.nodes, self.key):
            return
        value = shown_map.read_threshold(text)
        if value is None:
            self._say(f"{text} is no number: the threshold stays.")
            self._show_threshold()
            return
        self._typed = value
        self.state.top_percent = shown_map.share_of(self._magnitudes, value)
        self._apply_threshold()

    def _apply_threshold(self) -> None:
        result = self.result
        value = shown_map.threshold_of(self._magnitudes, self._typed, float(self.state.top_percent))
        if result is not None and value is not None:
            map_display.set_threshold(result.nodes, self.key, value)
        self._show_threshold()

    def on_opacity(self, opacity: float) -> None:
        """Of the map over the scan, 0 to 1."""
        self.state.opacity = min(max(float(opacity), 0.0), 1.0)
        if self.result is not None:
            map_display.show_over_slices(self.scene.scene, self.result.nodes, self.key, self.state.opacity)

    def on_colours(self, name: str) -> None:
        """Another colour table was chosen."""
        result = self.result
        offered = [choice["value"] for choice in self.state.colour_choices]
        if result is not None and name in offered:
            self.state.colours = name
            map_display.set_colours(result.nodes, self.key, name)
            self._show_threshold()

    def on_show_3d(self, wanted: bool) -> None:
        """The map is to be rendered in 3D, or not."""
        self.state.show_3d = bool(wanted)
        if self.result is not None:
            map_display.show_in_3d(self.result.nodes, self.key, bool(wanted))

    def on_outlines(self, wanted: bool) -> None:
        """Every region is to be outlined, or none."""
        self.state.outlines = bool(wanted)
        if self.result is not None:
            outline_all(self.result.nodes.atlas, bool(wanted))

    def jump_to_peak(self) -> None:
        """Move the slices to the voxel with the largest magnitude."""
        if self.result is not None:
            map_display.jump_to_hottest(self.scene.scene, self.result.nodes, self.key)

    def on_row(self, table: str, row: int) -> None:
        """A row was clicked: a region's peak, or a structure's centre."""
        keys = self._keys.get(table, [])
        if self.result is None or not 0 <= row < len(keys):
            return
        if table == "regions":
            shown_map.go_to_region(self.scene.scene, self.result.nodes, keys[row])
        elif table == "volumes":
            shown_map.go_to_structure(self.scene.scene, self.result.nodes, int(keys[row]))
        self.state.outlines = all_outlined(self.result.nodes.atlas)

    def _on_cursor(self, crosshair: Any, _event: Any = None) -> None:
        """The mouse moved in a view, or left it."""
        point = [0.0, 0.0, 0.0]
        result, text = self.result, ""
        if result is not None and crosshair.GetCursorPositionRAS(point):
            text = shown_map.cursor_text(result.nodes, self.key, self._magnitudes, point)
        if text != self.state.cursor:
            with self.state:
                self.state.cursor = text


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
