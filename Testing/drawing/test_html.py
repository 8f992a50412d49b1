"""Templates: what comes from outside is escaped, what is missing is an error, numbers read well."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import mri_interpret
import pytest
from mri_interpret.drawing.canvas import Picture
from mri_interpret.drawing.html import fixed, number, p_value, percent, render

ROOMS = [path for path in Path(mri_interpret.__file__).parent.glob("*/templates") if path.is_dir()]
HOSTILE = """</td><script>alert('1')</script> & "quoted\""""


def _rendered(folder: Path, template: str, **content: object) -> str:
    (folder / "test.html.j2").write_text('{% import "elements.html.j2" as elements %}' + template, encoding="utf-8")
    return render(folder, "test.html.j2", **content)


@pytest.mark.parametrize(
    "template",
    [
        "{{ text }}",
        '<a title="{{ text }}">x</a>',
        "{{ elements.verdict(text) }}",
        "{{ elements.warnings([text]) }}",
        "{{ elements.definitions([(text, text)]) }}",
        "{% call elements.table([(text, true)]) %}<tr><td>{{ text }}</td></tr>{% endcall %}",
        "{{ elements.figure(picture) }}",
    ],
)
def test_text_from_outside_is_escaped(tmp_path: Path, template: str) -> None:
    picture = Picture(b"abc", "image/webp", HOSTILE, HOSTILE)
    text = _rendered(tmp_path, template, text=HOSTILE, picture=picture)
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "alert('" not in text
    assert '"quoted"' not in text


def test_a_name_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(jinja2.UndefinedError, match="nothing_of_this_name"):
        _rendered(tmp_path, "{{ nothing_of_this_name }}")


def test_no_template_switches_the_escaping_off() -> None:
    assert {path.parent.name for path in ROOMS} == {"drawing", "report", "cohort", "model_check", "planes"}
    files = [path for room in ROOMS for path in room.iterdir()]
    assert len(files) > 15
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup", text), path


def test_pictures_are_part_of_the_page(tmp_path: Path) -> None:
    text = _rendered(tmp_path, "{{ elements.figure(picture, 'film') }}", picture=Picture(b"abc", "image/webp", "alt"))
    assert text.strip() == '<figure class="film"><img src="data:image/webp;base64,YWJj" alt="alt"></figure>'


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.01234, "−0.0123"), (float("nan"), "–"), (3512.4, "3,512"), (0, "0"), (2.5e9, "2.5e+09")],
)
def test_numbers_read_well(value: float, text: str) -> None:
    assert number(value) == text


def test_columns_of_numbers_have_true_minus_signs_and_dashes_for_nothing() -> None:
    assert [fixed(-1.005, 1), fixed(float("nan")), percent(-0.123, 1)] == ["−1.0", "–", "−12.3%"]
    assert [fixed(-0.001), percent(-0.0004, 1), percent(float("nan"))] == ["0.00", "0.0%", "–"]
    assert [p_value(0.04321), p_value(1e-9), p_value(float("nan"))] == ["0.0432", "< 0.0001", "–"]
