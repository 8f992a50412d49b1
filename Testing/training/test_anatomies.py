"""Registered label maps are kept by their content, for each disease."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mri_interpret.simulation.anatomy import PUBLISHED, STYLISED, Anatomy
from mri_interpret.training import anatomies
from mri_interpret.training.anatomies import cached_anatomy


def test_a_label_map_is_registered_once_for_each_disease_and_again_if_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, str]] = []

    def reader(path: Path, disease: str) -> Anatomy:
        read.append((path.read_text(), disease))
        parcels = np.full((2, 2, 2), 1001, np.uint16) if disease == PUBLISHED else None
        return Anatomy("labels_01", np.full((2, 2, 2), len(read), np.uint8), 1.5, parcels)

    monkeypatch.setattr(anatomies, "read_anatomy", reader)
    path, cache = tmp_path / "labels_01.nii.gz", tmp_path / "cache"
    path.write_text("one head")
    first = [cached_anatomy(path, cache, disease=disease) for disease in (STYLISED, PUBLISHED)]
    again = [cached_anatomy(path, cache, disease=disease) for disease in (STYLISED, PUBLISHED)]
    assert read == [("one head", STYLISED), ("one head", PUBLISHED)]
    for one, other in zip(first, again, strict=True):
        assert (one.name, one.scale) == (other.name, other.scale)
        assert np.array_equal(one.labels, other.labels)
        assert (one.parcels is None) == (other.parcels is None)
    path.write_text("another head of the same name")
    assert int(cached_anatomy(path, cache, disease=PUBLISHED).labels[0, 0, 0]) == 3
