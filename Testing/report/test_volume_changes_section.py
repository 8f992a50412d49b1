"""The report's section "What would have to change", with its pictures and its film."""

from __future__ import annotations

import html
import io
from dataclasses import replace

import numpy as np
import pytest
from mri_interpret.drawing.montage import Backdrop
from mri_interpret.explanation.volume_words import volume_statements
from mri_interpret.images.displacement_field import DisplacementField
from mri_interpret.report import change_charts
from mri_interpret.report.page import page_with
from mri_interpret.report.volume_changes import change_pictures
from PIL import Image

from Testing.fixtures_volumes import COUNTERFACTUAL, GRADIENT, make_volume_explanation


@pytest.fixture(scope="module")
def explanation():
    return make_volume_explanation()


@pytest.fixture(scope="module")
def drawn(explanation):
    return change_pictures(explanation, Backdrop.of(explanation.scan, explanation.mask))


def test_the_page_says_the_sentences_and_whether_the_goal_was_reached(explanation, pictures, drawn):
    methods = dict.fromkeys(explanation.maps, pictures.summary)
    with_changes = replace(pictures, methods=methods, changes=drawn)
    page = page_with(explanation, with_changes)
    text = html.unescape(page).replace("\u00a0", " ")
    assert '<h2 id="volume-changes">' in page
    for statement in volume_statements(explanation):
        for sentence in statement.all:
            assert sentence in text
    assert ">reached</span>" in page
    assert text.count("left hippocampus") >= 3
    assert ">not reached</span>" in page_with(make_volume_explanation(reached=False), with_changes)
    # Nothing but data: URLs, and the film is left out for readers who do not want motion.
    assert "prefers-reduced-motion: reduce" in page
    assert page.count('class="keep moving"') == 1


def test_a_page_without_volume_methods_has_no_such_section(small_explanation, pictures):
    assert "volume-changes" not in page_with(small_explanation, pictures)


def test_the_film_goes_there_and_back_in_a_dozen_frames(drawn):
    film = Image.open(io.BytesIO(drawn.films[COUNTERFACTUAL].data))
    assert film.n_frames == 12
    assert len(drawn.films[COUNTERFACTUAL].data) < 400_000
    frames = []
    for number in range(12):
        film.seek(number)
        frames.append(np.asarray(film.convert("L"), dtype=float)[:-14])  # without the bar below
    way = [float(np.abs(frame - frames[0]).mean()) for frame in frames]
    assert way[6] == max(way) > 0.3
    assert way[:7] == sorted(way[:7])  # farther and farther
    assert np.abs(frames[1] - frames[11]).mean() < 0.3 * way[6]  # and the same way back


def test_only_a_counterfactual_has_pictures_of_a_deformation(drawn):
    assert set(drawn.bars) == {GRADIENT, COUNTERFACTUAL}
    assert set(drawn.ends) == set(drawn.films) == set(drawn.paths) == {COUNTERFACTUAL}
    assert "left hippocampus +15 %" in drawn.bars[COUNTERFACTUAL].alt
    assert "left hippocampus −0." in drawn.bars[GRADIENT].alt
    assert "goes from 1.2 to 0 in 4 steps" in drawn.paths[COUNTERFACTUAL].alt


def test_the_labels_of_the_way_s_chart_are_whole(explanation, monkeypatch):
    figures = []

    def kept(figure):
        figure.draw_without_rendering()
        figures.append(
            (figure.bbox, [axis.label.get_window_extent() for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis)])
        )
        return b""

    monkeypatch.setattr(change_charts, "as_svg", kept)
    change_charts.path_chart(explanation.counterfactuals[COUNTERFACTUAL], "AD - CN")
    ((page, labels),) = figures
    for label in labels:
        assert page.x0 <= label.x0 < label.x1 <= page.x1
        assert page.y0 <= label.y0 < label.y1 <= page.y1


def test_a_goal_that_was_reached_before_anything_changed_has_a_sentence_and_no_pictures(explanation, pictures):
    found = explanation.counterfactuals[COUNTERFACTUAL]
    still = DisplacementField(np.zeros((2, 2, 2, 3), dtype=np.float32), np.eye(4))
    said = "The goal is reached already: nothing has to change."
    nothing = replace(found, sentence=said, path=found.path[:1], displacement=still, scan=explanation.scan)
    table = explanation.volume_changes.assign(change=0.0, low=0.0, high=0.0)
    table = table[table["method"] == COUNTERFACTUAL]
    told = replace(explanation, counterfactuals={COUNTERFACTUAL: nothing}, volume_changes=table)
    drawn = change_pictures(told, Backdrop.of(told.scan, told.mask))
    assert (drawn.ends, drawn.films, drawn.paths) == ({}, {}, {})
    (statement,) = volume_statements(told)
    assert statement.all == (said,)
    page = page_with(told, replace(pictures, methods=dict.fromkeys(told.maps, pictures.summary), changes=drawn))
    assert said in page
    assert "prefers-reduced-motion" in page
    assert 'class="keep moving"' not in page
