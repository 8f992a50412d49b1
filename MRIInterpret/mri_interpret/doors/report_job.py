"""A result's report page: a worker process draws it; nothing but the page is kept of what the worker wrote."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..worker import messages
from ..worker.process import WorkerProcess, python_executable

if TYPE_CHECKING:
    from ..explanation.explanation import Explanation

_PAGE = "report.html"  # in the job's folder


def start(source: Path | Explanation, *, command: Sequence[str] | None = None) -> WorkerProcess:
    """Start to draw the page of a saved result, or of one in memory. Poll it; then hand it to :func:`finish`.

    Parameters
    ----------
    source
        The folder that the explanation was saved to, or the explanation.
    """

    def prepare(folder: Path) -> Iterator[None]:
        saved = source if isinstance(source, Path) else folder / "saved"
        if not isinstance(source, Path):
            from ..explanation.saving import save_mapped_steps

            yield from save_mapped_steps(source, saved)
        (folder / "source.txt").write_text(str(saved), encoding="utf-8")

    return WorkerProcess(prepare, command or [python_executable(), "-m", "mri_interpret.worker.report_worker"])


def finish(worker: WorkerProcess, done: messages.Done) -> Generator[float, None, str]:
    """The page; the worker's files are deleted."""
    try:
        yield 0.5
        return Path(done.folder).joinpath(_PAGE).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"The report that was drawn cannot be read ({error}): save it again.") from error
    finally:
        worker.clean_up()


def put_into_scene(scene: Any, run: str, page: str) -> bool:
    """Keep a result's page in the scene, and with a saved one; False if the result is not there any more."""
    from ..scene.nodes import NodeMaker
    from ..scene.result_nodes import REPORT, find_result

    nodes = find_result(scene, run)
    if nodes is None:
        return False
    make = NodeMaker(scene, run, nodes.note.GetDescription() or "")
    node = make.create("vtkMRMLTextNode", "Report", REPORT)
    node.SetHideFromEditors(1)  # megabytes of HTML are nothing to look at in a table of texts
    node.SetForceCreateStorageNode(node.CreateStorageNodeAlways)
    node.SetText(page)
    make.adopt(scene.AddNode(node), REPORT)
    return True


def page_in_scene(scene: Any, run: str) -> str:
    """The page that the scene holds; empty if there is none."""
    node = page_node(scene, run)
    return str(node.GetText() or "") if node is not None else ""


def page_node(scene: Any, run: str) -> Any:
    """The text node with a result's page, or None."""
    from ..scene.nodes import ROLE, nodes_of_run
    from ..scene.result_nodes import REPORT

    return next((node for node in nodes_of_run(scene, run) if node.GetAttribute(ROLE) == REPORT), None)
