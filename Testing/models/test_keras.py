"""Keras files: Keras' own numbers, and a sentence for each layer or ending that is not followed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.adding import add_model
from mri_interpret.models.answers import Answers
from mri_interpret.models.layer_list import LayerList
from mri_interpret.models.recipes.table import recipe_named
from mri_interpret.models.registry import find_model

STEPS = ({"step": "registration", "shape": [9, 8, 7], "spacing": [24, 24, 24], "origin": [-90, -126, -72]},)


def built(imported):
    network = LayerList(**json.loads(json.dumps(imported.arguments)))
    network.load_state_dict(imported.weights)
    return network.eval()


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found = pytest.importorskip("keras")
    if found.backend.backend() != "torch":
        pytest.skip("Keras runs on another backend")
    return found


def stacks(keras):
    layers = keras.layers
    shape = (9, 8, 7, 1)
    return {
        "Dyrba's": [
            keras.Input(shape), layers.Conv3D(5, 3, padding="same", activation="relu"), layers.MaxPooling3D(2),
            layers.BatchNormalization(), layers.Conv3D(4, 3, padding="same", activation="relu"), layers.Dropout(0.1),
            layers.MaxPooling3D(2), layers.Flatten(), layers.Dense(6, activation="relu"),
            layers.Dense(2, activation="softmax"),
        ],
        "strides, even kernels, same": [
            keras.Input(shape), layers.Conv3D(3, 4, strides=2, padding="same"), layers.LeakyReLU(negative_slope=0.2),
            layers.MaxPooling3D(3, strides=2, padding="same"), layers.Conv3D(4, 2), layers.Activation("elu"),
            layers.GlobalAveragePooling3D(), layers.Dense(3),
        ],
        "valid, average": [
            keras.Input(shape), layers.Conv3D(3, 3, use_bias=False), layers.ReLU(), layers.AveragePooling3D(2),
            layers.Flatten(), layers.BatchNormalization(), layers.Dense(1, activation="sigmoid"),
        ],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["Dyrba's", "strides, even kernels, same", "valid, average"])
def test_a_keras_file_gives_keras_own_numbers(name, keras, tmp_path):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(stacks(keras)[name])
    for layer in model.layers:  # running statistics that make a difference
        if isinstance(layer, keras.layers.BatchNormalization):
            generator = np.random.default_rng(0)
            layer.set_weights(
                [np.abs(generator.normal(1, 0.3, w.shape)).astype(np.float32) for w in layer.get_weights()]
            )
    path = tmp_path / "network.h5"
    model.save(path)
    x = np.random.default_rng(2).normal(size=(2, 9, 8, 7, 1)).astype(np.float32)
    expected = np.asarray(model.predict(x, verbose=0))
    with torch.no_grad():
        found = built(recipe_named("keras").read(path, {}))(torch.from_numpy(x[..., 0])[:, None])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_a_functional_chain_is_followed_and_a_branch_refused(keras, tmp_path):
    layers = keras.layers
    start = keras.Input((6, 6, 6, 1))
    x = layers.Conv3D(2, 3)(start)
    plain = keras.Model(start, layers.Dense(2)(layers.Flatten()(x)))
    plain.save(tmp_path / "plain.h5")
    x_in = np.random.default_rng(2).normal(size=(1, 6, 6, 6, 1)).astype(np.float32)
    with torch.no_grad():
        found = built(recipe_named("keras").read(tmp_path / "plain.h5", {}))(torch.from_numpy(x_in[..., 0])[:, None])
    np.testing.assert_allclose(found.numpy(), plain.predict(x_in, verbose=0), atol=1e-5)
    joined = layers.Add()([x, layers.Conv3D(2, 3, padding="same")(x)])
    keras.Model(start, layers.Dense(2)(layers.Flatten()(joined))).save(tmp_path / "branch.h5")
    with pytest.raises(UserError, match=r"no plain stack|not covered"):
        recipe_named("keras").read(tmp_path / "branch.h5", {})


@pytest.mark.parametrize(("layer", "sentence"), [("Conv3DTranspose", "not covered"), ("UpSampling3D", "not covered")])
def test_a_layer_that_is_not_covered_is_named(layer, sentence, keras, tmp_path):
    arguments = {"Conv3DTranspose": (2, 3), "UpSampling3D": (2,)}[layer]
    stack = [
        keras.Input((6, 6, 6, 1)),
        getattr(keras.layers, layer)(*arguments),
        keras.layers.Flatten(),
        keras.layers.Dense(2),
    ]
    keras.Sequential(stack).save(tmp_path / "x.h5")
    with pytest.raises(UserError, match=rf"{layer}\) is {sentence}"):
        recipe_named("keras").read(tmp_path / "x.h5", {})


def test_classes_are_named_one_for_each_output(keras, tmp_path):
    keras.Sequential([keras.Input((6, 6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]).save(tmp_path / "x.h5")
    found = recipe_named("keras").read(tmp_path / "x.h5", {"classes": "CN, AD"})
    assert found.metadata["mri_interpret"]["classes"] == ["CN", "AD"]
    with pytest.raises(UserError, match="2 outputs, and 3 classes"):
        recipe_named("keras").read(tmp_path / "x.h5", {"classes": "CN,MCI,AD"})


def saved(keras, path: Path, *stack: Any, shape: tuple[int, ...] = (6, 6, 6, 1)) -> Path:
    """A network of one convolution and then these layers."""
    keras.utils.set_random_seed(1)
    keras.Sequential([keras.Input(shape), keras.layers.Conv3D(4, 3), *stack]).save(path)
    return path


def test_a_layer_that_joins_its_input_with_itself_is_named(keras, tmp_path):
    start = keras.Input((6, 6, 6, 1))
    x = keras.layers.Conv3D(2, 3)(start)
    x = keras.layers.Add(name="twice")([x, x])
    x = keras.layers.GlobalAveragePooling3D()(x)
    keras.Model(start, keras.layers.Dense(2)(x)).save(tmp_path / "x.h5")
    with pytest.raises(UserError, match=r"its layer twice \(Add\) is not covered"):
        recipe_named("keras").read(tmp_path / "x.h5", {})


def test_outputs_in_the_middle_are_refused(keras, tmp_path):
    start = keras.Input((6, 6, 6, 1))
    first = keras.layers.Dense(3)(keras.layers.Flatten()(start))
    keras.Model(start, [first, keras.layers.Dense(2)(first)]).save(tmp_path / "x.h5")
    with pytest.raises(UserError, match="what a layer before its last one makes: no plain stack"):
        recipe_named("keras").read(tmp_path / "x.h5", {})


@pytest.mark.parametrize("axis", [1, 3])
def test_a_softmax_over_an_axis_of_the_image_is_refused(axis, keras, tmp_path):
    layers = keras.layers
    path = saved(keras, tmp_path / "x.h5", layers.Softmax(axis=axis), layers.Flatten(), layers.Dense(2))
    with pytest.raises(UserError, match=r"the softmax .* is not over channels"):
        recipe_named("keras").read(path, {})


@pytest.mark.parametrize("axis", [-1, 4])
def test_a_softmax_over_channels_gives_keras_own_numbers(axis, keras, tmp_path):
    layers = keras.layers
    path = saved(keras, tmp_path / "x.h5", layers.Softmax(axis=axis), layers.Flatten(), layers.Dense(2))
    x = np.random.default_rng(2).normal(size=(1, 6, 6, 6, 1)).astype(np.float32)
    with torch.no_grad():
        found = built(recipe_named("keras").read(path, {}))(torch.from_numpy(x[..., 0])[:, None])
    np.testing.assert_allclose(found.numpy(), keras.models.load_model(path).predict(x, verbose=0), atol=1e-5)


@pytest.mark.parametrize("ends", [("Flatten",), ("Flatten", "Softmax"), ("Flatten", "BatchNormalization")])
def test_a_flattened_image_at_the_end_is_refused(ends, keras, tmp_path):
    path = saved(keras, tmp_path / "x.h5", *(getattr(keras.layers, name)() for name in ends))
    with pytest.raises(UserError, match=r"an image of 4 x 4 x 4 voxels and 4 channels that was flattened"):
        recipe_named("keras").read(path, {})


def test_one_flattened_voxel_has_no_order(keras, tmp_path):
    path = saved(keras, tmp_path / "x.h5", keras.layers.Flatten(), keras.layers.Softmax(), shape=(3, 3, 3, 1))
    x = np.random.default_rng(2).normal(size=(1, 3, 3, 3, 1)).astype(np.float32)
    with torch.no_grad():
        found = built(recipe_named("keras").read(path, {}))(torch.from_numpy(x[..., 0])[:, None])
    np.testing.assert_allclose(found.numpy(), keras.models.load_model(path).predict(x, verbose=0), atol=1e-5)


# ---------------------------------------------------------------------- what the outputs are


@pytest.fixture
def one_unit(keras, tmp_path, monkeypatch):
    """A network that ends in one linear unit, a brain age perhaps."""
    monkeypatch.setenv("MRI_INTERPRET_MODELS", str(tmp_path / "models"))
    layers = keras.layers
    return saved(keras, tmp_path / "age.h5", layers.GlobalAveragePooling3D(), layers.Dense(1), shape=(9, 8, 7, 1))


@pytest.mark.parametrize("classes", [(), ("brain age",)])
def test_one_linear_unit_is_not_taken_for_log_odds(classes, one_unit):
    with pytest.raises(UserError, match=r"does not say what it is: give it with the option 'output'") as caught:
        add_model(one_unit, recipe="keras", answers=Answers(classes, STEPS))
    assert "\n" not in str(caught.value)


def test_a_quantity_is_said_by_the_answers(one_unit):
    answers = Answers(("brain age",), STEPS, output="regression", unit="years", range=(18, 95.5))
    add_model(one_unit, recipe="keras", name="age", answers=answers)
    meaning = find_model("age").metadata.output
    assert (meaning.kind, meaning.classes, meaning.unit) == ("regression", ("brain age",), "years")
    assert meaning.value_range == (18, 95.5)


def test_a_quantity_is_said_by_options(one_unit):
    options = {"output": "regression", "unit": "years", "classes": "brain age"}
    add_model(one_unit, recipe="keras", name="age", options=options, answers=Answers((), STEPS))
    assert find_model("age").metadata.output.is_quantity


@pytest.mark.parametrize("classes", [("CN", "AD"), ("AD",)])
def test_log_odds_are_said_by_the_answers(classes, one_unit):
    add_model(one_unit, recipe="keras", name="two", answers=Answers(classes, STEPS, output="logit"))
    meaning = find_model("two").metadata.output
    assert (meaning.kind, meaning.classes[1], meaning.count) == ("logit", "AD", 1)


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (Answers((), STEPS, output="regression", unit="years"), "the outputs have no names"),
        (Answers(("age",), STEPS, output="regression"), r"age\.h5: .* needs the 'unit' of the age"),
        (Answers(("age", "size"), STEPS, output="regression", unit="1"), "has one quantity, but 2 names"),
        (Answers(("age",), STEPS, unit="years"), "say 'regression' as the output too"),
        (Answers(("CN", "AD"), STEPS, output="labels"), "has 1 output, and 'labels' of CN, AD needs 2"),
        (Answers(("age",), STEPS, output="number"), "must be one of logits"),
    ],
)
def test_answers_on_the_output_that_do_not_do(answers, sentence, one_unit):
    with pytest.raises(UserError, match=sentence) as caught:
        add_model(one_unit, recipe="keras", answers=answers)
    assert "\n" not in str(caught.value)
