"""`evaluate` from files to a table, and mistakes that are named before anything is measured or written."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import torch
from fixtures.balls import ball

from napari_nninteractive.cli import evaluate
from napari_nninteractive.cli.main import main
from napari_nninteractive.core.prompts import Point
from napari_nninteractive.errors import ImageError
from napari_nninteractive.evaluation.methods.baselines import BaselineSegmenter
from napari_nninteractive.evaluation.methods.segmenters import SessionSegmenter
from napari_nninteractive.session_file.files import write_session
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedSession,
    SavedStep,
)

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


def test_volumes_are_measured_enlarged_too(data: Path, tmp_path: Path, capsys) -> None:
    words = ["--data", data, "--volume", "first", "--only-baselines", "--baseline", "otsu"]
    record = tmp_path / "results.json"
    assert run(*words, "--prompts", 1, "--enlarge", "1,3", "--json", record) == 0
    assert [r[0] for r in rows(capsys.readouterr().out)[2:]][:2] == ["first", "first x3"]
    saved = json.loads(record.read_text("utf-8"))
    assert saved["settings"]["enlarge"] == [1, 3]
    objects = saved["objects"]
    voxels = [
        {o["label"]: o["voxels"] for o in objects if o["volume"] == v}
        for v in ("first", "first x3")
    ]
    assert voxels[0]
    assert voxels[1] == {label: 9 * n for label, n in voxels[0].items()}


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
    assert "after 1 result;" in capsys.readouterr().err


def test_a_terminated_run_reports_what_was_measured(
    data: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    add, calls = BaselineSegmenter.add, []

    def ended(self, prompt):
        calls.append(prompt)
        if len(calls) == 4:
            signal.raise_signal(signal.SIGTERM)
        return add(self, prompt)

    monkeypatch.setattr(BaselineSegmenter, "add", ended)
    before = signal.getsignal(signal.SIGTERM)
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--prompts", 1]
    assert run(*words, "-o", tmp_path / "out") == 130
    assert signal.getsignal(signal.SIGTERM) is before
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "results.json", "results.csv", "curves.png", "worst.png",
    }  # fmt: skip
    record = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert [(o["volume"], o["label"]) for o in record["objects"]] == [
        ("first", 1), ("first", 2), ("second", 1),
    ]  # fmt: skip
    assert record["settings"]["interrupted"] is True
    captured = capsys.readouterr()
    assert "interrupted after 3 results;" in captured.err
    assert len(rows(captured.out)) == 4


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("odd"), ImageError("dark")])
def test_a_volume_that_cannot_be_started_leaves_the_others(
    data: Path, tmp_path: Path, capsys, monkeypatch, error: Exception
) -> None:
    start, calls = BaselineSegmenter.start, []

    def fails(self, image, spacing):
        calls.append(image)
        if len(calls) == 2:
            raise error
        return start(self, image, spacing)

    monkeypatch.setattr(BaselineSegmenter, "start", fails)
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--prompts", 1]
    assert run(*words, "--json", tmp_path / "out.json") == 1
    record = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [(o["volume"], o["label"]) for o in record["objects"]] == [("first", 1), ("first", 2)]
    kind = "" if isinstance(error, ImageError) else f"{type(error).__name__}: "
    assert record["settings"]["failed"] == [f"second, otsu: {kind}{error}"]
    assert record["settings"]["interrupted"] is False
    assert f"failed: second, otsu: {kind}{error}" in capsys.readouterr().err


def test_volumes_that_do_not_fit_are_told_before_any_is_measured(
    data: Path, capsys, monkeypatch
) -> None:
    said: list[str] = []
    start = BaselineSegmenter.start

    def starts(self, image, spacing):
        said.append(capsys.readouterr().err)
        return start(self, image, spacing)

    monkeypatch.setattr(BaselineSegmenter, "start", starts)
    tifffile.imwrite(data / "second" / "label.tif", LABELS[1:], photometric="minisblack")
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--prompts", 1]
    assert run(*words) == 1
    assert len(said) == 1
    assert said[0].startswith("left out: second: image.tif has (24, 24, 48) voxels (z, y, x), but")


def wrong(kind: str, folder: Path) -> list[object]:
    """Words of a run that cannot give any result."""
    image, labels = folder / "image.tif", folder / "label.tif"
    bad = {"shapes": LABELS[1:], "fractions": LABELS + np.float32(0.5)}.get(kind)
    if bad is not None:
        tifffile.imwrite(labels, bad, photometric="minisblack")
    if kind == "constant":
        tifffile.imwrite(image, 0 * IMAGE, photometric="minisblack")
    more = {
        "missing": [image, folder / "nothing.tif"],
        "small": [image, labels, "--smallest", 9999],
        "no model": [image, labels, "--model", "nothing"],
        "damaged": [image, labels, "--model", folder],
    }
    return more.get(kind, [image, labels])


@pytest.mark.parametrize(
    "kind",
    ["missing", "shapes", "fractions", "constant", "small", "no model", "damaged"],
)
def test_a_run_without_a_result_leaves_no_folder(
    data: Path, tmp_path: Path, flood_model: Path, capsys, kind: str
) -> None:
    words = ["--device", "cpu", "--model", flood_model, "--prompts", 1]
    words += wrong(kind, data / "first")
    assert run(*words, "-o", tmp_path / "new" / "out") == 2
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    assert run(*words, "-o", tmp_path / "mine") == 2
    assert (tmp_path / "mine").is_dir()
    assert not list((tmp_path / "mine").iterdir())


def test_one_volume_and_a_folder_are_not_taken_together(data: Path, capsys, monkeypatch) -> None:
    files = [data / "first" / "image.tif", data / "first" / "label.tif"]
    words = ["--only-baselines", "--baseline", "otsu", "--prompts", 1]
    assert run("--data", data, *files, *words) == 2
    assert "Give either IMAGE LABELS or --data FOLDER, not both" in capsys.readouterr().err
    monkeypatch.setenv("NNI_DATA", str(data))  # only a default
    assert run(*files, *words) == 0
    assert [r[0] for r in rows(capsys.readouterr().out)[2:]] == ["image"]


def test_one_is_no_plural(data: Path, capsys) -> None:
    tifffile.imwrite(data / "first" / "label.tif", 0 * LABELS, photometric="minisblack")
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--prompts", 1]
    assert run(*words, "--smallest", 1) == 0
    assert "first: no object of at least 1 voxel\n" in capsys.readouterr().err
    assert run(*words, "--smallest", 2) == 0
    assert "first: no object of at least 2 voxels\n" in capsys.readouterr().err


def test_help_and_docs_say_the_same_of_the_tolerance(capsys) -> None:
    assert run("--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "in the unit of the spacing (default: the edge of a cube as large as a voxel)" in text


def test_the_settings_name_the_data_and_the_threads(data: Path, tmp_path: Path, capsys) -> None:
    words = ["--only-baselines", "--baseline", "otsu", "--prompts", 1, "--force"]
    out = tmp_path / "out.json"
    assert run("--data", data, "--volume", "second", *words, "--json", out) == 0
    settings = json.loads(out.read_text("utf-8"))["settings"]
    assert settings["data"] == "data"
    assert settings["volumes"] == [{"name": "second", "image": "image.tif", "labels": "label.tif"}]
    assert settings["threads"] == torch.get_num_threads()
    assert str(tmp_path) not in out.read_text("utf-8")
    files = [data / "first" / "image.tif", data / "first" / "label.tif"]
    assert run(*files, *words, "--json", out) == 0
    settings = json.loads(out.read_text("utf-8"))["settings"]
    assert (settings["data"], settings["volumes"][0]["labels"]) == (None, "label.tif")


def test_parts_of_one_value_are_noted_in_the_report(data: Path, tmp_path: Path, capsys) -> None:
    tifffile.imwrite(data / "first" / "label.tif", LABELS > 0, photometric="minisblack")
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--prompts", 1]
    assert run(*words, "--json", tmp_path / "out.json") == 0
    (text,) = json.loads((tmp_path / "out.json").read_text("utf-8"))["settings"]["notes"]
    assert text.startswith("first: label.tif has one value (1) in 2 separate parts")
    assert f"{text}\n" in capsys.readouterr().err


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
        (["--enlarge", "0"], "--enlarge"),
        (["--enlarge", "1,two"], "--enlarge"),
        (["--enlarge", "9"], "--enlarge"),
        (["--session", "drawn.json", "--enlarge", "2"], "--enlarge"),
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


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """What a person drew: object 3 is label 2 and has two prompts, object 5 is label 1, object 6 is nothing."""
    steps = {
        3: (SavedStep(Point((12, 12, 34)), True), SavedStep(Point((12, 12, 12), False), True)),
        5: (SavedStep(Point((12, 12, 12)), True),),
        6: (SavedStep(Point((0, 0, 0)), True),),
    }
    objects = {label: SavedObject(some) for label, some in steps.items()}
    frame = SavedFrame((0, 0, 0), None, 3, objects)
    path = tmp_path / "drawn.json"
    write_session(path, SavedSession(SavedImage(SHAPE), SavedModel(), (frame,)))
    return path


def test_what_a_person_drew_is_measured(
    data: Path, tmp_path: Path, session: Path, flood_model: Path, capsys
) -> None:
    folder = data / "first"
    files = [folder / "image.tif", folder / "label.tif"]
    words = [
        "--session",
        session,
        "--model",
        flood_model,
        "--device",
        "cpu",
        "-o",
        tmp_path / "out",
    ]
    assert run(*files, *words, "--baseline", "otsu", "--smallest", 9999) == 0
    captured = capsys.readouterr()
    table = rows(captured.out)
    assert [r[:4] for r in table[2:]] == [
        ["image", "session", "flood", "2"], ["image", "session", "otsu", "2"],
    ]  # fmt: skip
    assert "object 6 is left out: its prompts touch no object" in captured.err
    record = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert [(o["method"], o["label"], len(o["prompts"])) for o in record["objects"]] == [
        ("flood", 2, 2), ("flood", 1, 1), ("otsu", 2, 2), ("otsu", 1, 1),
    ]  # fmt: skip
    assert [len(o["dice"]) for o in record["objects"]] == [2] * 4
    assert min(o["dice"][0] for o in record["objects"]) > 0.8
    assert record["settings"]["trials"] == [{"style": "session", "prompts": 2, "autozoom": True}]
    assert record["settings"]["session"] == {
        "file": "drawn.json",
        "objects": [{"object": 3, "label": 2}, {"object": 5, "label": 1}],
    }
    assert "object 6" in record["settings"]["notes"][0]


def test_a_person_beside_simulated_users(data: Path, session: Path, capsys) -> None:
    """All get the objects that the person chose, however many there are."""
    words = ["--data", data, "--only-baselines", "--baseline", "otsu", "--session", session]
    one = ["--volume", "second", "--objects", 1, "--prompts", 1]
    assert run(*words, *one, "--style", "points", "--no-autozoom") == 0
    found = [r[:4] for r in rows(capsys.readouterr().out)[2:]]
    assert found == [["second", "session", "otsu", "2"], ["second", "points", "otsu", "2"]]
    assert run(*words) == 2
    assert "A session is of one image" in capsys.readouterr().err
    words[-1] = data / "nothing.json"
    assert run(*words, *one) == 2
    assert "nothing.json cannot be read: there is no such file" in capsys.readouterr().err
    assert run(*words, *one, "--prompts", 0) == 2
    assert "at least 1" in capsys.readouterr().err
