"""Label tables of every tool give the names and colours that their makers meant, or name the line that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.label_tables import LabelEntry, read_label_table

LEFT, RIGHT = LabelEntry("Left-Hippocampus", (220 / 255, 216 / 255, 20 / 255)), LabelEntry("Right-Hippocampus", None)
BLUE = LabelEntry("Right Hippocampus", (0.0, 0.0, 1.0))

TABLES: dict[str, tuple[str, str, dict[int, LabelEntry]]] = {
    "CSV": (
        "t.csv",
        "index,name,r,g,b\n17,Left-Hippocampus,220,216,20\n53,Right-Hippocampus,,,\n",
        {17: LEFT, 53: RIGHT},
    ),
    "CSV with other names": (
        "t.csv",
        "Label;Structure;Red;Green;Blue\n17;Left-Hippocampus;220;216;20\n",
        {17: LEFT},
    ),
    "CSV with a comma in a name": (
        "t.csv",
        'index,label\n17,"Hippocampus, left"\n',
        {17: LabelEntry("Hippocampus, left")},
    ),
    "byte order mark and Windows line ends": (
        "t.csv",
        "\ufeffindex,name\r\n17,Left-Hippocampus\r\n\r\n",
        {17: LabelEntry("Left-Hippocampus")},
    ),
    "Slicer CSV": (
        "t.csv",
        "LabelValue,Name,Color_R,Color_G,Color_B,Color_A,Category_CodingScheme\n17,Left-Hippocampus,220,216,20,255,SCT\n",
        {17: LEFT},
    ),
    "BIDS dseg.tsv": (
        "atlas_dseg.tsv",
        "index\tname\tabbreviation\tcolor\tmapping\n17\tLeft-Hippocampus\tLH\t#dcD814\t17\n53\tRight-Hippocampus\tRH\tn/a\t53\n",
        {17: LEFT, 53: RIGHT},
    ),
    "FreeSurfer": (
        "FreeSurferColorLUT.txt",
        "#$Id$\n#No. Label Name:      R   G   B   A\n\n0   Unknown   0 0 0 0\n17  Left-Hippocampus   220 216 20  0\n",
        {0: LabelEntry("Unknown", (0.0, 0.0, 0.0)), 17: LEFT},
    ),
    "lookup table without alpha": ("lut.txt", "17 Left-Hippocampus 220 216 20\n", {17: LEFT}),
    "lookup table with spaces in a name": ("lut.txt", "53 Right Hippocampus 0 0 255 0\n", {53: BLUE}),
    "Slicer .ctbl": (
        "t.ctbl",
        "# Color table file t.ctbl\n# 2 values\n0 Background 0 0 0 0\n53 Right_Hippocampus 0 0 255 255\n",
        {0: LabelEntry("Background", (0.0, 0.0, 0.0)), 53: BLUE},
    ),
    "Slicer .txt": ("t.txt", "# Color table file t.txt\n# 1 values\n53 Right_Hippocampus 0 0 255 255\n", {53: BLUE}),
    "ITK-SNAP": (
        "labels.label",
        "################\n# ITK-SnAP Label Description File\n# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL\n"
        '    0     0    0    0        0  0  0    "Clear Label"\n'
        '   53     0    0  255        1  1  1    "Right Hippocampus"\n',
        {0: LabelEntry("Clear Label", (0.0, 0.0, 0.0)), 53: BLUE},
    ),
    "FSL probabilistic": (
        "HarvardOxford.xml",
        '<?xml version="1.0" encoding="UTF-8"?>\n<atlas version="1.0"><header><name>x</name><type>Probabilistic</type>'
        '</header>\n<data>\n<label index="0" x="48" y="94" z="35">Frontal Pole</label>\n'
        '<label index="1" x="25" y="70" z="32">Insular &amp; Cortex</label>\n</data></atlas>\n',
        {1: LabelEntry("Frontal Pole"), 2: LabelEntry("Insular & Cortex")},
    ),
    "FSL label": (
        "JHU.xml",
        '<atlas><header><type>Label</type></header><data><label index="0" x="0" y="0" z="0">Unclassified</label>'
        '<label index="3" x="1" y="1" z="1">Fornix</label></data></atlas>',
        {0: LabelEntry("Unclassified"), 3: LabelEntry("Fornix")},
    ),
    "FSL with values": (
        "new.xml",
        '<atlas><header><type>Probabilistic</type></header><data><label index="0" value="12">A</label></data></atlas>',
        {12: LabelEntry("A")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(TABLES))
def test_names_and_colours(tmp_path: Path, kind: str) -> None:
    name, text, expected = TABLES[kind]
    (tmp_path / name).write_bytes(text.encode("utf-8"))
    entries = read_label_table(tmp_path / name)
    assert entries == expected
    assert list(entries) == list(expected), "the table's order is kept"


BAD: dict[str, tuple[str, str, str]] = {
    "short CSV row": ("t.csv", "index,name\n1,A\n2\n", "line 3 has 1 entries for 2 columns"),
    "long CSV row": ("t.csv", "index,name\n1,A\n\n2,B,C\n", "line 4 has 3 entries"),
    "an open quote": ("t.csv", 'index,name\n1,"A\n2,B\n', "line 2 has a quote that is not closed"),
    "a name of two lines": ("t.csv", 'index,name\n1,"A\n2,B"\n', "line 3 ends an entry that began on an earlier line"),
    "no name column": ("t.csv", "index,title\n1,A\n", "line 1 has no columns index and name"),
    "a word as label": ("t.csv", "index,name\none,A\n", "line 2 has the label 'one'"),
    "a label below 0": ("t.csv", "index,name\n-1,A\n", "line 2 has the label '-1'"),
    "half a label": ("t.csv", "index,name\n1.5,A\n", "line 2 has the label '1.5'"),
    "no name": ("t.csv", "index,name\n1,\n", "line 2 has no name"),
    "two names for a label": ("t.csv", "index,name\n1,A\n2,B\n1,C\n", "line 4 names label 1 again"),
    "a colour from 0 to 1": ("t.csv", "index,name,r,g,b\n1,A,0.5,0.2,0.1\n", "line 2 has the colour 0.5, 0.2, 0.1"),
    "half a colour": ("t.csv", "index,name,r,g,b\n1,A,5,,\n", "line 2 has the colour"),
    "a colour above 255": ("t.txt", "1 A 256 0 0 0\n", "line 1 has the colour 256"),
    "a hexadecimal colour cut short": ("t.tsv", "index\tname\tcolor\n1\tA\t#FF00\n", "line 2 has the colour '#FF00'"),
    "short FreeSurfer row": ("t.txt", "1 A 1 2 3 0\n# x\n2 B 7\n", "line 3 has 3 entries"),
    "short .ctbl row": ("t.ctbl", "# Color table file\n1 A 1 2\n", "line 2 has 4 entries"),
    "short ITK-SNAP row": ("t.txt", '1 2 3 4 1 1 1 "A"\n2 2 3 4 1 "B"\n', "line 2 is not label, red"),
    "broken XML": ("t.xml", "<atlas>\n<data>\n", "line 3 is not XML"),
    "XML label without index": ("t.xml", "<atlas><data>\n<label>A</label></data></atlas>", "line 2 has the label ''"),
    "nothing": ("t.csv", "index,name\n", "names no label"),
    "an empty file": ("t.txt", "", "names no label"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(BAD))
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, kind: str) -> None:
    name, text, words = BAD[kind]
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as caught:
        read_label_table(tmp_path / name)
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00index")
    with pytest.raises(UserError, match="cannot be read"):
        read_label_table(tmp_path / "t.csv")
