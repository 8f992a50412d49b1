"""Nothing outside of the folders that were named is read; what is sent is taken only if it can be a scan."""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.web import uploads
from mri_interpret.web.open_folders import OpenFolders


@pytest.fixture
def folders(tmp_path: Path) -> OpenFolders:
    """Folders with two results, two scans, and links out of them."""
    for name in ("mine/a", "mine/group/b", "outside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "explanation.json").write_text("{}")
    (tmp_path / "mine" / "a" / "inner.nii").touch()  # of a result: no scan to explain
    (tmp_path / "outside" / "secret.nii").touch()
    for name in ("mine/T1.nii.gz", "mine/group/x.MGZ", "mine/notes.txt", "mine/detached.nhdr"):
        (tmp_path / name).touch()
    (tmp_path / "mine" / "link.nii").symlink_to(tmp_path / "outside" / "secret.nii")
    (tmp_path / "mine" / "group" / "b" / "map.nii").symlink_to(tmp_path / "outside" / "secret.nii")
    return OpenFolders([tmp_path / "mine"])


def test_results_and_scans_are_offered_by_their_place(folders):
    assert list(folders.results()) == ["mine/a", "mine/group/b"]
    assert list(folders.scans()) == ["mine/T1.nii.gz", "mine/link.nii", "mine/group/x.MGZ"]
    assert folders.result("mine/a").is_dir()
    assert folders.scan("mine/T1.nii.gz").is_file()


@pytest.mark.parametrize("name", ["../outside", "mine/../outside", "/etc", "mine", "", "outside"])
def test_what_is_not_offered_is_not_opened(folders, name):
    with pytest.raises(UserError, match="is not among the results and scans"):
        folders.result(name)
    with pytest.raises(UserError, match="is not among the results and scans"):
        folders.scan(f"{name}/secret.nii")


def test_links_out_of_the_folders_are_not_followed(folders):
    with pytest.raises(UserError, match="link out of the folders"):
        folders.scan("mine/link.nii")
    with pytest.raises(UserError, match="link out of the folders"):
        folders.result("mine/group/b")


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def scan_bytes(shape: tuple[int, ...]) -> bytes:
    image = nibabel.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4))
    image.header.set_data_shape(shape)
    image.header["magic"], image.header["vox_offset"] = b"n+1", 352
    return bytes(image.header.binaryblock) + bytes(4)


def receive(tmp_path: Path, name: str, *parts: bytes) -> Path:
    return asyncio.run(uploads.receive(pieces(*parts), name, tmp_path))


def test_a_scan_is_kept_under_its_own_name_in_the_folder(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((20, 20, 20), np.uint8), np.eye(4))
    content = gzip.compress(image.to_bytes())
    path = receive(tmp_path, "../../C:\\scans\\T1.nii.gz", content[:100], content[100:])
    assert path == tmp_path / "T1.nii.gz"
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("setup.exe", b"MZ", "cannot be sent here"),
        ("header.nhdr", b"NRRD0004", "cannot be sent here"),  # names another file
        (".nii", b"", "cannot be sent here"),
        ("program.nii.gz", b"MZ\x90\x00" + bytes(3000), "program.nii.gz"),
        ("bomb.nii", scan_bytes((30000, 30000, 30000)), "too many to explain"),
        ("empty.nii", b"", "is empty"),
    ],
)
def test_what_is_no_scan_is_refused_in_a_sentence_and_not_kept(tmp_path, name, content, said):
    with pytest.raises(UserError, match=said) as refused:
        receive(tmp_path, name, content)
    assert str(tmp_path) not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_is_refused_before_and_while_it_arrives(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"has 5,120 MiB, and 512 are taken"):
        uploads.check_size(5 * 2**30)
    monkeypatch.setattr(uploads, "LARGEST_MIB", 1)
    with pytest.raises(UserError, match="are taken"):
        receive(tmp_path, "T1.nii", bytes(2**19), bytes(2**19), bytes(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_utf_8_is_offered_in_letters_that_can_be_sent(tmp_path):
    (tmp_path / "mine").mkdir()
    odd = tmp_path / "mine" / os.fsdecode(b"sc\xe4n.nii")
    odd.touch()
    found = OpenFolders([tmp_path / "mine"])
    (name,) = found.scans()
    name.encode("utf-8")
    assert found.scan(name) == odd
