"""The tutorial as a script for Slicer's Python console: explain a scan, look at the maps, save what was found."""

import tempfile
from pathlib import Path

from MRIInterpret import MRIInterpretLogic

folder = Path(tempfile.mkdtemp(prefix="mri-interpret-tutorial-"))
logic = globals().get("logic") or MRIInterpretLogic()

# 1. A scan: the sample that ships, or any volume of the scene.
scan = globals().get("scan") or logic.loadSample()

# 2. Explain it, here and now. The button uses logic.startExplain, which returns at once.
result = logic.explain(scan, methods=["lrp", "grad_cam_pp"], target="AD-CN", device="cpu", trust="off")
print(result.predicted, result.probabilities, result.members_sd)  # None, unless the model is several networks

# 3. Look: the summary score above its top 5 %, then one method, at its strongest voxel.
logic.showMap(result, "summary", topPercent=5)
logic.showMap(result, "lrp", topPercent=2, opacity=0.6)
logic.jumpToHottest(result, "lrp")

# 4. Four maps side by side, and back.
print(logic.compareMethods(result))
logic.stopComparing()

# 5. Numbers: the regions where relevance is densest, and one of them outlined. Below 0.3 ml no statement holds.
regions = result.regions[(result.regions["volume_mm3"] >= 300) & (result.regions["label"] > 0)]
summary = regions[(regions["method"] == "summary") & (regions["space"] == "native")]
top = summary.nlargest(5, "gain")
print(top[["region", "gain", "share"]])
logic.outlineRegion(result, int(top["label"].iloc[0]))

# 6. Keep it: volumes as a table, the report as one page, everything as a folder that opens again.
logic.exportVolumes(result, folder / "volumes.csv")
result.save_report(folder / "report.html")
result.explanation.save(folder / "result")
again = logic.openResult(folder / "result")
print(logic.results(), "in", folder)
