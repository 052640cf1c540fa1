"""Episodes from labelled volumes: image and truth belong together near and far, and repeat themselves."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from scipy import ndimage as ndi

from napari_nninteractive.core.box import Box
from napari_nninteractive.engine.model import load_model
from napari_nninteractive.training.data.crops import PairSource, varied
from napari_nninteractive.training.data.dataset import (
    EpisodeConfig,
    advance,
    from_record,
    sample_of,
    to_record,
)
from napari_nninteractive.training.data.pairs import read_pairs
from napari_nninteractive.training.data.source import Ahead
from napari_nninteractive.training.loop import train
from napari_nninteractive.training.run import export_run

PATCH = (16, 16, 16)
NEAR = EpisodeConfig(zoomed=0.0, refining=0.0, misled=0.0)


def ball(centre, radius, shape):
    grid = np.indices(shape)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


def written(folder, name, labels):
    """A pair whose image is bright where its objects are."""
    rng = np.random.default_rng(1)
    image = (1000 * (labels > 0) + rng.normal(300, 30, labels.shape)).astype(np.float32)
    for kind, values in (("images", image), ("labels", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / kind / f"{name}.tif", values)


@pytest.fixture
def data(tmp_path):
    shape = (30, 50, 60)
    labels = np.zeros(shape, np.uint8)
    labels[ball((10, 12, 14), 7, shape)] = 1
    labels[ball((18, 34, 40), 9, shape)] = 2
    written(tmp_path / "data", "a", labels)
    written(tmp_path / "data", "b", labels[::-1, ::-1])
    return tmp_path / "data"


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def bright(image):
    return ndi.gaussian_filter(image, 0.7) > (image.max() + image.min()) / 2


def test_the_same_numbers_give_the_same_episodes_here_and_elsewhere(data):
    source = PairSource(read_pairs(data), PATCH)
    copy = pickle.loads(pickle.dumps(source))
    assert copy.key == source.key
    for index in range(4):
        for a, b in zip(source(3, index), copy(3, index), strict=True):
            assert (a.key, a.zoom, a.rounds, a.centre) == (b.key, b.zoom, b.rounds, b.centre)
            for part in ("image", "truth", "mask"):
                assert np.array_equal(getattr(a, part), getattr(b, part))
    first, other = source(3, 0)[0], source(4, 0)[0]
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


def test_workers_make_the_same_episodes(data):
    source = PairSource(read_pairs(data), PATCH)
    ahead = Ahead(source, 0, 1, stride=2, workers=1)
    try:
        made = [ahead.take() for _ in range(2)]
    finally:
        ahead.close()
    for episodes, index in zip(made, (1, 3), strict=True):
        for a, b in zip(episodes, source(0, index), strict=True):
            assert np.array_equal(a.image, b.image)
            assert np.array_equal(a.truth, b.truth)


def test_near_crops_hold_the_object_with_room_round_it(data):
    source = PairSource(read_pairs(data), (48, 48, 48), NEAR)
    sizes = {
        1: ball((10, 12, 14), 7, (30, 50, 60)).sum(),
        2: ball((18, 34, 40), 9, (30, 50, 60)).sum(),
    }
    found = set()
    for index in range(6):
        for episode in source(0, index):
            assert episode.zoom == 1.0
            assert int(episode.truth.sum()) in sizes.values()
            assert episode.truth.shape == episode.image.shape == episode.mask.shape
            # Both objects are bright; the one meant is wholly so.
            assert np.mean(~bright(episode.image)[episode.truth]) < 0.1
            found.add((episode.name, int(episode.truth.sum())))
    assert found == {(n, int(s)) for n in "ab" for s in sizes.values()}


def test_all_volumes_are_gone_through(data):
    source = PairSource(read_pairs(data), PATCH)
    for start in (0, 2, 4):
        assert {source(0, i)[0].name for i in (start, start + 1)} == {"a", "b"}


def test_large_objects_are_often_seen_from_further_away_and_fit_there(tmp_path):
    shape = (48, 60, 60)
    written(tmp_path, "a", ball((24, 30, 30), 21, shape).astype(np.uint8))
    source = PairSource(read_pairs(tmp_path), PATCH, NEAR)
    episodes = [source(0, i)[0] for i in range(24)]
    far = [e for e in episodes if e.zoom > 1]
    assert 6 <= len(far) <= 18
    for episode in far:
        assert dice(bright(episode.image), episode.truth) > 0.85
        expected = 4 / 3 * np.pi * (21 / episode.zoom) ** 3
        if episode.zoom >= 3:  # wholly inside the crop
            assert episode.truth.sum() == pytest.approx(expected, rel=0.12)
    for episode in episodes:
        assert all(n <= round(1.5 * p) for n, p in zip(episode.image.shape, PATCH, strict=True))
        assert episode.truth.any()


def test_prompts_of_far_episodes_are_in_voxels_of_the_image(tmp_path):
    shape = (48, 60, 60)
    written(tmp_path, "a", ball((24, 30, 30), 21, shape).astype(np.uint8))
    source = PairSource(read_pairs(tmp_path), PATCH, NEAR)
    seen = 0
    for index in range(12):
        episode = advance(source(1, index)[0])
        if episode is None or episode.zoom == 1.0:
            continue
        sample = sample_of(episode, PATCH)
        assert sample.inputs.shape == (8, *PATCH)
        drawn = episode.prompts[0].bounds
        middle = [(a + b) / 2 for a, b in zip(drawn.start, drawn.stop, strict=True)]
        at = tuple(
            min(int(m / episode.zoom), n - 1)
            for m, n in zip(middle, episode.truth.shape, strict=True)
        )
        near = ndi.binary_dilation(episode.truth, iterations=2)
        assert near[at]
        seen += 1
    assert seen >= 3


def test_shares_of_episodes_with_a_mask_to_refine_or_to_correct(data):
    pairs = read_pairs(data)
    refining = PairSource(pairs, (48, 48, 48), replace(NEAR, refining=1.0))(0, 0)
    assert all(e.centre is not None and e.rounds == 1 for e in refining)
    assert all(1 > dice(e.mask, e.truth) > 0.1 for e in refining)
    misled = PairSource(pairs, (48, 48, 48), replace(NEAR, misled=1.0))
    assert all(e.centre is None and e.mask.any() for i in range(3) for e in misled(0, i))


def test_single_slices_stay_flat(tmp_path):
    labels = ball((20, 22), 9, (40, 50)).astype(np.uint8)
    written(tmp_path, "a", labels)
    source = PairSource(read_pairs(tmp_path), PATCH)
    for index in range(8):
        (episode,) = source(0, index)
        assert episode.image.shape[0] == 1
        begun = advance(episode)
        assert begun.prompts[0].bounds.shape[0] == 1
        back = from_record(to_record(begun))
        assert np.array_equal(back.image, begun.image)
        assert np.array_equal(back.truth, begun.truth)


def test_slices_thicker_than_wide_stay_across_z(tmp_path):
    labels = np.zeros((6, 40, 40), np.uint8)
    labels[1:5, 10:30, 10:30] = 1
    written(tmp_path, "a", labels)
    (pair,) = read_pairs(tmp_path)
    thick = PairSource((replace(pair, spacing=(5.0, 1.0, 1.0)),), (8, 16, 16), NEAR)
    shapes = {thick(0, i)[0].truth.shape[0] for i in range(12) if thick(0, i)[0].zoom == 1}
    assert shapes == {6}


def test_variation_is_modest_and_keeps_the_order_of_intensities():
    image = np.linspace(-2, 2, 4096, dtype=np.float32).reshape(16, 16, 16)
    for seed in range(20):
        out = varied(image, np.random.default_rng(seed))
        assert out.dtype == np.float32
        assert np.corrcoef(out.ravel(), image.ravel())[0, 1] > 0.97
        assert 0.5 < out.std() / image.std() < 2.0
    constant = np.zeros((4, 4, 4), np.float32)
    assert all(np.isfinite(varied(constant, np.random.default_rng(s))).all() for s in range(10))


def test_fine_tuning_lowers_the_loss_and_resumes_to_the_same_weights(data, tmp_path, tiny):
    config = replace(tiny, batch=2, max_steps=40, rate=5e-3)
    source = PairSource(read_pairs(data), tiny.network.patch)
    losses = []
    whole = train(tmp_path / "whole", config, source=source, report=lambda r: losses.append(r.loss))
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.15
    train(tmp_path / "parts", replace(config, max_steps=20, cool_from=1.0), source=source)
    again = train(tmp_path / "parts", config, source=source, resume=True)
    for name, value in whole.averaged.items():
        assert torch.equal(value, again.averaged[name]), name
    model = load_model(export_run(whole, tmp_path / "model"), device="cpu")
    assert model.patch_size == tiny.network.patch


def test_boxes_of_targets_can_touch_the_border(tmp_path):
    labels = np.zeros((10, 30, 30), np.uint8)
    labels[:, :12, 18:] = 4
    written(tmp_path, "a", labels)
    (pair,) = read_pairs(tmp_path)
    assert pair.targets[0].bounds == Box((0, 0, 18), (10, 12, 30))
    episodes = [PairSource((pair,), (8, 16, 16), NEAR)(0, i)[0] for i in range(4)]
    assert all(e.truth.any() for e in episodes)
