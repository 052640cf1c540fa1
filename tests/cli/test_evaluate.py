"""`evaluate` from files to a table, and mistakes that are named before anything is measured or written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from fixtures.balls import ball

from napari_nninteractive.cli import evaluate
from napari_nninteractive.cli.main import main
from napari_nninteractive.evaluation.baselines import BaselineSegmenter
from napari_nninteractive.evaluation.segmenters import SessionSegmenter

SHAPE = (24, 24, 48)
LABELS = (ball(SHAPE, (12, 12, 12), 7) + 2 * ball(SHAPE, (12, 12, 34), 5)).astype(np.uint8)
IMAGE = np.where(LABELS > 0, 100, 0).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        tifffile.imwrite(folder / "image.tif", IMAGE, photometric="minisblack")
        tifffile.imwrite(folder / "label.tif", LABELS, photometric="minisblack")
    return tmp_path / "data"


def run(*words: object) -> int:
    return main(["evaluate", *(str(w) for w in words)])


def rows(table: str) -> list[list[str]]:
    return [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_folder_with_every_result(data: Path, tmp_path: Path, flood_model: Path, capsys) -> None:
    outputs = {k: tmp_path / f"out.{e}" for k, e in
               {"json": "json", "csv": "csv", "plot": "plot.png", "sheet": "sheet.png"}.items()}  # fmt: skip
    words = [w for k, p in outputs.items() for w in (f"--{k}", p)]
    words += ["--data", data, "--model", flood_model, "--device", "cpu", "--prompts", 2]
    assert run(*words, "--baseline", "otsu", "watershed+box") == 0
    table = rows(capsys.readouterr().out)
    assert [(r[0], r[2], r[3]) for r in table[2:]] == [
        (volume, method, "2")
        for volume in ("first", "second")
        for method in ("flood", "otsu", "watershed+box")
    ]
    assert min(float(r[4]) for r in table[2:]) > 0.85
    record = json.loads(outputs["json"].read_text("utf-8"))
    assert record["settings"]["model"] == "flood"
    assert record["settings"]["trials"] == [{"style": "points", "prompts": 2, "autozoom": True}]
    assert len(record["objects"]) == 12
    with outputs["csv"].open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 24
    for key in ("plot", "sheet"):
        assert outputs[key].read_bytes()[:4] == b"\x89PNG"
    assert not list(tmp_path.glob(".*"))  # nothing half-written

    before = {k: p.read_bytes() for k, p in outputs.items()}
    assert run(*words) == 2
    assert "--force" in capsys.readouterr().err
    assert {k: p.read_bytes() for k, p in outputs.items()} == before
    assert (
        run(*words, "--force", "--volume", "first", "--only-baselines", "--baseline", "otsu") == 0
    )
    assert len(json.loads(outputs["json"].read_text("utf-8"))["objects"]) == 2


def test_a_folder_for_all_results(data: Path, tmp_path: Path, capsys) -> None:
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--prompts", 1]
    out, own = tmp_path / "new" / "results", tmp_path / "own.csv"
    assert run(*words, "--output", out, "--csv", own) == 0
    assert {p.name for p in out.iterdir()} == {"results.json", "curves.png", "worst.png"}
    assert own.is_file()
    assert run(*words, "-o", out) == 2
    assert "--force" in capsys.readouterr().err
    assert run(*words, "-o", out, "--force") == 0
    assert (
        (out / "results.csv").read_text("utf-8").count("\n")
        == own.read_text("utf-8").count("\n")
        == 5
    )
    assert run(*words, "-o", own) == 2
    assert "is a file: name a folder" in capsys.readouterr().err


def test_two_files_of_another_format(tmp_path: Path, capsys) -> None:
    for name, array in (("scan.nii.gz", IMAGE), ("seg.nrrd", LABELS)):
        picture = sitk.GetImageFromArray(array)
        picture.SetSpacing((0.5, 0.5, 2.0))
        sitk.WriteImage(picture, str(tmp_path / name))
    words = [tmp_path / "scan.nii.gz", tmp_path / "seg.nrrd", "--only-baselines"]
    assert run(*words, "--baseline", "all", "--prompts", 1, "--smallest", 600) == 0
    table = rows(capsys.readouterr().out)[2:]
    assert [r[2] for r in table] == [
        "random-walker", "watershed", "watershed-intensity", "region-growing", "otsu",
    ]  # fmt: skip
    assert {(r[0], r[3]) for r in table} == {("scan", "1")}


def test_styles_and_presets_reach_the_protocol(data: Path, capsys) -> None:
    words = ["--data", data, "--volume", "first", "--only-baselines", "--baseline", "otsu"]
    assert run(*words, "--preset", "static") == 0
    assert [r[1] for r in rows(capsys.readouterr().out)[2:]] == [
        "points", "box", "scribble", "lasso",
    ]  # fmt: skip
    assert run(*words, "--style", "lasso", "--prompts", 3) == 0
    assert "Dice @3" in rows(capsys.readouterr().out)[0]
    assert run(*words, "--preset", "autozoom") == 0  # means nothing to a baseline: once
    assert len(rows(capsys.readouterr().out)) == 3


def test_autozoom_on_and_off(data: Path, flood_model: Path, capsys) -> None:
    words = ["--data", data, "--volume", "first", "--model", flood_model, "--device", "cpu"]
    words += ["--prompts", 1, "--objects", 1]
    assert run(*words, "--preset", "autozoom") == 0
    assert [r[2] for r in rows(capsys.readouterr().out)[2:]] == ["flood", "flood without AutoZoom"]
    assert run(*words, "--preset", "autozoom", "--no-autozoom") == 0
    assert [r[2] for r in rows(capsys.readouterr().out)[2:]] == ["flood without AutoZoom"]


def test_what_fails_is_told_and_the_rest_is_reported(data: Path, capsys, monkeypatch) -> None:
    tifffile.imwrite(data / "first" / "label.tif", LABELS[1:], photometric="minisblack")
    add = BaselineSegmenter.add

    def sometimes(self, prompt):
        if prompt.position[2] > 24:
            raise ZeroDivisionError("odd")
        return add(self, prompt)

    monkeypatch.setattr(BaselineSegmenter, "add", sometimes)
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--prompts", 1]
    assert run(*words) == 1
    captured = capsys.readouterr()
    table = rows(captured.out)
    assert len(table) == 3
    assert table[2][:4] == ["second", "points", "otsu", "2"]
    assert table[2][-1] == "1"
    assert "failed: first: image.tif has (24, 24, 48) voxels" in captured.err
    assert "failed: second, object 2, otsu: ZeroDivisionError: odd" in captured.err
    assert run(*words, "--volume", "first") == 2
    assert "give the labels of this image" in capsys.readouterr().err


def test_an_interrupt_keeps_what_was_measured(
    data: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    add, calls = BaselineSegmenter.add, []

    def stops(self, prompt):
        calls.append(prompt)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return add(self, prompt)

    monkeypatch.setattr(BaselineSegmenter, "add", stops)
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--prompts", 1]
    assert run(*words, "--json", tmp_path / "out.json") == 130
    assert len(json.loads((tmp_path / "out.json").read_text("utf-8"))["objects"]) == 1
    assert "after 1 results" in capsys.readouterr().err


def test_the_folder_may_be_named_by_a_variable(data: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("NNI_DATA", str(data))
    assert run("--only-baselines", "--baseline", "otsu", "--prompts", 1) == 0
    assert len(rows(capsys.readouterr().out)) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--data"),
        (["a.tif"], "one image and its labels"),
        (["a.tif", "b.tif", "--volume", "c"], "one image and its labels"),
        (["--data", "nowhere"], "no folder nowhere"),
        (["--preset", "all"], "no preset all"),
        (["--style", "blink"], "no style blink"),
        (["--baseline", "magic"], "no baseline magic"),
        (["--only-baselines"], "--baseline"),
        (["--prompts", "0"], "at least 1"),
        (["--objects", "0"], "--objects"),
        (["--smallest", "0"], "--smallest"),
        (["--seed", "-1"], "--seed"),
        (["--tolerance", "nan"], "--tolerance"),
        (["--preset", "static", "--style", "box"], "not allowed with"),
    ],
)
def test_mistakes_are_named(words: list[str], said: str, capsys, monkeypatch) -> None:
    monkeypatch.delenv("NNI_DATA", raising=False)
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--volume", "third"], "choose of first, second"),
        (["--json", "out.txt"], ".json"),
        (["--plot", "no/such/folder.png"], "no folder"),
        (["--plot", "same.png", "--sheet", "same.png"], "each its own name"),
        (["--smallest", "5000"], "--smallest"),
    ],
)
def test_mistakes_with_data(words: list[str], said: str, data: Path, capsys) -> None:
    base = ["--data", data, "--only-baselines", "--baseline", "otsu"]
    assert run(*base, *words) == 2
    assert said in capsys.readouterr().err


def test_objects_are_those_of_the_reference_benchmark() -> None:
    """Twenty of those large enough, in the order of a seeded permutation."""
    from napari_nninteractive.evaluation.cases import choose_objects

    labels = np.repeat(np.arange(1, 41, dtype=np.uint16), 500).reshape(40, 20, 25)
    labels[-1, 0, 0] = 1  # 40 has 499 voxels
    expected = np.random.default_rng(0).permutation(np.arange(1, 40))[:20]
    assert choose_objects(labels) == tuple(expected)


def test_a_segmenter_is_what_the_protocol_asks_for() -> None:
    assert {"start", "reset", "add", "name"} <= set(dir(SessionSegmenter)) & set(
        dir(BaselineSegmenter)
    )
    assert evaluate.DESCRIPTION.count("evaluate") >= 3
