"""`segment` from file to file, with a tiny model: the same mask as the session gives, and nothing written in vain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

import napari_nninteractive as nni
from napari_nninteractive.cli import engine_args
from napari_nninteractive.cli.main import main
from napari_nninteractive.cli.terminal import ProgressLine
from napari_nninteractive.io import read_image
from napari_nninteractive.session_file.files import read_session
from napari_nninteractive.session_file.values import SavedImage
from napari_nninteractive.simulation.images.samples import nuclei

SHAPE = (20, 30, 26)
SPACING_XYZ = (0.5, 0.5, 2.0)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    picture = sitk.GetImageFromArray(nuclei(SHAPE, seed=1).image)
    picture.SetSpacing(SPACING_XYZ)
    picture.SetOrigin((1.0, 2.0, 3.0))
    sitk.WriteImage(picture, str(tmp_path / "image.nii.gz"))
    return tmp_path / "image.nii.gz"


def run(*words: object) -> int:
    return main(["segment", *(str(w) for w in words)])


def expected(
    image: Path, model: Path, *prompts: nni.Point | nni.BoxPrompt, **options: Any
) -> np.ndarray:
    session = nni.InferenceSession.from_pretrained(model, "cpu", **options)
    session.set_image(read_image(image).data)
    for prompt in prompts:
        session.add(prompt)
    return np.asarray(session.mask[...])


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha", ".tif", ".zarr"])
def test_same_mask_as_a_session_in_place(
    image: Path, model: Path, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"mask{ending}"
    words = ["--point", "10,15,13", "--negative-point", "2,2,2", "--box", "9,10:20,8:20"]
    assert run(image, "--model", model, "--device", "cpu", *words, "-o", out) == 0
    mask = read_image(out)
    prompts = (
        nni.Point((10, 15, 13)),
        nni.Point((2, 2, 2), positive=False),
        nni.BoxPrompt((9, 10, 8), (10, 20, 20)),
    )
    want = expected(image, model, *prompts)
    assert 0 < want.sum() < want.size
    np.testing.assert_array_equal(mask.data, want)
    np.testing.assert_allclose(mask.spacing, (2.0, 0.5, 0.5), rtol=1e-6)
    if ending != ".tif":
        np.testing.assert_allclose(mask.geometry.origin, (1.0, 2.0, 3.0), rtol=1e-6)
    line = capsys.readouterr().out.strip()
    assert f"{want.sum()} voxels, {want.sum() * 0.5:.6g} mm³; 3 prompts in" in line
    assert "on cpu (" in line


def test_order_and_options_reach_the_session(image: Path, model: Path, tmp_path: Path) -> None:
    first, second = nni.Point((10, 15, 13)), nni.Point((4, 6, 20))
    words = {first: ["--point", "10,15,13"], second: ["--point", "4,6,20"]}
    for name, order in {"a": (first, second), "b": (second, first)}.items():
        out = tmp_path / f"{name}.nrrd"
        given = [w for p in order for w in words[p]]
        options = ["--device", "cpu", "--precision", "fp32", "--no-autozoom"]
        assert run(image, "--model", model, *given, *options, "-o", out) == 0
        want = expected(image, model, *order, precision="fp32", autozoom=False)
        np.testing.assert_array_equal(read_image(out).data, want)


def test_the_switch_of_autozoom_decides(flood_model: Path, tmp_path: Path) -> None:
    """A bar that is longer than the model's view: only with AutoZoom more of it is found."""
    bar = np.random.default_rng(0).normal(0, 0.05, (24, 24, 130)).astype("f4")
    bar[4:20, 4:20, 5:125] += 1
    stroke = np.zeros(bar.shape, np.uint8)
    stroke[12, 12, 53:78] = 1
    for name, data in {"bar": bar, "stroke": stroke}.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", data, metadata={"axes": "ZYX"})
    lengths = []
    for flags in ([], ["--no-autozoom"]):
        words = ["--model", flood_model, "--device", "cpu", "--precision", "fp32", *flags]
        words += ["--scribble", tmp_path / "stroke.tif", "-o", tmp_path / f"m{len(flags)}.nrrd"]
        assert run(tmp_path / "bar.tif", *words) == 0
        mask = np.asarray(read_image(words[-1]).data)
        lengths.append(int(np.ptp(np.flatnonzero(mask.any((0, 1))))) + 1)
    assert lengths[0] > 90
    assert lengths[1] <= 64  # the model's view


