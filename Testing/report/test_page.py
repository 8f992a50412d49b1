"""The page stands on its own: nothing is fetched, everything is escaped, and what must be said is said."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from mri_interpret.drawing.html import number
from mri_interpret.drawing.rendering import NoRendering
from mri_interpret.errors import Cancelled
from mri_interpret.explanation.explanation import Explanation, Target
from mri_interpret.report import pictures as drawn
from mri_interpret.report.page import page_with, report_page
from mri_interpret.report.pictures import ReportPictures

_VOID = {"meta", "img", "br", "input"}


class _Reader(HTMLParser):
    """Collects tags, attributes and visible text; checks that tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "title", "script"):
            self.text += data

    @property
    def prose(self) -> str:
        """The text as a browser shows it: any white space is one space."""
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def reader(page: str) -> _Reader:
    found = _Reader()
    found.feed(page)
    found.close()
    return found


def test_the_page_is_well_formed_and_small(page: str, reader: _Reader) -> None:
    assert reader.open == []
    assert len(page.encode()) < 6e6  # the sample's may have twice that


def test_nothing_is_fetched(page: str, reader: _Reader) -> None:
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "object")
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "url(" not in style.group(1)
    assert "@import" not in style.group(1)
    assert "default-src 'none'" in page
    assert [attributes.get("type") for tag, attributes in reader.tags if tag == "script"] == [
        "text/plain",
        "application/json",
        None,
    ]
    assert "script-src 'sha256-" in page


def test_the_scans_name_is_shown_as_text(page: str, reader: _Reader, hostile: Explanation) -> None:
    assert "<script>alert" not in page
    assert hostile.scan.name in reader.text


def test_every_picture_can_be_read_without_eyes(reader: _Reader, hostile: Explanation) -> None:
    pictures = [attributes for tag, attributes in reader.tags if tag == "img"]
    # probabilities, summary, 3D, regions, anatomy, agreement, registration, input, and one for each method
    assert len(pictures) == 8 + len(hostile.maps)
    assert all(len(attributes["alt"]) > 20 for attributes in pictures)


def test_what_must_be_said_is_said(reader: _Reader, hostile: Explanation) -> None:
    explanation, prediction = hostile, hostile.prediction
    said = [
        explanation.model.banner,
        explanation.model.training_data,
        explanation.model.intended_use,
        explanation.model.hash,
        *explanation.warnings,
        *(method.title for method in explanation.maps.values()),
        *(verdict.sentence for verdict in explanation.verdicts if verdict.verdict != "not applicable"),
        explanation.registration.sentence,
        explanation.atlas_name,
        f"logit of AD = {number(explanation.target.value)}",
        f"{prediction.probabilities[prediction.predicted]:.1%}",
        "99.5th percentile",
        "the patient's right is on the left",
    ]
    for sentence in said:
        assert sentence in reader.prose, sentence
    assert reader.text.index(explanation.model.banner) < reader.text.index("Predicted")


def test_links_lead_to_sections(reader: _Reader) -> None:
    places = {attributes["id"] for _, attributes in reader.tags if "id" in attributes}
    links = {attributes["href"][1:] for tag, attributes in reader.tags if tag == "a"}
    assert links == {
        "short",
        "answer",
        "warnings",
        "summary",
        "regions",
        "volumes",
        "trust",
        "methods",
        "agreement",
        "registration",
        "input",
        "provenance",
    }
    assert links <= places


