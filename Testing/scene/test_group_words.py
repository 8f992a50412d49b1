"""What a cohort's maps are called."""

from __future__ import annotations

import pytest
from mri_interpret.scene_content.group_content import _words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("true-AD_mean", "mean of AD (n=5)"),
        ("true-CN_mean", "one participant, CN"),  # a mean of one is none
        ("predicted-CN_mean", "one participant, called CN"),
        ("all_mean", "mean of all (n=6)"),
        ("AD-minus-CN_difference", "AD minus CN, difference of means"),
    ],
)
def test_a_group_of_one_is_not_called_a_mean(name, words):
    assert _words(name, {"sets": {"true-AD": 5, "true-CN": 1, "predicted-CN": 1, "all": 6}}) == words