def test_every_prompt_shows_how_far_it_is(
    image: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int, int | None]] = []

    class Recorder:
        def show(self, text: str, done: int = 0, total: int | None = None) -> None:
            shown.append((text, done, total))

        def clear(self) -> None:
            shown.append(("", 0, None))

    monkeypatch.setattr(engine_args, "ProgressLine", Recorder)
    words = ["--point", "10,15,13", "--negative-point", "2,2,2"]
    assert run(image, "--model", model, *words, "-o", tmp_path / "m.nrrd") == 0
    texts = [text for text, _, _ in shown]
    for number in (1, 2):
        assert f"point ({number} of 2)" in texts
        assert f"point ({number} of 2): looking" in texts
    assert any(done >= 1 for text, done, _ in shown if text.endswith(": looking"))
    refining = [(done, total) for text, done, total in shown if text.endswith(": refining")]
    assert all(total is not None and 0 <= done <= total for done, total in refining)
    assert texts[-1] == ""  # removed in the end


@pytest.mark.parametrize("ending", [".tif", ".nii.gz"])
def test_what_tiff_cannot_hold_is_said(
    image: Path, model: Path, tmp_path: Path, ending: str, capsys: Any
) -> None:
    words = ["--model", model, "--point", "10,15,13"]
    assert run(image, *words, "-o", tmp_path / f"m{ending}") == 0
    assert ("no place for the origin" in capsys.readouterr().err) == (ending == ".tif")
    tifffile.imwrite(tmp_path / "plain.tif", nuclei(SHAPE, seed=1).image, metadata={"axes": "ZYX"})
    assert run(tmp_path / "plain.tif", *words, "-o", tmp_path / f"p{ending}") == 0
    assert "no place" not in capsys.readouterr().err


def test_what_ome_zarr_cannot_hold_is_said(
    image: Path, model: Path, tmp_path: Path, capsys: Any
) -> None:
    words = ["--model", model, "--point", "10,15,13"]
    assert run(image, *words, "-o", tmp_path / "a.zarr") == 0
    assert "no place" not in capsys.readouterr().err
    turned = sitk.ReadImage(str(image))
    turned.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    sitk.WriteImage(turned, str(tmp_path / "turned.nrrd"))
    assert run(tmp_path / "turned.nrrd", *words, "-o", tmp_path / "b.zarr") == 0
    assert "OME-Zarr has no place for the directions" in capsys.readouterr().err


def test_a_session_file_goes_on_where_it_was(image: Path, model: Path, tmp_path: Path) -> None:
    saved, first, again = tmp_path / "s.json", tmp_path / "a.nrrd", tmp_path / "b.nrrd"
    assert (
        run(image, "--model", model, "--point", "10,15,13", "-o", first, "--save-session", saved)
        == 0
    )
    one = json.loads(saved.read_text())["frames"][0]["objects"]["1"]
    assert one["prompts"][0]["position"] == [10, 15, 13]
    assert run(image, "--model", model, "--prompts", saved, "-o", again) == 0
    np.testing.assert_array_equal(read_image(again).data, read_image(first).data)
    session = nni.InferenceSession.replay(saved, read_image(image).data, model)
    np.testing.assert_array_equal(session.mask[...], read_image(first).data)
    assert run(image, "--model", model, "--prompts", saved, "--object", 2, "-o", again) == 2


