"""Learning from finished objects: what is held back decides, wrong examples are refused, cancel leaves nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.model import load_model
from napari_nninteractive.engine.results import CancelToken
from napari_nninteractive.errors import Cancelled, ImageError, ModelError
from napari_nninteractive.learning.examples import Example, held_back, stacks_of, without
from napari_nninteractive.learning.learn import _is_better, _left, learn
from napari_nninteractive.learning.measure import Quality, mean_of, qualities_of
from napari_nninteractive.learning.record import RECORD


def shells(seed: int = 0) -> Example:
    """Six balls in a grid, of which only a thin outline is stained: the object is the whole ball."""
    rng = np.random.default_rng(seed)
    shape = (40, 80, 112)
    image, labels = np.zeros(shape, np.float32), np.zeros(shape, np.uint16)
    grid = np.indices(shape)
    for number in range(6):
        middle = (20, 22 + 36 * (number // 3), 20 + 36 * (number % 3))
        far = np.sqrt(sum((g - m) ** 2 for g, m in zip(grid, middle, strict=True)))
        labels[far < 14] = number + 1
        image += np.exp(-(((far - 13) / 1.5) ** 2))
    image += rng.normal(0, 0.15, shape)
    return Example(image.astype(np.float32), labels)


def test_a_third_is_held_back_and_not_trained_on():
    stacks = stacks_of([shells()])
    held = held_back(stacks, seed=0)
    trained = {t.label for pair in without(stacks, held) for t in pair.targets}
    assert len(held) == 2
    assert trained | {t.label for _, t in held} == {1, 2, 3, 4, 5, 6}
    assert trained.isdisjoint(t.label for _, t in held)


@pytest.mark.parametrize(("objects", "held"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2)])
def test_how_many_are_held_back(objects, held):
    example = shells()
    labels = np.where(example.labels <= objects, example.labels, 0)
    assert len(held_back(stacks_of([Example(example.image, labels)]), 0)) == held


def test_bad_examples_are_named():
    good = shells()
    with pytest.raises(ImageError, match="nothing to learn from"):
        stacks_of([])
    with pytest.raises(ImageError, match="example 2: the image has 40 × 80 × 112 voxels"):
        stacks_of([good, Example(good.image, good.labels[1:])])
    with pytest.raises(ImageError, match="example 1 holds no object of at least 30 voxels"):
        stacks_of([Example(good.image, np.zeros_like(good.labels))])
    with pytest.raises(ImageError, match="whole numbers"):
        stacks_of([Example(good.image, good.labels.astype(float))])
    tiny = np.zeros_like(good.labels)
    tiny[5, 5, :10] = 1
    with pytest.raises(ImageError, match="only 1 smaller ones"):
        stacks_of([Example(good.image, tiny)])


def test_no_steps_are_refused():
    with pytest.raises(ModelError, match="at least one step"):
        learn("builtin", [shells()], steps=0)


def test_cancel_ends_it():
    token = CancelToken()
    seen = []

    def progress(share: float) -> None:
        seen.append(share)
        if share > 0.1:
            token.cancel()

    with pytest.raises(Cancelled):
        learn("builtin", [shells()], steps=10, device="cpu", progress=progress, cancel=token)
    assert seen[-1] < 0.3


def test_the_same_seed_gives_the_same_weights():
    found = [learn("builtin", [shells()], steps=3, seed=1, device="cpu") for _ in range(2)]
    assert [one.steps for one in found] == [3, 3]
    assert found[0].record.weights_sha256 == found[1].record.weights_sha256
    assert found[0].record.weights_sha256 != found[0].record.model_sha256
    assert (found[0].before, found[0].after) == (found[1].before, found[1].after)


def test_another_seed_gives_other_weights():
    found = [learn("builtin", [shells()], steps=1, seed=seed, device="cpu") for seed in (1, 2)]
    assert found[0].record.weights_sha256 != found[1].record.weights_sha256


def test_time_for_measuring_is_left_aside():
    assert _left(60.0, 8.0) == 60.0 - 2.25 * 8.0 - 2.0
    assert _left(10.0, 30.0) == 1.0


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        ((0.6, 0.8), (0.8, 0.9), True),
        ((0.6, 0.8), (0.595, 0.83), True),
        ((0.6, 0.8), (0.58, 0.95), False),
        ((0.6, 0.8), (0.61, 0.805), False),
        ((0.2, 0.37), (0.23, 0.41), False),
    ],
)
def test_what_is_better(before, after, better):
    assert _is_better(Quality(*before), Quality(*after)) is better


def test_no_object_is_measured_after_the_time_is_over():
    stacks = stacks_of([shells()])
    objects = [(0, target) for target in stacks[0].pair.targets]
    done = []
    found = qualities_of(load_model("builtin"), stacks, objects, lambda: done.append(1), until=0.0)
    assert len(found) == len(done) == 1
    more = qualities_of(load_model("builtin"), stacks, objects[:2])
    assert len(more) == 2
    assert more[0] == found[0]
    assert mean_of(more).first == pytest.approx((more[0].first + more[1].first) / 2)


def test_it_gains_and_can_be_saved(tmp_path):
    found = learn("builtin", [shells()], steps=20, device="cpu")
    assert found.adopted
    assert found.held_back == 2
    assert found.after.first > found.before.first + 0.01
    saved = load_model(found.save(tmp_path / "balls"), "cpu")
    assert saved.sha256 == found.model.sha256
    record = json.loads((tmp_path / "balls" / RECORD).read_text())
    assert (record["model"], record["objects"], record["held_back"], record["steps"]) == (
        "builtin",
        6,
        2,
        20,
    )
    assert record["measured"] == 2
    assert record["weights_sha256"] == saved.sha256
    assert record["images_sha256"] == [Volume.open(shells().image).sha256()]
    assert record["after"]["first"] == found.after.first


def test_masks_beside_their_objects_are_not_adopted(tmp_path):
    good = shells()
    wrong = np.zeros_like(good.labels)
    for number in range(1, 7):
        shift = np.random.default_rng(number).choice([-8, 8], 3)
        wrong[np.roll(good.labels == number, shift, (0, 1, 2)) & (wrong == 0)] = number
    found = learn("builtin", [Example(good.image, wrong)], steps=20, device="cpu")
    assert not found.adopted
    assert found.model.id == "builtin"
    with pytest.raises(ModelError, match="nothing to save"):
        found.save(tmp_path / "balls")
    assert not (tmp_path / "balls").exists()
