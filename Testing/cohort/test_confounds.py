"""What groups can be adjusted for, and when nothing would be left to compare."""

from __future__ import annotations

from pathlib import Path

from mri_interpret.cohort.confounds import confound_matrix, why_no_test
from mri_interpret.cohort.subjects import Subject


def covered(columns: dict[str, list[object]]) -> list[Subject]:
    """Subjects with these covariates."""
    return [
        Subject(str(place), Path(), covariates=dict(zip(columns, values, strict=True)))  # type: ignore[arg-type]
        for place, values in enumerate(zip(*columns.values(), strict=True))
    ]


def test_confounds_become_columns() -> None:
    people = covered({"age": [60.0, 70.0, 80.0], "site": ["A", "B", "C"]})
    matrix = confound_matrix(people, ["age", "site"])
    assert matrix is not None
    assert matrix.tolist() == [[-10, 0, 0], [0, 1, 0], [10, 0, 1]]
    assert confound_matrix(people, []) is None


def test_confounds_that_tell_the_group_leave_nothing_to_compare() -> None:
    ages: list[object] = [60.0 + 3 * (number % 4) for number in range(10)]
    people = covered(
        {
            "age": ages,
            "site": list("AABBB" + "CCDDD"),  # each site has one group
            "volume": [1e6 + 1e-3 * float(str(age)) for age in ages],
            "word": [f"{number} y" if number % 5 < 3 else "?" for number in range(10)],
        }
    )

    def why(name: str) -> str:
        return why_no_test(confound_matrix(people, [name]), 5, 5, [name])

    assert why("age") == ""
    assert why("volume") == "", "units do not matter"
    assert "nothing is left to compare" in why("site")
    assert "takes 6 of the 8 degrees of freedom" in why("word")
    assert why_no_test(None, 5, 5, []) == ""
