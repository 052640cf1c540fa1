"""The session file: what of before is read, what is refused and in which words, and its schema."""

# ruff: noqa: E501 - tables of one case per line
from __future__ import annotations

import base64
import copy
import functools
import json
import os
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.same import content

from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Scribble,
)
from napari_nninteractive.errors import ImageError, SessionError
from napari_nninteractive.session_file import files
from napari_nninteractive.session_file.document import json_schema
from napari_nninteractive.session_file.files import holds_volume, read_session, write_session
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedSession,
    SavedStep,
)

TESTS = Path(__file__).resolve().parent.parent
ENGINE, PANEL = (TESTS / "fixtures" / "sessions_v1" / f"{n}.json" for n in ("engine", "panel"))
SCHEMA = TESTS.parent / "docs" / "session.schema.json"

SCRIBBLE = Scribble(np.ones((1, 1, 5)), (5, 2, 2))
SQUARE = MaskEdit(np.ones((1, 4, 4)), (3, 4, 4))
SESSION = SavedSession(
    SavedImage((3, 6, 8, 8), (2.0, 0.5, 0.5), "nuclei", "uint8"),
    SavedModel("builtin", "ab" * 32, "BSD-3-Clause"),
    (
        SavedFrame((0, 0, 0, 0), None, 1, {1: SavedObject((SavedStep(Point((3, 4, 4)), True),), SQUARE, SQUARE)}),
        SavedFrame((2, 0, 0, 0), None, 3, {2: SavedObject(shown=SQUARE), 3: SavedObject((SavedStep(SCRIBBLE, False), SavedStep(None, True)))}, "cd" * 32),
    ),
    names={2: "second"},
    numbers={3: 1},
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_session(tmp_path / "case.json", SESSION)
    return tmp_path / "case.json"


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_file_of_the_engine_of_before() -> None:
    session = read_session(ENGINE, (12, 16, 16))
    assert session.image == SavedImage((12, 16, 16), (2.0, 0.5, 0.25), "", "float32")
    assert session.model == SavedModel("oracle", "0123456789abcdef" * 4)
    (frame,) = session.frames
    assert (frame.index, frame.channel, frame.label) == ((0, 0, 0), None, 1)
    assert frame.sha256 == "1f39a89ddef0f330337674d7f726aa1a43674fe5ea9bab632bf24f0240930549"
    start = np.zeros((12, 16, 16), bool)
    start[2:5, 2:6, 2:6] = True
    one = frame.objects[1]
    assert [(s.prompt, s.predicted, s.outline) for s in one.steps] == [
        (InitialMask(start), False, None),
        (BoxPrompt((3, 4, 4), (4, 8, 8)), True, None),
        (SCRIBBLE, False, None),
        (Lasso(np.ones((1, 3, 3)), (6, 2, 2)), True, None),
        (Point((5, 2, 2), positive=False), True, None),
        (None, True, None),
        (MaskEdit(np.ones((1, 1, 1)), (9, 9, 9)), False, None),
    ]
    assert one.mask is not None
    assert (one.mask.bounds.start, one.mask.bounds.stop) == ((3, 4, 4), (10, 10, 10))
    assert one.mask.mask.sum() == 16
    assert one.shown == one.mask
    run = session.run
    assert run is not None
    assert (run.device, run.precision, run.threads, run.autozoom) == ("cpu", "fp32", 2, False)
    assert run.config["max_zoom"] == 2
    assert session.version == "0.1.0"


def test_a_file_of_the_panel_of_before() -> None:
    session = read_session(PANEL, (12, 16, 16))
    assert session.image == SavedImage((3, 12, 16, 16), name="nuclei in time")
    assert session.model == SavedModel()
    assert (session.run, session.names, session.numbers) == (None, {1: "nucleus"}, {2: 7})
    assert [(f.index, f.channel, f.label, f.sha256) for f in session.frames] == [
        ((0, 0, 0, 0), None, 2, None),
        ((2, 0, 0, 0), None, 3, None),
    ]
    first, second = (session.frames[0].objects[n] for n in (1, 2))
    np.testing.assert_array_equal(first.steps[0].outline, [[0, 3, 3.6, 3.6], [0, 3, 7.4, 7.4]])
    assert first.mask == first.shown == SQUARE
    assert [(s.prompt, s.predicted) for s in second.steps] == [
        (Point((3, 6, 6)), True),
        (SCRIBBLE, True),
        (Lasso(np.ones((1, 3, 3)), (6, 2, 2)), True),
        (Point((5, 2, 2), positive=False), True),
        (MaskEdit(np.ones((1, 1, 1)), (9, 9, 9)), False),
    ]
    assert second.mask is not None
    assert second.shown is not None
    assert second.mask.mask.sum() > second.shown.mask.sum() > 0
    assert list(session.frames[1].objects) == [3]


@pytest.mark.parametrize("old", [ENGINE, PANEL], ids=["engine", "panel"])
def test_files_of_before_are_the_same_when_written_today(old: Path, tmp_path: Path) -> None:
    before = read_session(old)
    write_session(tmp_path / "new.json", before)
    after = read_session(tmp_path / "new.json")
    assert content(replace(after, version="")) == content(replace(before, version=""))
    assert json.loads((tmp_path / "new.json").read_text())["format_version"] == 2


def test_a_mask_that_is_all_shown_is_written_once(path: Path) -> None:
    one = json.loads(path.read_text())["frames"][0]["objects"]["1"]
    assert one["shown"] == "mask"
    assert one["mask"]["origin"] == [3, 4, 4]


def test_a_byte_order_mark_is_no_harm(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert content(read_session(path).image) == content(SESSION.image)


STEP = "frames[0].objects[1].prompts[0]"


def point(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda c: c["frames"][0]["objects"]["1"]["prompts"][0].update(fields)


BOX = {
    "type": "BoxPrompt",
    "start": [3, 4, 4],
    "stop": [4, 6, 6],
    "positive": True,
    "predict": True,
}

DAMAGED = [
    ("unknown field", lambda c: c.update(more=1), "more: is not known to this program"),
    ("missing field", lambda c: c["frames"][1].pop("label"), r"frames[1].label: is missing"),
    ("newer", lambda c: c.update(format_version=3), "format version 3, but this program reads up to 2: update it"),
    ("version of text", lambda c: c.update(format_version="2"), "format version '2'"),
    ("version of bool", lambda c: c.update(format_version=True), "format version True"),
    ("boolean as number", point(position=[3, True, 4]), f"{STEP}.position[1]: Input should be a valid integer"),
    ("number as boolean", point(positive=1), f"{STEP}.positive: Input should be a valid boolean"),
    ("fraction of a voxel", point(position=[3, 4.0, 4]), f"{STEP}.position[1]: Input should be a valid integer"),
    ("too few coordinates", point(position=[3, 4]), f"{STEP}.position: List should have at least 3 items"),
    ("an absurd coordinate", point(position=[3, 4, 10**400]), f"{STEP}.position[2]: "),
    ("unknown prompt", point(type="Blink"), f"{STEP}: "),
    ("outline of other axes", point(outline=[[1.0, 2.0]]), f"{STEP}.outline: its points must have 4 coordinates"),
    ("outline of text", point(outline=[["a", 2, 3, 4]]), f"{STEP}.outline[0][0]: Input should be a valid number"),
    ("spacing 0", lambda c: c["image"].update(spacing=[1, 1, 0]), "image.spacing[2]: Input should be greater than 0"),
    ("an absurd spacing", lambda c: c["image"].update(spacing=[1, 1, 10**400]), "image.spacing[2]: "),
    ("hash", lambda c: c["model"].update(sha256="AB"), "model.sha256: "),
    ("precision", lambda c: c["model"].update(precision="fp8"), "model.precision: Input should be 'auto'"),
    ("label 0", lambda c: c["frames"][0].update(label=0), "frames[0].label: "),
    ("label too large", lambda c: c["frames"][0].update(label=2**32), "frames[0].label: "),
    ("label of an object", lambda c: c["names"].update({"01": ""}), "names[01]: "),
    ("label of an object too large", lambda c: c["names"].update({"2147483648": ""}), "names[2147483648]: labels go up to 2147483647"),
    ("label beyond napari's box", lambda c: c["frames"][0].update(label=2**31), "frames[0].label: "),
    ("label below 0", lambda c: c["frames"][0].update(label=-1), "frames[0].label: "),
    ("label of an object below 0", lambda c: c["names"].update({"-1": ""}), "names.-1: "),
    ("number 0", lambda c: c["numbers"].update({"1": 0}), "numbers[1]: "),
    ("number too large", lambda c: c["numbers"].update({"1": 10**30}), "numbers[1]: "),
    ("outline too far", point(outline=[[1e300, 2, 3, 4]]), f"{STEP}.outline[0][0]: "),
    ("outline of too many points", point(outline=[[1, 2, 3, 4]] * 2), f"{STEP}.outline: 2 points draw no Point"),
    ("outline of a box of one point", lambda c: c["frames"][0]["objects"]["1"].update(prompts=[BOX | {"outline": [[1, 2, 3, 4]]}]), f"{STEP}.outline: 1 points draw no BoxPrompt"),
    ("outline without end", point(outline=[[1, 2, 3, 4]] * 10_001), f"{STEP}.outline: "),
    ("frame outside", lambda c: c["frames"][1].update(index=[3, 0, 0, 0]), "frames[1].index: lies outside the image of shape [3, 6, 8, 8]"),
    ("frame of other axes", lambda c: c["frames"][1].update(index=[0, 0, 0]), "frames[1].index: lies outside"),
    ("frame twice", lambda c: c["frames"].append(c["frames"][0]), "frames[2].index: this frame is there twice"),
    ("no axes", lambda c: c["image"].update(shape=[]), "image.shape: "),
    ("erased mask", lambda c: c["frames"][0]["objects"]["1"]["mask"].update(value=False), "frames[0].objects[1].mask.value: "),
    ("bits", lambda c: c["frames"][0]["objects"]["1"]["mask"]["mask"].update(bits="AAAA"), "frames[0].objects[1].mask: "),
    ("empty mask", lambda c: c["frames"][0]["objects"]["1"]["mask"]["mask"].update(bits="eJxjYAAAAAIAAQ=="), "frames[0].objects[1].mask: A mask edit is empty"),
    ("shown of another word", lambda c: c["frames"][0]["objects"]["1"].update(shown="yes"), "frames[0].objects[1].shown"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"), [pytest.param(c, m, id=name) for name, c, m in DAMAGED]
)
def test_the_field_that_is_wrong_is_named(path: Path, change: Any, message: str) -> None:
    rewrite(path, change)
    with pytest.raises(SessionError) as error:
        read_session(path)
    assert message in str(error.value)
    assert str(error.value).startswith("case.json ")
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda p: p.unlink(), "no such file", id="missing"),
        pytest.param(lambda p: (p.unlink(), p.mkdir()), "it is a folder", id="folder"),
        pytest.param(lambda p: p.write_text(""), "it is no JSON", id="empty"),
        pytest.param(lambda p: p.write_text(p.read_text()[:99]), "it is no JSON", id="cut short"),
        pytest.param(lambda p: p.write_bytes(b"\xff\xfe{}"), "it is no JSON", id="not UTF-8"),
        pytest.param(lambda p: p.write_text("[" * 200_000), "nested too deeply", id="nesting"),
        pytest.param(lambda p: p.write_text("9" * 10_000), "it is no JSON", id="digits"),
        pytest.param(lambda p: p.write_text("[NaN]"), "NaN is no number", id="NaN"),
        pytest.param(lambda p: p.write_text("[NaN]"), r"\[0\]: ", id="NaN's place"),
        pytest.param(lambda p: p.write_text("-Infinity"), "Infinity is no number", id="infinite"),
        pytest.param(lambda p: p.write_text('{"a": [1e400]}'), r"a\[0\]: Infinity is", id="1e400"),
        pytest.param(lambda p: (p.unlink(), os.mkfifo(p)), "it is a named pipe", id="pipe"),
        pytest.param(lambda p: (p.unlink(), p.symlink_to("/dev/zero")), "a device", id="device"),
        pytest.param(lambda p: p.write_text("[]"), "no saved session", id="list"),
        pytest.param(lambda p: p.write_text('{"format": "GeoJSON"}'), "'format'", id="other"),
        pytest.param(lambda p: p.write_text('{"format": []}'), "'format'", id="no text"),
    ],
)
def test_what_is_no_session_is_said(path: Path, damage: Any, message: str) -> None:
    damage(path)
    with pytest.raises(SessionError, match=message):
        read_session(path)


def test_a_huge_file_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LARGEST", 1 << 10)
    with pytest.raises(SessionError, match=r"cannot be read: .*more than 0 MiB"):
        read_session(path)
    before = path.read_bytes()
    with pytest.raises(SessionError, match=r"cannot be written .*more than 0 MiB"):
        write_session(path, SESSION)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@functools.cache
def bomb(side: int) -> dict[str, Any]:
    """Record of a mask of ones: a cube of 1730 voxels, 5 GB, takes 650 kB."""
    packer, left = zlib.compressobj(9), side**3 // 8
    parts = []
    while left:
        parts.append(packer.compress(b"\xff" * min(left, 1 << 24)))
        left -= min(left, 1 << 24)
    bits = base64.b64encode(b"".join([*parts, packer.flush()])).decode()
    return {"shape": [side, side, side], "bits": bits}


def into_mask(record: dict[str, Any], mask: dict[str, Any]) -> None:
    record["frames"][0]["objects"]["1"]["mask"]["mask"] = mask


def into_prompt(record: dict[str, Any], mask: dict[str, Any]) -> None:
    record["frames"][0]["objects"]["1"]["prompts"][0] = {
        "type": "Scribble", "mask": mask, "origin": [0, 0, 0], "positive": True, "predict": True,
    }  # fmt: skip


@pytest.mark.parametrize("place", [into_mask, into_prompt])
@pytest.mark.parametrize("lies", [False, True])
def test_a_small_file_does_not_become_gigabytes(path: Path, place: Any, lies: bool) -> None:
    """The image that is open counts, whatever image the file says that it is of."""
    mask = bomb(1728)
    assert 500_000 < len(mask["bits"]) < 900_000
    rewrite(path, lambda c: place(c, mask))
    if lies:
        rewrite(path, lambda c: c["image"].update(shape=[3, 1728, 1728, 1728]))
    tracemalloc.start()
    with pytest.raises((SessionError, ImageError), match=r"5159780352 voxels|not the image"):
        read_session(path, (6, 8, 8) if lies else None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_many_masks_do_not_become_gigabytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_nninteractive.session_file.convert._MOST", 40)
    read_session(path)
    one = json.loads(path.read_text())["frames"][0]["objects"]["1"]
    rewrite(path, lambda c: c["frames"][0]["objects"].update({"7": {**one, "shown": one["mask"]}}))
    with pytest.raises(SessionError, match=r"objects\[7\]\.shown: all masks together"):
        read_session(path)
    monkeypatch.setattr("napari_nninteractive.session_file.convert._MOST", 15)
    with pytest.raises(SessionError, match=r"cannot be saved: .*objects\[1\]: .*too large"):
        write_session(path, SESSION)


def test_the_session_of_another_image_is_refused(path: Path) -> None:
    assert read_session(path, (6, 8, 8)).image == SESSION.image
    with pytest.raises(
        ImageError, match=r"image nuclei with shape \(3, 6, 8, 8\), but .* \(6, 8, 9\)"
    ):
        read_session(path, (6, 8, 9))  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "volume", "holds"),
    [
        ((5, 6, 7), (5, 6, 7), True),
        ((5, 6, 7), (6, 5, 7), False),
        ((6, 7), (1, 6, 7), True),
        ((6, 7), (2, 6, 7), False),
        ((9, 5, 2, 6, 7), (5, 6, 7), True),
        ((1, 6, 7), (1, 6, 7), True),
        ((9, 6, 7), (1, 6, 7), True),
        ((7, 6), (1, 6, 7), False),
    ],
)
def test_which_volumes_an_image_holds(shape: Any, volume: Any, holds: bool) -> None:
    assert holds_volume(shape, volume) is holds