def test_without_verdicts_there_is_no_trust_section_and_without_3d_a_sentence(
    small_explanation: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(*_: object) -> None:
        raise NoRendering("No 3D picture: nothing here can draw one.")

    monkeypatch.setattr(drawn, "summary_picture", blind)
    one = {"lrp": small_explanation.maps["lrp"]}
    text = report_page(replace(small_explanation, maps=one, warnings=(), verdicts=()))
    assert 'id="trust"' not in text
    assert "nothing here can draw one" in text
    assert "Agreement needs at least two methods" in text
    assert "Before you read on" not in text


def read(explanation: Explanation, pictures: ReportPictures) -> str:
    """The page's text as a browser shows it."""
    reader = _Reader()
    reader.feed(page_with(explanation, pictures))
    return reader.prose


def test_text_from_outside_stays_text(small_explanation: Explanation, pictures: ReportPictures) -> None:
    hostile = """<script>alert('1')</script> & "quoted" <img src=x onerror=y>"""
    method = replace(
        small_explanation.maps["lrp"], title=hostile, units=hostile, details={"reference": hostile, "layer": hostile}
    )
    table = small_explanation.region_table.assign(region=hostile)
    explanation = replace(
        small_explanation,
        scan=replace(small_explanation.scan, name=hostile),
        model=replace(small_explanation.model, name=hostile, description=hostile, intended_use=hostile, banner=hostile),
        maps={"lrp": method},
        warnings=(hostile,),
        atlas_name=hostile,
        region_table=table,
        registration=replace(small_explanation.registration, sentence=hostile, method=hostile),
        provenance=replace(small_explanation.provenance, device=hostile),
    )
    picture = replace(pictures.summary, alt=hostile, caption=hostile)
    page = page_with(explanation, replace(pictures, summary=picture, methods={"lrp": picture}))
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    assert not [tag for tag, _ in reader.tags if tag == "script"]
    assert not [attributes for _, attributes in reader.tags if "onerror" in attributes]
    assert [a["alt"] for tag, a in reader.tags if tag == "img" and a["alt"] == hostile] == [hostile, hostile]
    assert reader.text.count(hostile) > 15


def test_a_description_and_reference_of_the_method_are_shown(
    small_explanation: Explanation, pictures: ReportPictures
) -> None:
    details = {"description": "Shows <what> counts.", "reference": "Bach 2015", "target_layer": "blocks.4"}
    method = replace(small_explanation.maps["lrp"], details=details)
    text = read(replace(small_explanation, maps={"lrp": method}), pictures)
    assert "Shows <what> counts." in text
    assert "Bach 2015" in text
    assert "target layer: blocks.4" in text


@pytest.mark.parametrize(
    ("weights", "formula"),
    [
        ({"CN": 0, "MCI": 0, "AD": 1}, "logit of AD ="),
        ({"CN": -1, "MCI": 0, "AD": 1}, "logit of AD − logit of CN ="),
        ({"CN": -0.5, "MCI": -0.5, "AD": 1}, "logit of AD − 0.5 × logit of CN − 0.5 × logit of MCI ="),
        ({"CN": -1, "MCI": 0, "AD": 0}, "−logit of CN ="),
    ],
)
def test_the_contrast_is_written_as_a_formula(
    small_explanation: Explanation, pictures: ReportPictures, weights: dict[str, float], formula: str
) -> None:
    assert formula in read(replace(small_explanation, target=Target("x", weights, 1.0)), pictures)


def test_the_summary_says_which_methods_it_combines(small_explanation: Explanation, pictures: ReportPictures) -> None:
    assert list(small_explanation.summary_details.excluded) == ["lrp"]
    text = read(small_explanation, pictures)
    assert "combines 2 of the 3 methods below" in text
    assert f"Excluded from the summary score: {small_explanation.maps['lrp'].title}." in text
    all_in = replace(small_explanation.summary_details, excluded={})
    text = read(replace(small_explanation, summary_details=all_in), pictures)
    assert "combines 3 methods below" in text
    assert "Excluded" not in text


def test_a_banner_that_forgets_research_use_gets_it(small_explanation: Explanation, pictures: ReportPictures) -> None:
    model = replace(small_explanation.model, banner="Trained on my own data.")
    assert "Research use only. Trained on my own data." in read(replace(small_explanation, model=model), pictures)


def test_progress_rises_to_one_and_can_cancel(
    small_explanation: Explanation, pictures: ReportPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn, "summary_picture", lambda *_: pictures.surface)
    seen: list[float] = []

    def watch(_: str, fraction: float) -> None:
        seen.append(fraction)
        if fraction > 0.5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        report_page(small_explanation, progress=watch)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert len(seen) > 3


def test_where_no_region_stands_out_none_is_listed(hostile: Explanation, pictures: ReportPictures) -> None:
    text = read(replace(hostile, region_table=hostile.region_table.assign(gain=1.0)), pictures)
    assert "No region stands out" in text
    assert "Peak at R, A, S" not in text
    text = read(hostile, pictures)
    assert "No region stands out" not in text
    assert "Peak at R, A, S" in text
    assert "Left-Hippocampus" in text


def test_each_map_says_how_much_lies_outside_the_brain(
    small_explanation: Explanation, pictures: ReportPictures
) -> None:
    shares = dict(zip(small_explanation.maps, (0.64, 0.0, float("nan")), strict=True))
    maps = {name: replace(method, outside_brain=shares[name]) for name, method in small_explanation.maps.items()}
    text = read(replace(small_explanation, maps=maps, verdicts=()), pictures)
    assert re.findall(r"outside the brain: (\S+) of the relevance", text) == ["0%", "64%"]  # not measured, not said


def test_what_the_network_saw_is_folded_away_unless_the_input_check_warns(
    small_explanation: Explanation, pictures: ReportPictures
) -> None:
    sentence = "The network's input is nearly constant in the brain."
    plain = page_with(replace(small_explanation, input_warnings=()), pictures)
    warned = page_with(replace(small_explanation, input_warnings=(sentence,), warnings=(sentence,)), pictures)
    folded, opened = "<details><summary>The network's input", "<details open><summary>The network's input"
    assert folded in plain.replace("&#39;", "'")
    assert opened in warned.replace("&#39;", "'")
    assert plain.index('id="input"') > plain.index('id="registration"')
    assert warned.index('id="input"') < warned.index('id="summary"')
