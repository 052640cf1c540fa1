"""Scribbles stay inside their shape, each sort where its name says; lassos go round it."""

import numpy as np
import pytest
from scipy import ndimage

from napari_nninteractive.errors import PromptError
from napari_nninteractive.simulation.users.strokes import OUTLINES, STROKES, draw, outline, stroke

ROWS, COLS = np.indices((40, 60))
DISC = (ROWS - 20) ** 2 + (COLS - 30) ** 2 <= 14**2
BAR = (abs(ROWS - 20) <= 4) & (abs(COLS - 30) <= 24)
DEPTH = {id(s): ndimage.distance_transform_edt(s) for s in (DISC, BAR)}
SEEDS = range(8)


@pytest.mark.parametrize("sort", STROKES)
@pytest.mark.parametrize("shape", [DISC, BAR], ids=["disc", "bar"])
def test_strokes_are_thin_and_inside(sort, shape):
    for seed in SEEDS:
        drawn = stroke(shape, np.random.default_rng(seed), {sort: 1.0})
        assert drawn.any()
        assert not (drawn & ~shape).any()
        assert ndimage.distance_transform_edt(drawn).max() <= 2.3


def test_a_centre_line_runs_along_the_middle_of_a_bar():
    for seed in SEEDS:
        drawn = stroke(BAR, np.random.default_rng(seed), {"centre": 1.0})
        rows, cols = np.nonzero(drawn & (abs(COLS - 30) <= 18))
        assert abs(rows - 20).max() <= 1
        assert np.ptp(cols) >= 8


def test_a_contour_keeps_its_distance_to_the_edge():
    for seed in SEEDS:
        drawn = stroke(DISC, np.random.default_rng(seed), {"contour": 1.0})
        found = DEPTH[id(DISC)][drawn]
        assert found.min() >= 0.2 * 14
        assert found.max() <= 0.6 * 15 + 1.5
        assert np.ptp(found) <= 1.5


def test_lines_go_in_all_directions():
    spans = np.array(
        [
            [np.ptp(i) for i in np.nonzero(stroke(DISC, np.random.default_rng(s), {"line": 1.0}))]
            for s in range(20)
        ]
    )
    assert (spans[:, 0] > 2 * spans[:, 1]).any()
    assert (spans[:, 1] > 2 * spans[:, 0]).any()


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_lassos_go_round_the_shape_each_in_its_way():
    for seed in SEEDS:
        drawn = {s: outline(DISC, np.random.default_rng(seed), 0.1, {s: 1.0}) for s in OUTLINES}
        assert all(dice(d, DISC) > 0.7 for d in drawn.values())
        assert not (DISC & ~drawn["dilated"]).any()
        assert drawn["dilated"].sum() > 1.1 * DISC.sum()
        assert (drawn["deformed"] & ~DISC).any()
        assert (DISC & ~drawn["deformed"]).any()


def test_more_jitter_deforms_more():
    found = {}
    for jitter in (0.05, 0.3):
        masks = [outline(DISC, np.random.default_rng(s), jitter, {"deformed": 1.0}) for s in SEEDS]
        found[jitter] = np.mean([dice(m, DISC) for m in masks])
    assert found[0.3] < found[0.05] - 0.03


@pytest.mark.parametrize("sort", STROKES)
def test_one_voxel_takes_every_stroke(sort):
    one = np.zeros((5, 6), bool)
    one[2, 3] = True
    assert (stroke(one, np.random.default_rng(0), {sort: 1.0}) == one).all()


def test_names_are_drawn_by_their_weights():
    rng = np.random.default_rng(0)
    found = [draw({"a": 1.0, "b": 3.0, "c": 0.0}, rng, ("a", "b", "c")) for _ in range(400)]
    assert "c" not in found
    assert 70 <= found.count("a") <= 130


@pytest.mark.parametrize("shares", [{"spiral": 1.0}, {"line": 0.0}, {"line": -1.0}, {}])
def test_shares_that_make_no_sense_are_named(shares):
    with pytest.raises(PromptError, match="Expected weights"):
        stroke(DISC, np.random.default_rng(0), shares)