def test_a_saved_session_is_one_that_the_panel_opens(
    image: Path, model: Path, tmp_path: Path
) -> None:
    saved, out = tmp_path / "s.json", tmp_path / "a.nrrd"
    words = ["--model", model, "--point", "10,15,13", "-o", out, "--save-session", saved]
    assert run(image, *words) == 0
    session = read_session(saved, SHAPE)
    assert session.image == SavedImage(SHAPE, (2.0, 0.5, 0.5), "image.nii.gz", "uint16")
    (frame,) = session.frames
    assert (frame.index, frame.channel, frame.label) == ((0, 0, 0), None, 1)
    shown = frame.objects[1].shown
    assert shown is not None
    drawn = np.zeros(SHAPE, bool)
    drawn[shown.bounds.slices] = shown.mask
    np.testing.assert_array_equal(drawn, read_image(out).data)


def test_a_flat_image(model: Path, tmp_path: Path) -> None:
    flat = sitk.GetImageFromArray(nuclei(SHAPE, seed=1).image[10])
    flat.SetSpacing((0.5, 0.5))
    sitk.WriteImage(flat, str(tmp_path / "flat.nrrd"))
    out = tmp_path / "mask.nrrd"
    assert run(tmp_path / "flat.nrrd", "--model", model, "--point", "0,15,13", "-o", out) == 0
    assert sitk.ReadImage(str(out)).GetSize() == (26, 30)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Say what to segment"),
        (["--point", "99,0,0"], "lies outside the image"),
        (["--point", "1,1,1", "--model", "absent"], "absent"),
        (["--point", "1,1,1", "--channel", "2"], "leave out --channel 2"),
        (["--point", "1,1,1", "--device", "toaster"], "toaster"),
        (["--box", "1:5,1:5,1:5"], "give one, e.g. --box 2,1:5,1:5"),
        (["--point", "1,1,1", "--model", "."], "models list"),
        (["--point", "1,1,1", "--save-session", "s.txt"], ".json"),
        (["--scribble", "absent.tif"], "There is no file absent.tif"),
    ],
)
def test_errors_write_nothing(
    image: Path, model: Path, tmp_path: Path, words: list[str], message: str, capsys: Any
) -> None:
    before = sorted(tmp_path.iterdir())
    chosen = [] if "--model" in words else ["--model", model]
    assert run(image, *chosen, *words, "-o", tmp_path / "mask.nii.gz") == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_replaced_unasked_and_known_before_the_work(
    image: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    out = tmp_path / "mask.nii.gz"
    out.write_bytes(b"precious")
    words = [image, "--model", model, "--point", "10,15,13", "-o", out]
    with monkeypatch.context() as patch:
        patch.setattr("napari_nninteractive.cli.segment.read_image", None)  # not reached
        assert run(*words) == 2
        assert "--force" in capsys.readouterr().err
        assert run(*words[:-1], image, "--force") == 2
        assert "not replaced" in capsys.readouterr().err
    assert out.read_bytes() == b"precious"
    assert run(*words, "--force") == 0
    assert read_image(out).shape == SHAPE


class TestProgressLine:
    """The line that says how far it is."""

    class Terminal:
        def __init__(self, is_terminal: bool) -> None:
            self.text = ""
            self.is_terminal = is_terminal

        def isatty(self) -> bool:
            return self.is_terminal

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    def test_silent_without_a_terminal(self) -> None:
        stream = self.Terminal(False)
        line = ProgressLine(stream)  # type: ignore[arg-type]
        line.show("looking", 1, 3)
        line.clear()
        assert stream.text == ""

    def test_a_bar_that_leaves_no_trace(self) -> None:
        stream = self.Terminal(True)
        line = ProgressLine(stream)  # type: ignore[arg-type]
        line.show("refining", 5, 10)
        assert "[##########..........] 5/10" in stream.text
        line.show("x")
        line.clear()
        assert stream.text.endswith("\r \r")
