"""What a finished run is to a script: nodes and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from ..explanation.explanation import Explanation
    from ..scene.result_nodes import ResultNodes


class MRIInterpretResult:
    """An explanation in the scene.

    Parameters
    ----------
    nodes
        Its MRML nodes: ``scan``, ``summary``, ``consensus``, ``maps`` (by method), ``atlas``, ``tables``, ...
    explanation
        The numbers, or the folder where they are saved, to be read when they are asked for. None for a result that came
        with a saved scene, of which only the nodes are known.
    """

    def __init__(self, nodes: ResultNodes, explanation: Explanation | Path | None = None) -> None:
        self.nodes = nodes
        self.source = explanation
        self._read: Explanation | None = None
        self._scan_file: str | None = None

    def __repr__(self) -> str:
        return f"MRIInterpretResult({self.run!r})"

    @property
    def complete(self) -> bool:
        """Whether a report can be saved: its page is in the scene, or the numbers are known."""
        from .report_job import page_node

        return self.source is not None or page_node(self.nodes.note.GetScene(), self.run) is not None

    @property
    def page(self) -> str:
        """The report page that is kept in the scene; empty before it is drawn."""
        from .report_job import page_in_scene

        return page_in_scene(self.nodes.note.GetScene(), self.run)

    @property
    def explanation(self) -> Explanation | None:
        """The numbers: prediction, target, maps as arrays, verdicts, warnings, provenance.

        A worker's result has them until its report page is drawn; then its files, hundreds of megabytes, are deleted,
        and this is None: nodes, tables and page stay.
        """
        if isinstance(self.source, Path) and self._read is None:
            from ..explanation.saving import load

            self._read = load(self.source)
        return self._read if isinstance(self.source, Path) else self.source

    @property
    def scan_file(self) -> str:
        """The file or folder that the scan was read from; empty if it is not known, as of a scan of the scene."""
        if self._scan_file is None and self.source is not None:
            from ..explanation.folder_reader import scan_file_of

            source = self.source
            self._scan_file = scan_file_of(source) if isinstance(source, Path) else source.provenance.scan_file
        return self._scan_file or ""

    def let_go(self) -> None:
        """The numbers' files are about to be deleted."""
        self.source = self._read = None

    @property
    def run(self) -> str:
        """The result's name: that of its folder in the data tree."""
        return self.nodes.run

    @property
    def probabilities(self) -> dict[str, float]:
        """By class name; empty for a model that returns a quantity."""
        from ..scene.tables import columns_of_node

        if "probabilities" not in self.nodes.tables:
            return {}
        columns = columns_of_node(self.nodes.tables["probabilities"])
        return dict(zip(columns["class"], columns["probability"], strict=True))

    @property
    def members_sd(self) -> dict[str, float] | None:
        """Standard deviation over the model's networks of each probability, or of the quantity in its unit.

        None for a model of one network: then nothing is known, which is not the same as 0.
        """
        return self.nodes.members_sd

    @property
    def members(self) -> int:
        """How many networks the model is the mean of."""
        return self.nodes.members

    @property
    def predicted(self) -> str:
        """What the model said, as every output has it: a class, the labels that are present, or a quantity."""
        from ..scene.result_nodes import ANSWER

        answer = self.nodes.note.GetAttribute(ANSWER)
        probabilities = self.probabilities
        if answer or not probabilities:
            return str(answer)
        return max(probabilities, key=lambda name: probabilities[name])  # scenes of earlier versions hold no words

    @property
    def value(self) -> float | None:
        """The quantity that the model returned, in its unit; None for a model of classes."""
        from ..scene.tables import columns_of_node
        from ..scene_content.table_content import THIS_SCAN

        if "quantity" not in self.nodes.tables:
            return None
        (names, values) = columns_of_node(self.nodes.tables["quantity"]).values()
        return float(values[names.index(THIS_SCAN)])

    @property
    def regions(self) -> pd.DataFrame:
        """One row per region, map and space; see the README for the columns."""
        return self._table("regions")

    @property
    def agreement(self) -> pd.DataFrame:
        """One row per pair of methods."""
        return self._table("agreement")

    def _table(self, role: str) -> pd.DataFrame:
        from ..scene.tables import table_frame

        if self.explanation is None:
            return table_frame(self.nodes.tables[role])
        frame: pd.DataFrame = self.explanation.region_table if role == "regions" else self.explanation.agreement
        return frame

    def save_report(self, path: str | Path) -> Path:
        """Write everything, with the trust checks, as one self-contained HTML page.

        Raises
        ------
        UserError
            For a result that came with a scene that was saved before its report was drawn: it cannot be drawn from the
            nodes alone.
        """
        from ..atomic import write_text

        page = self.page
        if not page and self.explanation is None:
            raise UserError("This result came with a saved scene without its report: run Explain again to save it.")
        if not page:
            from ..report.page import report_page

            assert self.explanation is not None
            page = report_page(self.explanation)
        write_text(path, page)
        return Path(path)
