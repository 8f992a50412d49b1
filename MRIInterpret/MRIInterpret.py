"""MRIInterpret for 3D Slicer: why a 3D CNN decided what it decided about a brain MRI, and whether to believe it.

This file only meets Slicer's conventions; the work is done by mri_interpret. Nothing heavy is imported here.
"""

import os
from typing import Annotated

import slicer
from mri_interpret.explanation.options import DEFAULTS
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from vtkmodules.vtkCommonCore import vtkCommand


class MRIInterpret(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MRIInterpret")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Neuroimaging")]
        self.parent.dependencies = []
        self.parent.contributors = ["MRIInterpret developers"]
        self.parent.helpText = _(
            "Shows which parts of a T1-weighted brain MRI made a 3D convolutional network call it cognitively normal, "
            "mild cognitive impairment or Alzheimer's disease, by several attribution methods, with the evidence for "
            "believing them. Research use only, not for diagnosis. Nothing leaves this computer. "
            "The tutorial is on the extension's page, which the Extensions Manager opens."
        )
        self.parent.acknowledgementText = _(
            "The sample scan is the Colin 27 Average Brain, Stereotaxic Registration Model, copyright (C) 1993-2009 "
            "Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University. "
            "This work grows from a capstone project at Columbia University on interpreting 3D CNNs of brain MRI, by "
            "Kennedy, Shi and Cha."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Add the scan that ships with the module to the Sample Data module."""
    import SampleData
    from mri_interpret.doors.sample import SAMPLE_NAME, sample_path, sample_sha256

    icons = os.path.join(os.path.dirname(__file__), "Resources", "Icons")
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="MRIInterpret",
        sampleName=SAMPLE_NAME,
        thumbnailFileName=os.path.join(icons, "Colin27.png"),
        uris=sample_path().as_uri(),
        fileNames="Colin27_T1.nii.gz",
        checksums=f"SHA256:{sample_sha256()}",
        nodeNames=SAMPLE_NAME,
    )


@parameterNodeWrapper
class MRIInterpretParameterNode:
    """What the user chose; saved with the scene.

    inputVolume - The scan to explain.
    scanKind - "auto", "head", "brain" or "mni".
    model - Name or path of the model; empty for the default one.
    target - "predicted", a class name, or a difference such as "AD-CN".
    methods - Names of the attribution methods, separated by commas; empty for the seed panel.
    composite - LRP composite; empty for the default one.
    layer - Layer that Grad-CAM methods look at; empty for automatic.
    device - "auto", "cpu" or "cuda".
    trust - Trust checks: "off", "fast" or "full".
    regions - What regions are: "brain" (this brain's structures) or "atlas".
    replaceResult - Whether a new result takes the place of the one shown.
    resultRun - Name of the result that is shown.
    shownMap - The method whose map is shown, or "summary".
    opacity - Of the map over the scan.
    topPercent - Share of the brain's voxels that is shown.
    show3D - Whether the map is rendered in 3D.
    cohortTable - The participants table, or a BIDS folder.
    cohortOutput - Folder of the cohort's results.

    The brain mask and the user's own segmentation, each a segmentation or a label volume, are the node references
    "maskNode" and "segmentationNode" of the same MRML node.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    scanKind: str = "auto"
    model: str = ""
    target: str = DEFAULTS.target
    methods: str = ""
    composite: str = ""
    layer: str = ""
    device: str = DEFAULTS.device
    trust: str = DEFAULTS.trust
    regions: str = DEFAULTS.regions
    replaceResult: bool = False
    resultRun: str = ""
    shownMap: str = "summary"
    opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.75
    topPercent: Annotated[float, WithinRange(0.1, 100.0)] = 10.0
    show3D: bool = True
    cohortTable: str = ""
    cohortOutput: str = ""


class MRIInterpretWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: its sections live in mri_interpret.panel."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self) -> None:
        """Called once, when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        from mri_interpret.panel.panel import Panel

        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MRIInterpret.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MRIInterpretLogic()
        self.panel = Panel(self.ui, self.logic, self.resourcePath("requirements.txt"))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called before the module is reloaded or Slicer ends: nothing may be left running."""
        if self.logic:
            self.logic.cancel()
            self.logic.cancelCohort()
            self.logic.cancelAddModel()
        if self.panel:
            self.panel.close()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user opens another module. A run goes on in the background."""
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller, _event) -> None:
        """A result of a scene that is gone has no place: the run ends with it. A cohort's results are files."""
        self.logic.cancel()
        if self.logic.cohortBuilding:
            self.logic.cancelCohort()
        self.setParameterNode(None)
        self.logic.releaseResults()

    def onSceneEndClose(self, _caller, _event) -> None:
        """Start afresh, if the panel is on the screen."""
        self.logic.forgetResults()
        self.panel.forget()
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, _caller, _event) -> None:
        """A scene was opened: its results and its selections are shown."""
        if self.parent.isEntered:
            self.setParameterNode(None)
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Use the scene's parameter node; choose the first volume if none is chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if volume:
                self._parameterNode.inputVolume = volume

    def setParameterNode(self, parameterNode) -> None:
        """Connect the panel with a parameter node, or with none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(self._parameterNode, vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameterNode = parameterNode
        self.panel.set_parameters(parameterNode)
        if parameterNode:
            self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtkCommand.ModifiedEvent, self.onParametersModified)

    def onParametersModified(self, _caller=None, _event=None) -> None:
        """Show what was chosen, and what can be pressed."""
        self.panel.update()


class MRIInterpretLogic(ScriptedLoadableModuleLogic):
    """All that the panel does, for scripts; the work is in mri_interpret.doors."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._job = None
        self._cohortJob = None
        self._addModelJob = None
        self._results = {}

    def getParameterNode(self) -> MRIInterpretParameterNode:
        return MRIInterpretParameterNode(super().getParameterNode())

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

    def loadSample(self):
        """Load the scan that ships with the module, once; returns its volume node."""
        from mri_interpret.doors.sample import SAMPLE_NAME, sample_path

        present = slicer.mrmlScene.GetFirstNodeByName(SAMPLE_NAME)
        return present or slicer.util.loadVolume(str(sample_path()), {"name": SAMPLE_NAME})

    def explain(self, inputVolume, model=None, methods=None, target=None, device=None, replace="", **options):
        """Explain a scan here and now.

        :param inputVolume: scalar volume node; it is not modified.
        :param model: name or path of a model bundle.
        :param methods: names of attribution methods.
        :param target: "predicted", a class name, or a difference such as "AD-CN".
        :param device: "auto", "cpu" or "cuda".
        :param replace: name of a result in the scene whose place the new one takes.
        :param options: maskNode, segmentationNode, regions ("brain", "atlas"), inputNodes (the model's further inputs
            by channel), space ("auto", "native", "mni"),
            mask ("auto", "none"), parameters, progress.
        :return: MRIInterpretResult with nodes and numbers.
        """
        from mri_interpret.doors import explain_job
        from mri_interpret.progress import silent

        nodes = {f"{name}_node": options.pop(f"{name}Node", None) for name in ("mask", "segmentation")}
        progress, inputNodes = options.pop("progress", silent), options.pop("inputNodes", None)
        result = explain_job.explain(
            slicer.mrmlScene, inputVolume, **nodes, input_nodes=inputNodes, replace=replace, progress=progress,
            model=model, methods=methods, target=target, device=device, **options,
        )  # fmt: skip
        self._results[result.run] = result
        return result

    def startExplain(self, inputVolume, onProgress, onFinished, replace="", command=None, **options):
        """Explain a scan in a worker process; returns at once.

        :param onProgress: called with messages that have step, fraction, overall and seconds_left; or text.
        :param onFinished: called with the result, or with None and one sentence.
        :param options: as for explain.
        """
        from mri_interpret.doors import explain_job

        self._checkIdle()
        nodes = {f"{name}_node": options.pop(f"{name}Node", None) for name in ("mask", "segmentation")}
        inputNodes = options.pop("inputNodes", None)
        worker = explain_job.start(inputVolume, **nodes, input_nodes=inputNodes, command=command, **options)

        def finish(done):
            result = yield from explain_job.finish(slicer.mrmlScene, worker, done, inputVolume, replace)
            self._results[result.run] = result
            return result

        self._job = self._backgroundJob(worker, finish, onProgress, onFinished)

    def openResult(self, folder, progress=None):
        """Open a saved result here and now, with its scan; the scene is left as it was if that fails.

        :param folder: what Explanation.save or "mri-interpret explain" wrote.
        :param progress: called with each step's name and how much of it is done, 0 to 1.
        :return: MRIInterpretResult with nodes and numbers; its report can be saved.
        """
        from mri_interpret.doors import open_job
        from mri_interpret.progress import silent

        result = open_job.open_result(slicer.mrmlScene, folder, progress or silent)
        self._results[result.run] = result
        return result

    def startOpenResult(self, folder, onProgress, onFinished, command=None):
        """Open a saved result; a worker process reads it, and this returns at once.

        :param folder: as for openResult.
        :param onProgress: as for startExplain.
        :param onFinished: as for startExplain.
        """
        from mri_interpret.doors import open_job

        self._checkIdle()
        worker = open_job.start(folder, command=command)

        def finish(done):
            result = yield from open_job.finish(slicer.mrmlScene, worker, done, folder)
            self._results[result.run] = result
            return result

        self._job = self._backgroundJob(worker, finish, onProgress, onFinished)

    def cancel(self) -> None:
        """End a running worker; the scene is left as it was."""
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def startCohort(self, participants, output, onProgress, onFinished, command=None, **options):
        """Explain many scans in worker processes and compare groups; returns at once.

        :param participants: table (CSV, TSV) or BIDS folder; empty to load the group results that output holds.
        :param output: folder; participants that are complete in it are kept.
        :param onProgress: as for startExplain.
        :param onFinished: called with the nodes of the group results, or with None and one sentence.
        :param options: model, methods, target, device, mask, space, workers, ...
        """
        from mri_interpret.doors import cohort_job

        self._checkIdle()
        worker = cohort_job.start(participants, output, command=command, **options)

        def finish(done):
            return cohort_job.finish(slicer.mrmlScene, worker, done)

        self._cohortJob = self._backgroundJob(worker, finish, onProgress, onFinished)

    def cancelCohort(self) -> None:
        """End a running cohort; participants that are complete stay in its folder."""
        if self._cohortJob is not None:
            self._cohortJob.cancel()
            self._cohortJob = None

    def startAddModel(self, request, onProgress, onFinished, command=None):
        """Add a model in a worker process; returns at once. In the console, mri_interpret.add_model does it here.

        :param request: AddModelRequest, as the form Add model... makes it.
        :param onProgress: as for startExplain.
        :param onFinished: called with the model that was added (name, path, notes), or with None and one sentence.
        """
        from mri_interpret.doors import add_model_job

        self._checkIdle()
        worker = add_model_job.start(request, command=command)

        def finish(done):
            return add_model_job.finish(worker, done)

        self._addModelJob = self._backgroundJob(worker, finish, onProgress, onFinished)

    def cancelAddModel(self) -> None:
        """End the worker that adds a model; nothing is left of it."""
        if self._addModelJob is not None:
            self._addModelJob.cancel()
            self._addModelJob = None

    def _backgroundJob(self, worker, finish, onProgress, onFinished):
        from mri_interpret.doors.background_job import BackgroundJob
        from mri_interpret.panel.job_timer import JobTimer

        return BackgroundJob(worker, finish, onProgress, onFinished, JobTimer())

    def _checkIdle(self) -> None:
        if self.running or self.cohortRunning or self.addingModel:
            raise RuntimeError("a job is running")

    def results(self):
        """Names of the results in the scene, oldest first."""
        from mri_interpret.scene.result_nodes import result_names

        return result_names(slicer.mrmlScene)

    def result(self, run):
        """The result of that name, or None; one that came with a saved scene has nodes only."""
        from mri_interpret.doors.explain_job import find

        if run not in self._results or not find(slicer.mrmlScene, run):
            self._results[run] = find(slicer.mrmlScene, run)
        return self._results[run]

    def releaseResults(self) -> None:
        """The scene is about to be closed: make that fast."""
        from mri_interpret.scene.nodes import release_all

        release_all(slicer.mrmlScene)

    def forgetResults(self) -> None:
        """The scene was closed."""
        self._results.clear()


class MRIInterpretTest(ScriptedLoadableModuleTest):
    """Self-test: sample through logic, worker and panel."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        from mri_interpret.panel import selftest

        for check in selftest.CHECKS:
            self.setUp()
            self.delayDisplay(check.__doc__)
            check(MRIInterpretLogic())
        self.delayDisplay("All checks passed")
