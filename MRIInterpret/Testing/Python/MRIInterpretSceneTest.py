"""Inside Slicer: shipped files are found, and a saved scene keeps the panel's selections."""

import os
import tempfile
import unittest

import slicer


class MRIInterpretSceneTest(unittest.TestCase):
    """What needs Slicer's own scene and file handling, but no model."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_shippedFilesAreFound(self):
        from mri_interpret.doors.sample import sample_path
        from mri_interpret.planes.colour_scale import read_colour_table
        from mri_interpret.scene.colours import CONSENSUS, SEQUENTIAL, SIGNED

        assert os.path.isfile(sample_path())
        assert len(read_colour_table(SIGNED)) == len(read_colour_table(SEQUENTIAL))
        assert len(read_colour_table(CONSENSUS)) == 4

    def test_selectionsSurviveSavingTheScene(self):
        import MRIInterpret

        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
        parameters = MRIInterpret.MRIInterpretLogic().getParameterNode()
        parameters.inputVolume = volume
        parameters.target = "AD-CN"
        parameters.opacity = 0.25
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrml")
            slicer.mrmlScene.Commit(path)
            slicer.mrmlScene.Clear()
            slicer.mrmlScene.SetURL(path)
            slicer.mrmlScene.Connect()
        parameters = MRIInterpret.MRIInterpretLogic().getParameterNode()
        assert parameters.inputVolume.GetName() == "scan"
        assert parameters.target == "AD-CN"
        assert abs(parameters.opacity - 0.25) < 1e-6


if __name__ == "__main__":
    unittest.main()