@pytest.mark.parametrize(
    ("session", "field"),
    [
        (replace(SESSION, names={0: "background"}), r"names\[0\]"),
        (replace(SESSION, frames=(replace(SESSION.frames[0], sha256="?"),)), r"frames\[0\]\.sha256"),
        (replace(SESSION, frames=SESSION.frames[:1] * 2), r"frames\[1\]\.index"),
        (replace(SESSION, image=SavedImage((8,))), r"image\.shape"),
    ],
)  # fmt: skip
def test_what_could_not_be_read_again_is_not_written(
    path: Path, session: SavedSession, field: str
) -> None:
    before = path.read_bytes()
    with pytest.raises(SessionError, match=f"cannot be saved: {field}"):
        write_session(path, session)
    assert path.read_bytes() == before


def test_names_that_are_no_text_are_written_with_marks(path: Path) -> None:
    odd = replace(SESSION, image=replace(SESSION.image, name="a\udcff.tif"))
    write_session(path, odd)
    assert read_session(path).image.name == "a?.tif"


def test_numbers_of_numpy_are_numbers(path: Path) -> None:
    shape = tuple(np.array(SESSION.image.shape))
    frame = replace(SESSION.frames[0], index=tuple(np.zeros(4, np.int64)), label=np.uint8(1))
    write_session(
        path, replace(SESSION, image=replace(SESSION.image, shape=shape), frames=(frame,))
    )
    assert read_session(path).frames[0].index == (0, 0, 0, 0)


def test_the_schema_beside_the_documentation_is_that_of_the_program() -> None:
    """To write it anew, run this file as a program."""
    assert json.loads(SCHEMA.read_text("utf-8")) == json_schema()


def test_the_schema_takes_what_is_written_and_refuses_what_is_damaged(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    validator.check_schema(validator.schema)
    record = json.loads(path.read_text())
    validator.validate(record)
    for change in (
        point(position=[3, 4]),
        lambda c: c.update(more=1),
        lambda c: c["names"].update({"0": ""}),
    ):
        changed = copy.deepcopy(record)
        change(changed)
        assert not validator.is_valid(changed)  # fmt: skip


def test_pydantic_waits_until_a_file_is_read() -> None:
    code = (
        "import napari_nninteractive.session_file.files as f, sys; print('pydantic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(json_schema(), indent=1) + "\n", "utf-8")
