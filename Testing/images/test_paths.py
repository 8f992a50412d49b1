"""Files with any name are read; a path that leads nowhere is refused in one sentence that names it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from mri_interpret.errors import UserError
from mri_interpret.images.reading import read_scan

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows forbids these names and links")
ARRAY = np.random.default_rng(1).integers(0, 900, (20, 18, 22)).astype(np.int16)
AWKWARD = [
    "a & b", "a < b", "a > b", 'a " b', "a ' b", "a % b", "a%20b", "a%d%s%n", "a # b", "a ; b", "a ( b )", "a [b]",
    "a {b}", "a $HOME b", "a b", "a\nb", "a\tb", "-dash", "~tilde", "x" * 200, "脑 мозг دماغ", "a\\b", "a*?b",
    ".hidden", "a.b.nii", "A B.NII",
]  # fmt: skip


@pytest.mark.parametrize("name", AWKWARD)
def test_any_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    image = sitk.GetImageFromArray(ARRAY.T)
    image.SetSpacing([5, 5, 5])
    sitk.WriteImage(image, str(tmp_path / "plain.nrrd"))
    nib.save(nib.Nifti1Image(ARRAY, np.diag([5.0, 5, 5, 1])), tmp_path / "plain.nii.gz")
    monkeypatch.chdir(tmp_path)
    for suffix in ("nrrd", "nii.gz"):
        (tmp_path / f"plain.{suffix}").rename(tmp_path / f"{name}.{suffix}")
        for path in (tmp_path / f"{name}.{suffix}", Path(f"{name}.{suffix}"), f"{name}.{suffix}"):
            volume = read_scan(path)
            assert np.array_equal(volume.array, ARRAY)
            assert "\n" not in volume.name
            assert "\t" not in volume.name


def test_a_name_of_bytes_that_are_no_utf_8_is_read_and_can_be_printed(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path / "plain.nii")
    nib.save(nib.Nifti1Image(ARRAY, np.diag([5.0, 5, 5, 1])), tmp_path / "plain.nii")
    try:
        os.rename(file, file.replace(b"plain", b"a\xff"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (path,) = tmp_path.iterdir()
    volume = read_scan(path)
    assert volume.name == "a\\udcff.nii"
    volume.name.encode("utf-8")
    path.write_bytes(b"no image")
    with pytest.raises(UserError) as caught:
        read_scan(path)
    str(caught.value).encode("utf-8")


def _link_to_nothing(folder: Path) -> Path:
    (folder / "scan.nii.gz").symlink_to(folder / ".git" / "annex" / "objects" / "key.nii.gz")
    return folder / "scan.nii.gz"


def _link_to_itself(folder: Path) -> Path:
    (folder / "scan.nii").symlink_to(folder / "scan.nii")
    return folder / "scan.nii"


def _pointer(text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "scan.nii.gz").write_text(text)
        return folder / "scan.nii.gz"

    return make


def _below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "scan.nii"


def _pipe(folder: Path) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(folder / "scan.nii")
    return folder / "scan.nii"


def _folder_called_as_a_file(folder: Path) -> Path:
    (folder / "scan.nii.gz").mkdir()
    return folder / "scan.nii.gz"


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda f: f / "scan.nii", "does not exist"),
    "below a file": (_below_a_file, "does not exist"),
    "a dangling link": (_link_to_nothing, "is a link to .*key.nii.gz, which is not there: fetch the file"),
    "a link to itself": (_link_to_itself, "cannot be opened"),
    "git LFS": (_pointer("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "was not fetched"),
    "git-annex": (_pointer("/annex/objects/MD5E-s1--0.nii.gz\n"), "was not fetched"),
    "a folder called as a file": (_folder_called_as_a_file, "no DICOM series"),
    "a pipe": (_pipe, "not a regular file"),
    "a name that is too long": (lambda f: f / ("x" * 300 + ".nii"), "cannot be opened"),
    "a null byte": (lambda f: f / "a\0b.nii", "cannot be opened"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, kind: str) -> None:
    make, words = REFUSED[kind]
    path = make(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_no_permission_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nib.save(nib.Nifti1Image(ARRAY, np.diag([5.0, 5, 5, 1])), tmp_path / "scan.nii")
    if not hasattr(os, "geteuid") or os.geteuid() == 0:  # root may read all
        monkeypatch.setattr(os, "access", lambda *_: False)
    else:
        (tmp_path / "scan.nii").chmod(0)
    with pytest.raises(UserError, match=r"scan\.nii may not be read \(permission denied\)"):
        read_scan(tmp_path / "scan.nii")
