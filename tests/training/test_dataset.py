"""Episodes: seeded, advanced prompt by prompt, seen as the engine would see them."""

from dataclasses import replace

import numpy as np
import pytest

from napari_nninteractive.core.prompts import BoxPrompt, InitialMask, Lasso, Point, Scribble
from napari_nninteractive.training.dataset import (
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
from napari_nninteractive.training.scenes import Scene

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
