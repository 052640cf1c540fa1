"""Pictures: what is drawn, looked up in matplotlib's own objects and in the pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from fixtures.balls import Scripted, ball
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D

from napari_nninteractive.core.prompts import BoxPrompt, Point
from napari_nninteractive.evaluation import curves
from napari_nninteractive.evaluation.curves import draw_curves
from napari_nninteractive.evaluation.drawing import draw_plane
from napari_nninteractive.evaluation.presets import BASELINES, Trial
from napari_nninteractive.evaluation.protocol import ObjectResult, run_volume
from napari_nninteractive.evaluation.worst import draw_worst, worst_objects

SHAPE = (24, 24, 48)


def measured(volume, style: str = "points") -> list[ObjectResult]:
    answers = [ball(SHAPE, (12, 12, 12), r) for r in (4, 5)]
    return list(run_volume(Scripted(answers), volume, (1, 2), [Trial(style, 2)]))


def colours(path: Path) -> set[tuple[int, ...]]:
    picture = (imread(path)[..., :3] * 255).round().astype(int)
    return {tuple(int(v) for v in c) for c in np.unique(picture.reshape(-1, 3), axis=0)}


def test_curves_are_a_png(two_balls, tmp_path: Path) -> None:
    draw_curves(tmp_path / "curves", measured(two_balls))
    picture = imread(tmp_path / "curves", format="png")
    assert picture.ndim == 3
    assert (0, 0, 0) in colours(tmp_path / "curves")


def drawn(monkeypatch, tmp_path: Path, results: list[ObjectResult]) -> dict[str, Line2D]:
    """Lines of the first panel by their names."""
    kept: list[Figure] = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, path: kept.append(figure))
    draw_curves(tmp_path / "curves", results)
    return {str(line.get_label()): line for line in kept[0].axes[0].lines}


def test_the_model_is_drawn_last_in_black(two_balls, tmp_path: Path, monkeypatch) -> None:
    one = measured(two_balls)
    methods = ["builtin", *BASELINES, *(f"{b}+box" for b in BASELINES)]
    results = [replace(r, method=m) for m in methods for r in one]
    lines = drawn(monkeypatch, tmp_path, results)
    assert list(lines) == methods
    looks = {m: (line.get_color(), line.get_linestyle()) for m, line in lines.items()}
    assert looks["builtin"] == ("black", "-")
    assert (looks["otsu"], looks["otsu+box"]) == (("C4", "-"), ("C9", "--"))
    assert len(set(looks.values())) == len(methods)
    assert sorted(c for c, _ in looks.values()) == sorted(["black", *(f"C{i}" for i in range(10))])
    model = lines.pop("builtin")
    assert all(model.get_zorder() > o.get_zorder() for o in lines.values())
    assert all(model.get_linewidth() < o.get_linewidth() for o in lines.values())


def test_styles_of_a_model_alone_have_colours(two_balls, tmp_path: Path, monkeypatch) -> None:
    results = [r for style in ("points", "box", "lasso") for r in measured(two_balls, style)]
    lines = drawn(monkeypatch, tmp_path, results)
    assert {n: line.get_color() for n, line in lines.items()} == {
        "points": "C0", "box": "C1", "lasso": "C2",
    }  # fmt: skip


def test_the_sheet_has_outlines_of_mask_and_truth(two_balls, tmp_path: Path) -> None:
    read: list[str] = []

    def volume(name: str):
        read.append(name)
        return two_balls

    for style in ("points", "lasso"):
        path = tmp_path / f"{style}.png"
        results = measured(two_balls, style)
        draw_worst(path, worst_objects(results), volume)
        assert {(0x00, 0xC8, 0xFF), (0xFF, 0xD0, 0x00), (0x40, 0xFF, 0x60)} <= colours(path)
    assert read == ["balls", "balls"]  # once for both objects
    one = tmp_path / "one.png"
    draw_worst(one, results[:1], volume)
    assert imread(one).shape[0] < imread(path).shape[0]


def test_prompts_of_a_plane(two_balls) -> None:
    part = np.s_[4:20, 6:22, 8:40]
    truth = two_balls.labels[part] == 1
    panel = Figure().subplots()
    prompts = [
        Point((12, 12, 12)),
        Point((9, 10, 20), positive=False),
        Point((0, 0, 0)),  # outside of what is shown
        BoxPrompt((12, 8, 10), (13, 18, 30)),
        BoxPrompt((11, 8, 10), (12, 18, 30)),  # on another plane
    ]
    draw_plane(
        panel,
        two_balls.image[part],
        truth,
        truth,
        prompts,
        axis=0,
        at=12,
        spacing=(2.0, 1.0, 0.5),
        origin=(4, 6, 8),
    )
    np.testing.assert_array_equal(panel.images[0].get_array(), two_balls.image[part][8])
    marks = [(float(m.get_xdata()[0]), float(m.get_ydata()[0])) for m in panel.lines]
    assert marks == [(4.0, 6.0), (12.0, 4.0)]
    assert [m.get_markerfacecolor() for m in panel.lines] == ["#40ff60", "none"]
    assert len(panel.collections) == 3  # truth, mask, one box
    assert panel.get_aspect() == 2.0
