"""A user's folders: where the system wants them, where a variable says, and where earlier versions had them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from mri_interpret.models.registry import list_models
from mri_interpret.resources import resource
from mri_interpret.user_folders import (
    CACHE_VARIABLE,
    MODELS_VARIABLE,
    user_cache_folder,
    user_models_folder,
    user_models_folders,
)
from platformdirs.macos import MacOS


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (CACHE_VARIABLE, MODELS_VARIABLE, "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """platformdirs as it answers on macOS."""
    monkeypatch.setattr("platformdirs.PlatformDirs", MacOS)


def test_a_variable_names_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "here"))
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "there"))
    assert user_cache_folder() == tmp_path / "here"
    assert user_models_folders() == [tmp_path / "there"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's places")
def test_on_linux_nothing_has_moved(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_cache_folder() == home / ".cache" / "mri-interpret"
    assert user_models_folders() == [home / ".local" / "share" / "mri-interpret" / "models"]
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    assert user_models_folder() == home / "data" / "mri-interpret" / "models"


def test_on_macos_the_earlier_places_are_still_found(home: Path, mac: None) -> None:
    library = home / "Library"
    assert user_cache_folder() == library / "Caches" / "mri-interpret"
    assert user_models_folder() == library / "Application Support" / "mri-interpret" / "models"
    earlier = home / ".local" / "share" / "mri-interpret" / "models"
    shutil.copytree(resource("Models") / "atrophy_cnn" / "configs", earlier / "mine" / "configs")
    shutil.copytree(resource("Models") / "atrophy_cnn" / "configs", user_models_folder() / "another" / "configs")
    shutil.copytree(resource("Models") / "atrophy_cnn" / "configs", user_models_folder() / "mine" / "configs")
    own = [model.path for model in list_models() if model.path.is_relative_to(home)]
    assert own == [user_models_folder() / "another", user_models_folder() / "mine"]  # the later "mine" is meant
    shutil.rmtree(user_models_folder() / "mine")
    assert earlier / "mine" in [model.path for model in list_models()]


def test_an_earlier_cache_is_used_until_there_is_a_new_one(home: Path, mac: None) -> None:
    earlier = home / ".cache" / "mri-interpret"
    earlier.mkdir(parents=True)
    (earlier / "key.npz").write_bytes(b"")
    assert user_cache_folder() == earlier
    current = home / "Library" / "Caches" / "mri-interpret"
    current.mkdir(parents=True)
    assert user_cache_folder() == current


def test_before_platformdirs_is_installed_models_can_be_listed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Slicer, which installs it with the first Explain and lists models before."""
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert user_models_folders() == [home / ".local" / "share" / "mri-interpret" / "models"]
    assert "atrophy_cnn" in [model.name for model in list_models()]
