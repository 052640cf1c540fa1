"""`demo`: from nothing to a mask, its Dice and a picture."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nninteractive.cli.main import main
from napari_nninteractive.cli.picture import draw_planes
from napari_nninteractive.core.prompts import Point
from napari_nninteractive.io import read_image
from napari_nninteractive.simulation.images import samples

FILES = {"stack.nii.gz", "truth.nii.gz", "mask.nii.gz", "demo.png", "demo.json"}


def run(*words: object) -> int:
    return main(["demo", *(str(w) for w in words)])


class FakeViewer:
    """Takes layers as napari does."""

    def __init__(self) -> None:
        self.layers: dict[str, Any] = {}
        self.dims = self
        self.point: Any = None

    def __getattr__(self, name: str) -> Any:
        return lambda data, **options: self.layers.update({options["name"]: (data, options)})

    def set_point(self, axes: Any, point: Any) -> None:
        self.point = list(point)


def test_an_object_from_one_click(
    flood_model: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, shown = FakeViewer(), []
    monkeypatch.setattr("napari_nninteractive.cli.demo.open_viewer", lambda: viewer)
    monkeypatch.setattr("napari_nninteractive.cli.demo.check_viewer", lambda: None)
    monkeypatch.setattr("napari_nninteractive.cli.demo.run_viewer", lambda: shown.append(True))
    out = tmp_path / "new" / "demo"
    assert run("--model", flood_model, "--precision", "fp32", "-o", out, "--view") == 0

    text = capsys.readouterr().out
    scores = [float(s) for s in re.findall(r"Dice (\d\.\d+)", text)]
    assert len(scores) == 2
    assert min(scores) > 0.9
    assert "on cpu (fp32)" in text
    assert re.search(r"click 1, inside, at \d+,\d+,\d+: Dice \d.\d+, \d+\.\d s", text)

    assert {p.name for p in out.iterdir()} == FILES
    sample = samples.nuclei()
    stack, truth, mask = (read_image(out / f"{n}.nii.gz") for n in ("stack", "truth", "mask"))
    np.testing.assert_array_equal(stack.data, sample.image)
    np.testing.assert_array_equal(truth.data, sample.labels)
    assert stack.spacing == truth.spacing == mask.spacing == sample.spacing
    assert stack.unit == mask.unit == "µm"
    inside = sample.labels == sample.inner_object()
    found = np.asarray(mask.data) == 1
    dice = 2 * (found & inside).sum() / (found.sum() + inside.sum())
    assert dice == pytest.approx(scores[-1], abs=5e-4)

    assert shown == [True]
    assert set(viewer.layers) == {"nuclei", "truth", "mask", "clicks"}
    np.testing.assert_array_equal(viewer.layers["mask"][0], mask.data)
    assert all(options["scale"] == sample.spacing for _, options in viewer.layers.values())
    np.testing.assert_allclose(
        viewer.point, np.multiply(viewer.layers["clicks"][0][0], sample.spacing)
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the stack small, for a model that cannot segment it anyway."""
    make = samples.nuclei
    monkeypatch.setitem(samples.SAMPLES, "nuclei", lambda seed=0: make((16, 32, 32), seed))


@pytest.mark.usefixtures("small")
def test_a_second_demo_replaces_the_first(model: Path, tmp_path: Path) -> None:
    words = ["--model", model, "-o", tmp_path / "d", "--device", "cpu"]
    assert run(*words) == 0
    first = read_image(tmp_path / "d" / "stack.nii.gz").data
    assert run(*words, "--seed", 1) == 0
    assert not np.array_equal(first, read_image(tmp_path / "d" / "stack.nii.gz").data)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "absent"], "absent"),
        (["--seed", "-1"], "--seed"),
        (["--sample", "cats"], "invalid choice"),
    ],
)
def test_errors(words: list[str], message: str, tmp_path: Path, capsys: Any) -> None:
    assert run(*words, "-o", tmp_path / "d") == 2
    assert message in capsys.readouterr().err


def test_without_napari_it_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setitem(sys.modules, "napari", None)
    assert run("--view", "-o", tmp_path / "d") == 2
    captured = capsys.readouterr()
    assert 'pip install "napari[all]"' in captured.err
    assert captured.out == ""
    assert not (tmp_path / "d").exists()


def test_other_files_are_left_alone(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert run("-o", tmp_path) == 2
    assert "thesis.txt" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    assert run("-o", tmp_path / "thesis.txt") == 2
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize("marker", [None, "{}", "[", '{"napari-nninteractive demo": {"a": "b"}}'])
def test_files_of_the_same_names_that_no_demo_wrote_are_left_alone(
    tmp_path: Path, capsys: Any, marker: str | None
) -> None:
    for name in ("stack.nii.gz", "mask.nii.gz"):
        (tmp_path / name).write_text("my own")
    if marker is not None:
        (tmp_path / "demo.json").write_text(marker)
    assert run("-o", tmp_path) == 2
    message = capsys.readouterr().err
    assert "not from a demo" in message
    assert "--force" in message
    for name in ("stack.nii.gz", "mask.nii.gz"):
        assert (tmp_path / name).read_text() == "my own"


@pytest.mark.usefixtures("small")
def test_what_was_changed_after_a_demo_is_replaced_only_by_force(
    model: Path, tmp_path: Path, capsys: Any
) -> None:
    words = ["--model", model, "-o", tmp_path / "d", "--device", "cpu"]
    assert run(*words) == 0
    stack, notes = tmp_path / "d" / "stack.nii.gz", tmp_path / "d" / "notes.txt"
    notes.write_text("mine")
    assert run(*words) == 0  # beside files of a demo, others do not matter
    stack.write_text("my own")
    assert run(*words) == 2
    assert "stack.nii.gz" in capsys.readouterr().err
    assert stack.read_text() == "my own"
    assert run(*words, "--force") == 0
    np.testing.assert_array_equal(read_image(stack).data, samples.SAMPLES["nuclei"](seed=0).image)
    assert notes.read_text() == "mine"


@pytest.mark.parametrize(("name", "said"), [("vessels", True), ("nuclei", False)])
def test_what_the_built_in_model_does_less_well_is_said(
    name: str, said: bool, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = samples.SAMPLES[name]
    monkeypatch.setitem(samples.SAMPLES, name, lambda seed=0: make((16, 32, 32), seed))
    assert run("--sample", name, "-o", tmp_path / "d", "--device", "cpu") == 0
    assert (f"weaker on {name}" in capsys.readouterr().out) == said


def test_picture_shows_outlines_and_clicks(tmp_path: Path) -> None:
    from matplotlib.image import imread

    sample = samples.nuclei((16, 32, 32))
    truth = sample.labels == sample.inner_object()
    points = [Point(tuple(np.argwhere(truth)[0])), Point((0, 0, 0), positive=False)]
    path = draw_planes(
        tmp_path / "p.png", sample.image, np.zeros_like(truth), truth, points, sample.spacing, "t"
    )
    picture = imread(path)[..., :3]

    def shows(colour: str) -> bool:
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return bool((np.abs(picture - rgb).max(-1) < 0.02)[: int(0.85 * len(picture))].any())

    assert shows("#ffd000")  # truth
    assert not shows("#00c8ff")  # there is no mask
    assert shows("#40ff60")
    assert shows("#ff4040")
