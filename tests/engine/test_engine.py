"""The engine as a value: opened on images, and played on without a session."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.model_folder import write_model_folder
from fixtures.oracles import Counting, bright, make_model, passthrough

import napari_nninteractive as nni
from napari_nninteractive.core.box import Box
from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.engine import Engine, load_engine
from napari_nninteractive.engine.history import State
from napari_nninteractive.engine.normalize import Normalization, measure
from napari_nninteractive.engine.results import Monitor
from napari_nninteractive.engine.steps import play

SHAPE, PATCH = (12, 20, 24), (8, 16, 16)
PLAN: Plan = (
    (nni.Point((6, 10, 12)), True),
    (nni.MaskEdit(np.ones((2, 2, 2)), (5, 5, 5)), False),
    (nni.Point((3, 3, 3), False), False),
    (None, True),
)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


class Watched:
    """An image that counts how often it is read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype, self.reads = array, array.shape, array.dtype, 0

    def __getitem__(self, key: Any) -> np.ndarray:
        self.reads += 1
        return self.array[key]


def test_steps_played_on_an_engine_are_those_of_a_session() -> None:
    model = make_model(PATCH)
    engine = Engine.of(model, precision="fp32", network=bright())
    predictor = engine.open(Volume.open(noise()))
    start = State.empty(SHAPE)
    state, prediction = play(predictor, start, start, PLAN, Monitor())

    session = nni.InferenceSession(model, precision="fp32", network=bright())
    session.set_image(noise())
    session.add(PLAN[0][0])  # type: ignore[arg-type]
    session.add(PLAN[1][0])  # type: ignore[arg-type]
    session.add(PLAN[2][0], predict=False)  # type: ignore[arg-type]
    session.predict()
    np.testing.assert_array_equal(state.mask.read(Box.of_shape(SHAPE)), np.asarray(session.mask))
    assert prediction.changed == state.mask.bounds()
    assert state.prompts == session.prompts
    assert start.steps == ()
    assert start.mask.bounds() is None


def test_one_engine_on_several_images() -> None:
    engine = Engine.of(make_model(SHAPE), precision="fp32", network=bright())
    images = [noise(seed) for seed in range(2)]
    predictors = [engine.open(Volume.open(image)) for image in images]
    start = State.empty(SHAPE)
    for predictor, image in zip(predictors, images, strict=True):
        state, _ = play(predictor, start, start, PLAN[:1], Monitor())
        mask = state.mask.read(Box.of_shape(SHAPE))
        np.testing.assert_array_equal(mask != 0, image > image.mean(dtype=float))


def test_what_it_says_of_itself() -> None:
    model, config = make_model(PATCH, kinds=frozenset({"point"})), nni.EngineConfig(max_zoom=2)
    engine = Engine.of(model, precision="fp32", autozoom=False, config=config)
    assert engine.model is model
    assert engine.device == torch.device("cpu")
    assert engine.precision == "fp32"
    assert engine.kinds == {"point"}
    assert engine.config == config
    assert not engine.autozoom
    assert engine.runner.network is model.network
    assert Engine.of(model).config == nni.EngineConfig()
    with pytest.raises(FrozenInstanceError):
        engine.autozoom = True  # type: ignore[misc]
    with pytest.raises(nni.SessionError, match="precision"):
        Engine.of(model, precision="fp8")  # type: ignore[arg-type]


def test_a_session_holds_one(tmp_path: Path) -> None:
    model, network = make_model(PATCH), passthrough
    session = nni.InferenceSession(model, precision="fp32", network=network, autozoom=False)
    assert session.engine.model is session.model is model
    assert session.engine.runner.network is network
    assert not session.engine.runner.keeps_input
    assert session.engine.precision == session.precision == "fp32"
    assert session.engine.config is session.config
    assert session.engine.autozoom is session.autozoom is False
    with pytest.raises(AttributeError):
        session.engine = session.engine  # type: ignore[misc]


def test_loaded_by_name_as_a_session_is(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "model")
    engine = load_engine(folder, "cpu", precision="bf16", autozoom=False)
    session = nni.InferenceSession.from_pretrained(folder, "cpu", precision="bf16", autozoom=False)
    for one in (engine, session.engine):
        assert one.model.folder == folder
        assert (one.device.type, one.precision, one.autozoom) == ("cpu", "bf16", False)
        assert one.runner.keeps_input
    with pytest.raises(nni.ModelError):
        load_engine(tmp_path / "gone")


class TestGivenNormalization:
    def test_gives_what_measuring_gives_without_reading_the_image(self) -> None:
        image = Watched(noise())
        network = Counting(bright(0.5))
        session = nni.InferenceSession(make_model(PATCH), precision="fp32", network=network)
        session.set_image(image)
        session.add(nni.Point((6, 10, 12)))
        measured, reads = np.asarray(session.mask), image.reads
        session.set_image(image, normalization=measure(Volume.open(image)))
        again = image.reads
        session.set_image(image, normalization=Normalization(0.0, 1.0))
        assert image.reads == again > reads
        session.set_image(image, normalization=measure(Volume.open(noise())))
        session.add(nni.Point((6, 10, 12)))
        np.testing.assert_array_equal(session.mask, measured)

    def test_is_what_the_network_sees(self) -> None:
        session = nni.InferenceSession(make_model(SHAPE), precision="fp32", network=bright())
        session.set_image(noise(), normalization=Normalization(0.7, 2.0))
        session.add(nni.Point((6, 10, 12)))
        np.testing.assert_array_equal(np.asarray(session.mask) != 0, noise() > 0.7)

    def test_of_a_constant_image(self) -> None:
        session = nni.InferenceSession(make_model(SHAPE), precision="fp32", network=bright())
        session.set_image(np.ones(SHAPE), normalization=Normalization(0.0, 1.0))
        assert session.volume.shape == SHAPE

    @pytest.mark.parametrize(
        ("mean", "std"), [(0.0, 0.0), (0.0, -1.0), (np.nan, 1.0), (0.0, np.nan), (np.inf, 1.0)]
    )
    def test_that_makes_no_sense_is_refused(self, mean: float, std: float) -> None:
        with pytest.raises(nni.ImageError, match="normalised"):
            Normalization(mean, std)
