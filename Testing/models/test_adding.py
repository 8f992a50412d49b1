"""Models into the user's folder from every form they come in, and out of it; nothing is left behind when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import mri_interpret as mi
import pytest
import torch
from mri_interpret.models.adding import add_model, partial_folder, remove_model
from mri_interpret.models.answers import Answers, read_answers
from mri_interpret.models.registry import find_model, list_models
from torch import nn

from Testing.models.bundles import write_small_bundle

STEPS = (
    {"step": "mask"},
    {"step": "registration", "shape": [12, 14, 12], "spacing": [16, 16, 16], "origin": [-90, -126, -72]},
    {"step": "intensity", "method": "zscore"},
)
STEPS_AS_JSON = tuple(json.loads(json.dumps(STEPS)))
ANSWERS = Answers(("CN", "AD"), STEPS)


class Small(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(width, 2)
        )

    def forward(self, x):
        return self.layers(x)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MRI_INTERPRET_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Small().eval()


def answer(name, x):
    with torch.no_grad():
        return find_model(name).network(x)


X = torch.rand(1, 1, 12, 14, 12, generator=torch.Generator().manual_seed(4))


def test_a_bundle_is_copied_and_removed_again(tmp_path, folder):
    write_small_bundle(tmp_path / "source")
    (tmp_path / "source" / "secret.txt").write_text("not part of a bundle")
    added = add_model(tmp_path / "source", name="mine")
    assert find_model("mine").metadata.classes == find_model(tmp_path / "source").metadata.classes
    assert not list(added.path.rglob("secret.txt"))
    remove_model("mine")
    assert list(folder.iterdir()) == []


def test_a_program_with_its_answers(tmp_path, network):
    torch.jit.save(torch.jit.trace(network, X), str(tmp_path / "net.ts"))
    torch.export.save(torch.export.export(network, (X,)), str(tmp_path / "net.pt2"))
    for suffix in ("ts", "pt2"):
        add_model(tmp_path / f"net.{suffix}", name=suffix, answers=ANSWERS)
        torch.testing.assert_close(answer(suffix, X), network(X), atol=1e-5, rtol=1e-5)
        assert find_model(suffix).metadata.classes == ("CN", "AD")


def test_a_state_dict_with_a_trusted_class_becomes_a_program_without_its_code(tmp_path, network):
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    added = add_model(
        tmp_path / "weights.pth", name="own", answers=ANSWERS, trusted_class=f"{__name__}.Small", arguments={"width": 3}
    )
    assert "was run once" in added.notes[0]
    assert (added.path / "models" / "model.pt2").is_file()
    torch.testing.assert_close(answer("own", X), network(X), atol=1e-5, rtol=1e-5)


def test_save_bundle_writes_a_live_network(tmp_path, network):
    network.train()
    notes = mi.save_bundle(
        tmp_path / "saved", network, input={"preprocessing": STEPS}, output={"classes": ["CN", "AD"]}
    )
    assert notes == ()
    assert network.training
    torch.testing.assert_close(answer(tmp_path / "saved", X), network.eval()(X), atol=1e-5, rtol=1e-5)
    assert "research use only" in (tmp_path / "saved" / "docs" / "README.md").read_text().lower()


def test_what_cannot_be_exported_is_said(tmp_path):
    class Branching(Small):
        def forward(self, x):
            return self.layers(x) if float(x.sum()) > 0 else -self.layers(x)

    torch.manual_seed(0)
    about = {"input": {"preprocessing": STEPS}, "output": {"classes": ["a", "b"]}}
    notes = mi.save_bundle(tmp_path / "saved", Branching(), **about)
    assert "torch.export cannot" in notes[0]

    class Random(Small):
        def forward(self, x):
            return self.layers(x) + torch.rand(1)

    with pytest.raises(mi.UserError, match="cannot be written as a program"):
        mi.save_bundle(tmp_path / "no", Random(), **about)
    assert not (tmp_path / "no").exists()


BAD = [
    ({"name": "../evil", "answers": ANSWERS}, "is no name for a model"),
    ({"name": ".hidden", "answers": ANSWERS}, "is no name for a model"),
    ({"name": "atrophy_cnn", "answers": ANSWERS}, "There is a model 'atrophy_cnn' already"),
    ({}, "does not say what its outputs mean"),
    ({"options": {"head": "cog"}}, "Options belong to a recipe"),
    ({"recipe": "nothing"}, "There is no recipe 'nothing'"),
    ({"answers": Answers((), STEPS)}, "The outputs have no names"),
    ({"answers": Answers(("CN", "AD"), ())}, "How scans are prepared is not said"),
    ({"answers": Answers(("CN", "MCI", "AD"), STEPS)}, "returns 2 values, and 3 outputs were named"),
    ({"answers": Answers(("CN", "AD"), ({"step": "blur"},))}, "What is said of the model net: .*'blur'"),
    ({"answers": Answers(("age", "size"), STEPS, output="regression")}, "has one quantity, but 2 names"),
    ({"answers": Answers(("age",), STEPS, output="regression", unit="years", range=(90, 20))}, "90 to 20 is none"),
    ({"answers": Answers(("age",), STEPS, output="regression", unit="years", range=(90,))}, "range 90 is none"),
    ({"answers": Answers(("age",), STEPS, output="regression")}, "needs the 'unit' of the age"),
    ({"answers": Answers(("CN", "AD"), STEPS, unit="years")}, "belong to a quantity"),
    ({"answers": Answers(("CN", "AD"), STEPS, statistics={"n": 3})}, "must hold 'n' and 'ranges'"),
    ({"answers": ANSWERS, "arguments": {"width": 3}}, "Arguments belong to a class"),
    ({"recipe": "qiu2022", "answers": ANSWERS}, "qiu2022 knows the names of its network's outputs"),
    ({"recipe": "qiu2022", "answers": Answers((), STEPS, output="regression")}, "knows its network's outputs"),
    ({"recipe": "keras", "answers": Answers(("age",), STEPS, shape=(12, 14, 12))}, "knows its network's outputs"),
    ({"recipe": "keras", "trusted_class": "a.B"}, "needs no class"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD, ids=lambda value: str(value)[:40])
def test_what_does_not_do_is_one_sentence_and_leaves_nothing(arguments, sentence, tmp_path, network, folder):
    torch.jit.save(torch.jit.trace(network, X), str(tmp_path / "net.ts"))
    with pytest.raises(mi.UserError, match=sentence) as caught:
        add_model(tmp_path / "net.ts", **arguments)
    assert "\n" not in str(caught.value)
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("trusted", "arguments", "sentence"),
    [
        ("Small", {}, "no dotted name"),
        ("nowhere.at.All", {}, "cannot be imported"),
        (f"{__name__}.Nothing", {}, "cannot be imported"),
        (f"{__name__}.Small", {"depth": 3}, "cannot be made from its arguments"),
        (f"{__name__}.Small", {"width": 4}, "does not fit"),
        ("builtins.dict", {}, "not a network"),
    ],
)
def test_trusted_classes_that_do_not_do(trusted, arguments, sentence, tmp_path, network, folder):
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(mi.UserError, match=sentence):
        add_model(tmp_path / "w.pth", name="x", answers=ANSWERS, trusted_class=trusted, arguments=arguments)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_weights_alone_need_a_class(tmp_path, network):
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(mi.UserError, match="holds weights alone"):
        add_model(tmp_path / "w.pth", name="x", answers=ANSWERS)


def test_a_folder_that_is_no_bundle_and_a_source_that_is_not_there(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(mi.UserError, match="is no model bundle"):
        add_model(tmp_path / "empty")
    with pytest.raises(mi.UserError, match="There is no"):
        add_model(tmp_path / "missing")


def test_a_bundle_says_all_of_itself(tmp_path, folder):
    source = write_small_bundle(tmp_path / "source")
    with pytest.raises(mi.UserError, match="says all of itself"):
        add_model(source, answers=ANSWERS)
    assert not folder.exists()


def test_a_title_becomes_a_name(tmp_path):
    source = write_small_bundle(tmp_path / "source", {"name": "Alzheimer's, fold 0"})
    assert add_model(source).name == "Alzheimer_s_fold_0"


def test_steps_are_told_and_the_place_is_gone_afterwards(tmp_path, network, folder):
    torch.jit.save(torch.jit.trace(network, X), str(tmp_path / "net.ts"))
    seen = []

    def progress(step, fraction):
        seen.append((step, fraction))
        if step == "Trying the model" and not fraction:
            assert partial_folder("here").is_dir()

    add_model(tmp_path / "net.ts", answers=ANSWERS, place="here", progress=progress)
    assert [step for step, fraction in seen if fraction == 1] == ["Writing the model", "Trying the model"]
    assert [path.name for path in folder.iterdir()] == ["net"]


def test_cancelled_in_the_middle_nothing_is_left(tmp_path, network, folder):
    torch.jit.save(torch.jit.trace(network, X), str(tmp_path / "net.ts"))

    def cancel(step, _fraction):
        if step == "Trying the model":
            raise mi.Cancelled(step)

    with pytest.raises(mi.Cancelled):
        add_model(tmp_path / "net.ts", answers=ANSWERS, progress=cancel)
    assert list(folder.iterdir()) == []


def test_save_bundle_that_does_not_fit_leaves_nothing(tmp_path, network):
    with pytest.raises(mi.UserError, match="returns 2 values, and 3 outputs"):
        mi.save_bundle(tmp_path / "no", network, input={"preprocessing": STEPS}, output={"classes": ["a", "b", "c"]})
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"input": {"steps": STEPS}, "output": {"classes": ["a", "b"]}}, "knows no 'steps' in its input"),
        ({"input": {"preprocessing": STEPS}, "output": {"labels": ["a", "b"]}}, "knows no 'labels' in its output"),
    ],
)
def test_save_bundle_passes_nothing_over(about, sentence, tmp_path, network):
    with pytest.raises(mi.UserError, match=sentence):
        mi.save_bundle(tmp_path / "no", network, **about)
    assert not (tmp_path / "no").exists()


def test_what_inputs_looked_like_is_kept(tmp_path, network):
    statistics = {"n": 4, "ranges": {"mean_inside": [0.25, 0.5]}}
    about = {"preprocessing": STEPS, "statistics": statistics}
    mi.save_bundle(tmp_path / "saved", network, input=about, output={"classes": ["CN", "AD"]})
    assert find_model(tmp_path / "saved").metadata.statistics.as_json() == statistics


def test_what_is_typed_becomes_answers(tmp_path):
    (tmp_path / "steps.json").write_text(json.dumps(STEPS))
    (tmp_path / "statistics.json").write_text('{"n": 4, "ranges": {"mean_inside": [0, 1]}}')
    assert read_answers() is None
    made = read_answers(
        classes="age", output="regression", unit="years", range="18, 99.5", shape="12x14x12",
        preprocessing=tmp_path / "steps.json", statistics=tmp_path / "statistics.json",
    )  # fmt: skip
    assert made == Answers(
        ("age",), STEPS_AS_JSON, "regression", (12, 14, 12), "years", range=(18, 99.5),
        statistics={"n": 4, "ranges": {"mean_inside": [0, 1]}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"shape": "96,112"}, "not three whole numbers"),
        ({"shape": "96,112,9.5"}, "not three whole numbers"),
        ({"range": "young,old"}, "not two numbers"),
        ({"range": "0,inf"}, "not two numbers"),
        ({"preprocessing": "nowhere.json"}, "cannot be read as JSON"),
        ({"statistics": "list.json"}, "must hold a JSON object"),
    ],
)
def test_what_is_typed_wrongly_is_one_sentence(typed, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(mi.UserError, match=sentence) as caught:
        read_answers(**typed)
    assert "\n" not in str(caught.value)


def test_what_ships_cannot_be_removed():
    with pytest.raises(mi.UserError, match="among those that were added"):
        remove_model("atrophy_cnn")
    assert "atrophy_cnn" in {model.name for model in list_models()}


def test_metadata_of_an_added_model_is_sound_json(tmp_path, network):
    quantity = nn.Sequential(network, nn.Linear(2, 1))
    torch.jit.save(torch.jit.trace(quantity, X), str(tmp_path / "net.ts"))
    added = add_model(tmp_path / "net.ts", answers=Answers(("age",), STEPS, output="regression", unit="years"))
    written = json.loads((Path(added.path) / "configs" / "metadata.json").read_text())
    assert written["mri_interpret"]["output"] == {"kind": "regression", "name": "age", "unit": "years"}


def test_the_command_line_adds_lists_and_removes(tmp_path, network, capsys):
    from mri_interpret.command_line.app import main

    torch.jit.save(torch.jit.trace(network, X), str(tmp_path / "net.ts"))
    (tmp_path / "steps.json").write_text(json.dumps(STEPS))
    arguments = ["models", "add", str(tmp_path / "net.ts"), "--name", "mine", "--classes", "CN,AD"]
    for command in (
        [*arguments, "--preprocessing", str(tmp_path / "steps.json")],
        ["models"],
        ["models", "remove", "mine"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code in (0, None)
    printed = capsys.readouterr().out
    assert "Added mine" in printed
    assert "mine 1.0.0" in printed
    assert "Removed" in printed
