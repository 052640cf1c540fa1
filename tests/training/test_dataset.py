"""Episodes: seeded, advanced prompt by prompt, seen as the engine would see them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Scribble,
)
from napari_nninteractive.core.view import View
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.normalize import Normalization
from napari_nninteractive.engine.patch import PatchReader
from napari_nninteractive.engine.store import ChunkStore
from napari_nninteractive.simulation.images.scenes import Scene
from napari_nninteractive.training.data.dataset import (
    ENCODING,
    Episode,
    EpisodeConfig,
    _object,
    _unmistakable,
    advance,
    enlarged,
    episodes_of,
    from_record,
    sample_of,
    to_record,
    with_prediction,
)
from napari_nninteractive.training.data.zooms import ZOOMS

CONFIG = EpisodeConfig(per_scene=3, shape=(24, 32, 32))
PATCH = (16, 16, 16)


def episode(**changes):
    rng = np.random.default_rng(0)
    truth = np.zeros((30, 32, 34), bool)
    truth[10:20, 11:21, 12:22] = True
    image = rng.standard_normal(truth.shape).astype(np.float32)
    return replace(Episode(image, truth, np.zeros_like(truth), (0, 0, 0), 3), **changes)


def test_the_same_numbers_give_the_same_episodes_and_others_do_not():
    a, b, c = episodes_of(1, 2, CONFIG), episodes_of(1, 2, CONFIG), episodes_of(1, 3, CONFIG)
    assert 0 < len(a) <= CONFIG.per_scene
    for one, two in zip(a, b, strict=True):
        assert np.array_equal(one.image, two.image)
        assert np.array_equal(one.truth, two.truth)
        assert advance(one).prompts == advance(two).prompts
    assert not np.array_equal(a[0].image, c[0].image)


def magnified(coarse, zoom):
    """Array of which the engine sees `coarse` at a zoom; even numbers of voxels at 1.5, each pair of one value."""
    if zoom == 1.5:
        coarse, zoom = coarse[::2, ::2, ::2], 3
    for axis in range(3):
        coarse = coarse.repeat(int(zoom), axis)
    return coarse


@pytest.mark.parametrize("zoom", [1.0, 1.5, 2.0])
@pytest.mark.parametrize(
    "at",
    [(10, 12, 14), (0, 0, 0), (18, 22, 26), (2, 22, 12)],
    ids=["middle", "first", "last", "edge"],
)
def test_training_and_engine_see_the_same_in_a_patch(zoom, at):
    rng = np.random.default_rng(0)
    shape = (20, 24, 28)
    if zoom == 1.5:  # a plane, since values that jump would be interpolated between
        grids = [np.indices([round(n * f) for n in shape]) * g for f, g in ((1, 1.5), (1.5, 1.0))]
        image, large = (np.tensordot((0.1, -0.2, 0.3), g, 1).astype(np.float32) for g in grids)
        image += np.float32(0.25 * (0.1 - 0.2 + 0.3))
        mask = magnified(rng.random([n // 2 for n in shape]) < 0.5, 2)
    else:
        image = rng.standard_normal(shape).astype(np.float32)
        large, mask = magnified(image, zoom), rng.random(shape) < 0.5
    centre = [
        min(int((p + 0.5) * zoom), round(n * zoom) - 1) for p, n in zip(at, shape, strict=True)
    ]
    spot = rng.random((1, 5, 6)) < 0.5
    spot[0, 2, 3] = spot[0, :2, 0] = True
    prompts = (
        BoxPrompt((centre[0], 0, 0), (centre[0] + 1, centre[1] + 3, centre[2] + 2)),
        Scribble(spot, centre, False),
        Scribble(spot, np.subtract(centre, (0, 1, 0))),
        Lasso(spot, np.subtract(centre, (0, 2, 3)), False),
        Point((centre[0], max(centre[1] - 2, 0), centre[2]), False),
        MaskEdit(spot, centre),
        Point(centre),
    )
    drawn = episode(image=image, truth=mask, mask=mask, zoom=zoom, prompts=prompts, done=1)
    sample = sample_of(drawn, PATCH)
    assert all(p % 2 == 0 for p in sample.region.start)

    previous = ChunkStore(large.shape).draft()
    previous.write(Box.of_shape(large.shape), magnified(mask, zoom))
    reader = PatchReader(
        Volume.open(large), Normalization(0.0, 1.0), PATCH, ENCODING, torch.device("cpu")
    )
    start, stop = ([round(p * zoom) for p in c] for c in (sample.region.start, sample.region.stop))
    view = View.of(Box(start, stop), PATCH).zoomed((zoom,) * 3)
    seen = reader.fill(view, prompts, previous)[0].numpy()
    assert seen.shape == sample.inputs.shape == (8, *PATCH)
    for channel, (engine, training) in enumerate(zip(seen, sample.inputs, strict=True)):
        if zoom == 1.5 and channel == 0:
            np.testing.assert_allclose(engine, training, atol=1e-5)
        else:
            np.testing.assert_array_equal(engine, training, err_msg=f"channel {channel}")
        assert training.any(), f"channel {channel}"


def test_the_patch_holds_the_image_the_mask_and_the_prompt():
    drawn = replace(
        episode(),
        prompts=(Point((15, 16, 17)),),
        done=1,
        mask=episode().truth & (np.arange(34) < 17),
    )
    sample = sample_of(drawn, PATCH)
    assert sample.region.start == (7, 8, 9)
    assert np.array_equal(sample.inputs[0], drawn.image[sample.region.slices])
    assert np.array_equal(sample.inputs[1], drawn.mask[sample.region.slices])
    assert np.array_equal(sample.target, drawn.truth[sample.region.slices])
    assert np.unravel_index(sample.inputs[4].argmax(), PATCH) == (8, 8, 8)
    assert sample.inputs[4].max() == 1
    assert not sample.inputs[[2, 3, 5, 6, 7]].any()


def test_beyond_the_image_there_is_nothing():
    sample = sample_of(replace(episode(), prompts=(Point((0, 16, 17)),), done=1), PATCH)
    assert not sample.inputs[:2, :8].any()
    assert not sample.target[:8].any()
    assert sample.inputs[0, 8:].any()


def test_earlier_prompts_fade():
    prompts = (Point((15, 12, 17)), Point((15, 20, 17), positive=False))
    sample = sample_of(replace(episode(), prompts=prompts, done=2), (16, 32, 16))
    assert sample.inputs[4].max() == pytest.approx(0.9)
    assert sample.inputs[5].max() == 1


def test_from_further_away_prompts_are_smaller_and_fainter():
    near = replace(episode(), prompts=(Point((15, 16, 17)),), done=1)
    far = replace(near, zoom=2.0, prompts=(Point((30, 32, 34)),))
    a, b = (sample_of(e, PATCH).inputs for e in (near, far))
    assert np.unravel_index(b[4].argmax(), PATCH) == (8, 8, 8)
    assert 0 < (b[4] > 0).sum() < (a[4] > 0).sum()
    box = replace(far, prompts=(BoxPrompt((30, 24, 24), (31, 44, 44)),))
    assert sample_of(box, PATCH).inputs[2].max() == pytest.approx(0.5)  # half of a coarse voxel


@pytest.mark.parametrize("kind", [Scribble, Lasso])
def test_drawings_keep_their_place_when_enlarged(kind):
    mask = np.zeros((1, 6, 8), bool)
    mask[0, 1:3] = True
    large = enlarged(kind(mask, (4, 2, 3), False), 3.0, np.random.default_rng(0))
    assert not large.positive
    assert 12 <= large.bounds.start[0] < 15
    assert large.mask.shape[0] == 1
    centre = [(a + b) / 2 / 3 for a, b in zip(large.bounds.start, large.bounds.stop, strict=True)]
    assert np.allclose(centre[1:], [4, 7], atol=0.5)


def test_predictions_are_pasted_where_the_patch_lay():
    drawn = replace(episode(), prompts=(Point((0, 16, 17)),), done=1)
    region = sample_of(drawn, PATCH).region
    after = with_prediction(drawn, region, np.ones(PATCH, bool))
    assert after.mask.sum() == 8 * 16 * 16
    assert after.mask[:8, 8:24, 9:25].all()
    assert not drawn.mask.any()


def test_an_episode_ends_after_its_rounds_or_when_nothing_is_wrong():
    assert advance(replace(episode(), done=3)) is None
    assert advance(replace(episode(), mask=episode().truth)) is None
    going = advance(episode())
    assert going.done == 1
    assert len(going.prompts) == 1


def test_records_give_the_episode_back():
    drawn = advance(episode(zoom=1.0))
    back = from_record(to_record(drawn))
    assert np.array_equal(back.image, drawn.image)
    assert back.prompts == drawn.prompts
    assert advance(back).prompts == advance(drawn).prompts


def test_all_views_occur():
    config = EpisodeConfig(per_scene=8, zoomed=0.3, refining=0.3, misled=0.3, shape=(24, 32, 32))
    made = [e for i in range(4) for e in episodes_of(0, i, config)]
    assert any(e.zoom > 1 for e in made)
    assert any(e.centre is not None for e in made)
    assert any(
        e.centre is None and e.mask.any() and not np.array_equal(e.mask, e.truth) for e in made
    )
    assert not any(isinstance(p, InitialMask) for e in made for p in advance(e).prompts)


def two_touching(united):
    """Two cubes side by side, the first with a core of its own."""
    labels = np.zeros((24, 24, 40), np.int16)
    labels[6:18, 6:18, 4:18] = 1
    labels[9:15, 9:15, 7:13] = 3
    labels[6:18, 6:18, 18:32] = 2
    image = labels.astype(np.float32)
    scene = Scene(image, labels, (1,), (1.0,), 0.1, "nested", {1: (3,)})
    config = EpisodeConfig(zoomed=0, refining=0, misled=0, united=united)
    return scene, [_object(scene, 1, (0, 0, k), config) for k in range(6)]


def test_a_whole_holds_its_part_and_two_objects_together_are_both():
    scene, alone = two_touching(0.0)
    for truth, vague in alone:
        assert np.array_equal(truth, np.isin(scene.labels, (1, 3)))
        assert np.array_equal(vague, scene.labels == 3)
    _, together = two_touching(1.0)
    for truth, vague in together:
        assert np.array_equal(truth, scene.labels > 0)
        assert np.array_equal(vague, truth)


def test_the_first_prompt_of_such_an_object_says_which_one_is_meant():
    """No click into the core of a whole, no click at all where two objects are meant."""
    scene, alone = two_touching(0.0)
    truth, core = alone[0]
    kinds = set()
    for k in range(30):
        prompt = _unmistakable(truth, core, np.random.default_rng(k))
        kinds.add(type(prompt))
        if isinstance(prompt, Point):
            assert truth[prompt.position]
            assert not core[prompt.position]
    assert kinds == {Point, Scribble, BoxPrompt, Lasso}
    both = scene.labels > 0
    for k in range(30):
        assert not isinstance(_unmistakable(both, both, np.random.default_rng(k)), Point)


def test_an_opening_comes_first_and_survives_a_checkpoint():
    opening = Point((12, 12, 13))
    begun = from_record(to_record(replace(episode(), opening=opening)))
    assert advance(begun).prompts == (opening,)


def test_training_looks_from_where_autozoom_does():
    assert ZOOMS == (1.5, 2.0, 2.25, 3.0, 3.375, 4.0)
