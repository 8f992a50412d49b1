"""MRIInterpret for 3D Slicer: why a 3D CNN decided what it decided about a brain MRI, and whether to believe it.

This file only meets Slicer's conventions; the work is done by mri_interpret. Nothing heavy is imported here.
"""

import os

import slicer
from mri_interpret.errors import UserError
from mri_interpret.panel import file_reader
from mri_interpret.panel.file_dialog import MRIInterpretFileDialog
from mri_interpret.panel.logic import MRIInterpretLogic
from mri_interpret.panel.parameters import MRIInterpretParameterNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from vtkmodules.vtkCommonCore import vtkCommand

__all__ = [
    "MRIInterpret",
    "MRIInterpretFileDialog",
    "MRIInterpretFileReader",
    "MRIInterpretLogic",
    "MRIInterpretParameterNode",
    "MRIInterpretTest",
    "MRIInterpretWidget",
]


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
            self.logic.forgetResults()
        if self.panel:
            self.panel.close()
        self.setParameterNode(None)
        self.removeObservers()

    def onReload(self) -> None:
        """Called by the button of the developer mode: the package is reloaded, too."""
        from mri_interpret.panel.reloading import forget_modules

        self.logic.leaveReports()
        self.cleanup()
        forget_modules()
        ScriptedLoadableModuleWidget.onReload(self)

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
        self.logic.tellResultsApart()
        if self.parent.isEntered:
            self.setParameterNode(None)
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Use the scene's parameter node; choose the first scan if none is chosen."""
        self.logic.tellResultsApart()
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            volume = self.logic.firstScan()
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


class MRIInterpretFileReader:
    """Lets *Add data*, and a drop on Slicer's window, open a saved result."""

    def __init__(self, parent) -> None:
        self.parent = parent

    def description(self) -> str:
        return file_reader.DESCRIPTION

    def fileType(self) -> str:
        return file_reader.FILE_TYPE

    def extensions(self) -> list[str]:
        return file_reader.NAME_FILTERS

    def canLoadFileConfidence(self, filePath) -> float:
        return file_reader.confidence(filePath)

    def load(self, properties) -> bool:
        try:
            widget = getattr(slicer.modules, "MRIInterpretWidget", None)  # it knows results whose report can be saved
            logic = widget.logic if widget and widget.logic else MRIInterpretLogic()
            self.parent.loadedNodes = file_reader.load(logic, properties["fileName"])
        except UserError as error:
            self.parent.userMessages().AddMessage(vtkCommand.ErrorEvent, str(error))
            return False
        return True


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
