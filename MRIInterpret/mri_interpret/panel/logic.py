"""All that the panel does, for scripts: MRIInterpretLogic. The work is in mri_interpret.doors."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from .parameters import MRIInterpretParameterNode
from .result_logic import ResultLogic

if TYPE_CHECKING:
    from ..doors.background_job import BackgroundJob
    from ..doors.reports import OnSaved, Reports
    from ..doors.result import MRIInterpretResult

OnProgress = Callable[[Any], None]
OnFinished = Callable[[Any, str], None]


class MRIInterpretLogic(ScriptedLoadableModuleLogic, ResultLogic):  # type: ignore[misc]
    """All that the panel does, for scripts; the work is in mri_interpret.doors."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._job: BackgroundJob | None = None
        self._cohortJob: BackgroundJob | None = None
        self._addModelJob: BackgroundJob | None = None
        self._reports: Reports | None = None
        self._closing = ExitStack()  # views that wait until the scene is closed
        self._results: dict[str, MRIInterpretResult | None] = {}

    def getParameterNode(self) -> MRIInterpretParameterNode:
        return MRIInterpretParameterNode(super().getParameterNode())  # type: ignore[call-arg]

    @property
    def running(self) -> bool:
        """Whether a worker process is at work, or its result is being put into the scene."""
        return self._job is not None and self._job.running

    @property
    def cohortRunning(self) -> bool:
        """The same of a cohort."""
        return self._cohortJob is not None and self._cohortJob.running

    @property
    def cohortBuilding(self) -> bool:
        """Whether a cohort's group results are being put into the scene."""
        return self._cohortJob is not None and self._cohortJob.building

    @property
    def addingModel(self) -> bool:
        """The same of a model that is being added."""
        return self._addModelJob is not None and self._addModelJob.running

    def loadSample(self) -> Any:
        """Load the scan that ships with the module, once; returns its volume node."""
        from ..doors.sample import SAMPLE_NAME, sample_path

        present = slicer.mrmlScene.GetFirstNodeByName(SAMPLE_NAME)
        return present or slicer.util.loadVolume(str(sample_path()), {"name": SAMPLE_NAME})

    def explain(
        self,
        inputVolume: Any,
        model: str | None = None,
        methods: Any = None,
        target: str | None = None,
        device: str | None = None,
        replace: str = "",
        show3D: bool = True,
        **options: Any,
    ) -> MRIInterpretResult:
        """Explain a scan here and now.

        :param inputVolume: scalar volume node; it is not modified.
        :param model: name or path of a model bundle.
        :param methods: names of attribution methods.
        :param target: "predicted", a class name, or a difference such as "AD-CN".
        :param device: "auto", "cpu" or "cuda".
        :param replace: name of a result in the scene whose place the new one takes.
        :param show3D: whether the result is shown in the 3D views, too.
        :param options: maskNode, segmentationNode, regions ("brain", "atlas"), inputNodes (the model's further inputs
            by channel), space ("auto", "native", "mni"),
            mask ("auto", "none"), parameters, progress.
        :return: MRIInterpretResult with nodes and numbers.
        """
        from ..doors import explain_job
        from ..progress import silent

        nodes = {f"{name}_node": options.pop(f"{name}Node", None) for name in ("mask", "segmentation")}
        progress, inputNodes = options.pop("progress", silent), options.pop("inputNodes", None)
        result = explain_job.explain(
            slicer.mrmlScene, inputVolume, **nodes, input_nodes=inputNodes, replace=replace, progress=progress,
            show_3d=show3D, model=model, methods=methods, target=target, device=device, **options,
        )  # fmt: skip
        self._results[result.run] = result
        return result

    def startExplain(
        self,
        inputVolume: Any,
        onProgress: OnProgress,
        onFinished: OnFinished,
        replace: str = "",
        command: Any = None,
        show3D: bool = True,
        **options: Any,
    ) -> None:
        """Explain a scan in a worker process; returns at once. Its report page is drawn behind it, for saveReport.

        :param onProgress: called with messages that have step, fraction, overall and seconds_left; or text.
        :param onFinished: called with the result, or with None and one sentence.
        :param options: as for explain.
        """
        from ..doors import explain_job

        self._checkIdle()
        nodes = {f"{name}_node": options.pop(f"{name}Node", None) for name in ("mask", "segmentation")}
        inputNodes = options.pop("inputNodes", None)
        worker = explain_job.start(inputVolume, **nodes, input_nodes=inputNodes, command=command, **options)

        def finish(done: Any) -> Generator[float, None, Any]:
            result = yield from explain_job.finish(slicer.mrmlScene, worker, done, inputVolume, replace, show3D)
            self._results = {run: kept for run, kept in self._results.items() if run in self.results()}
            self._results[result.run] = result
            self.reports.keep(slicer.mrmlScene, result, worker.clean_up)
            return result

        self._job = self._backgroundJob(worker, finish, onProgress, onFinished)

    def openResult(self, folder: Any, progress: Any = None) -> MRIInterpretResult:
        """Open a saved result here and now, with its scan; the scene is left as it was if that fails.

        :param folder: what Explanation.save or "mri-interpret explain" wrote.
        :param progress: called with each step's name and how much of it is done, 0 to 1.
        :return: MRIInterpretResult with nodes and numbers; its report can be saved.
        """
        from ..doors import open_job
        from ..progress import silent

        result = open_job.open_result(slicer.mrmlScene, folder, progress or silent)
        self._results[result.run] = result
        return result

    def startOpenResult(
        self, folder: Any, onProgress: OnProgress, onFinished: OnFinished, command: Any = None, show3D: bool = True
    ) -> None:
        """Open a saved result; a worker process reads it, and this returns at once.

        :param folder: as for openResult.
        :param onProgress: as for startExplain.
        :param onFinished: as for startExplain.
        """
        from ..doors import open_job

        self._checkIdle()
        worker = open_job.start(folder, command=command)

        def finish(done: Any) -> Generator[float, None, Any]:
            result = yield from open_job.finish(slicer.mrmlScene, worker, done, folder, show3D)
            self._results[result.run] = result
            return result

        self._job = self._backgroundJob(worker, finish, onProgress, onFinished)

    def cancel(self) -> None:
        """End a running worker; the scene is left as it was."""
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def startCohort(
        self,
        participants: str,
        output: str,
        onProgress: OnProgress,
        onFinished: OnFinished,
        command: Any = None,
        show3D: bool = True,
        **options: Any,
    ) -> None:
        """Explain many scans in worker processes and compare groups; returns at once.

        :param participants: table (CSV, TSV) or BIDS folder; empty to load the group results that output holds.
        :param output: folder; participants that are complete in it are kept.
        :param onProgress: as for startExplain.
        :param onFinished: called with the nodes of the group results, or with None and one sentence.
        :param options: model, methods, target, device, mask, space, workers, ...
        """
        from ..doors import cohort_job

        self._checkIdle()
        worker = cohort_job.start(participants, output, command=command, **options)

        def finish(done: Any) -> Generator[float, None, Any]:
            return cohort_job.finish(slicer.mrmlScene, worker, done, show3D)

        self._cohortJob = self._backgroundJob(worker, finish, onProgress, onFinished)

    def cancelCohort(self) -> None:
        """End a running cohort; participants that are complete stay in its folder."""
        if self._cohortJob is not None:
            self._cohortJob.cancel()
            self._cohortJob = None

    def startAddModel(self, request: Any, onProgress: OnProgress, onFinished: OnFinished, command: Any = None) -> None:
        """Add a model in a worker process; returns at once. In the console, mri_interpret.add_model does it here.

        :param request: AddModelRequest, as the form Add model... makes it.
        :param onProgress: as for startExplain.
        :param onFinished: called with the model that was added (name, path, notes), or with None and one sentence.
        """
        from ..doors import add_model_job

        self._checkIdle()
        worker = add_model_job.start(request, command=command)

        def finish(done: Any) -> Generator[float, None, Any]:
            return add_model_job.finish(worker, done)

        self._addModelJob = self._backgroundJob(worker, finish, onProgress, onFinished)

    def cancelAddModel(self) -> None:
        """End the worker that adds a model; nothing is left of it."""
        if self._addModelJob is not None:
            self._addModelJob.cancel()
            self._addModelJob = None

    def modelCard(self, model: str = "") -> Any:
        """The model card's file, or None if the model has none.

        :param model: its name; the model that ships if left out.
        """
        from ..doors.models import ModelList

        return ModelList().chosen(model).card

    def _backgroundJob(self, worker: Any, finish: Any, onProgress: OnProgress, onFinished: OnFinished) -> BackgroundJob:
        from ..doors.background_job import BackgroundJob
        from .job_timer import JobTimer

        return BackgroundJob(worker, finish, onProgress, onFinished, JobTimer())

    def _checkIdle(self) -> None:
        if self.running or self.cohortRunning or self.addingModel:
            raise RuntimeError("a job is running")

    @property
    def reports(self) -> Reports:
        """The report pages of results: drawn in worker processes, kept in the scene."""
        from ..doors.reports import Reports
        from .job_timer import JobTimer

        self._reports = self._reports or Reports(JobTimer)
        return self._reports

    def saveReport(self, result: MRIInterpretResult, path: Any, onSaved: OnSaved) -> None:
        """Save a result's report as one HTML page; a worker process draws it if it is not drawn yet.

        :param result: MRIInterpretResult.
        :param path: the file.
        :param onSaved: called with the path and "", or with None and one sentence.
        """
        self.reports.save(result, path, onSaved)

    def startExportDicom(
        self,
        result: MRIInterpretResult,
        folder: Any,
        onProgress: OnProgress,
        onFinished: OnFinished,
        series: Any = None,
        command: Any = None,
    ) -> None:
        """Write a result as DICOM objects of its scan's study in a worker process; returns at once.

        :param folder: is made if it is missing.
        :param onProgress: as for startExplain.
        :param onFinished: called with the files by name and "", or with None and one sentence.
        :param series: folder of the scan's DICOM series; found by the scan's node if left out.
        """
        from ..doors import dicom_job

        self._checkIdle()
        worker = dicom_job.start(result, folder, series, command=command)

        def finish(done: Any) -> Generator[float, None, Any]:
            return dicom_job.finish(worker, done)

        self._job = self._backgroundJob(worker, finish, onProgress, onFinished)

    def firstScan(self) -> Any:
        """The first volume of the scene that may be a scan, or None: no map of a result, no label map."""
        from ..scene.scan_input import first_scan

        return first_scan(slicer.mrmlScene)

    def tellResultsApart(self) -> None:
        """Scenes that were added to one another may hold results of one name: the later ones get another name."""
        from ..scene.imported import tell_apart

        renamed = tell_apart(slicer.mrmlScene)
        if renamed:
            parameters = self.getParameterNode()
            parameters.resultRun = renamed.get(parameters.resultRun, parameters.resultRun)

    def results(self) -> list[str]:
        """Names of the results in the scene, oldest first."""
        from ..scene.result_nodes import result_names

        return result_names(slicer.mrmlScene)

    def result(self, run: str) -> MRIInterpretResult | None:
        """The result of that name, or None; one that came with a saved scene has nodes only."""
        from ..doors.explain_job import find

        known, found = self._results.get(run), find(slicer.mrmlScene, run)
        if known is None or found is None:
            self._results[run] = found
        else:
            known.nodes = found.nodes  # the user may have deleted some
        return self._results[run]

    def releaseResults(self) -> None:
        """The scene is about to be closed: make that fast, and leave no layout that compares nothing."""
        from ..scene import light_box
        from ..scene.nodes import release_all
        from ..scene.rendering import paused

        self._closing.enter_context(paused())  # else each node that goes may draw a frame
        light_box.close_layout(slicer.mrmlScene)  # now: at the end of closing, Slicer brings the last layout back
        release_all(slicer.mrmlScene)

    def leaveReports(self) -> None:
        """The module is about to be reloaded: reports that are being drawn come into the scene all the same."""
        if self._reports:
            self._reports.leave()

    def forgetResults(self) -> None:
        """The scene was closed, or the module is reloaded: nothing is drawn on, and no file is kept."""
        self._closing.close()
        if self._reports:
            self._reports.cancel_all()
        self._results.clear()
