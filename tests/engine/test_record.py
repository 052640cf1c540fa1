"""Saved sessions: what is in the file, what comes back, and what is refused."""

# ruff: noqa: E501 - tables of one case per line
from __future__ import annotations

import copy
import json
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.model_folder import write_model_folder
from fixtures.oracles import make_model
from fixtures.sessions import previous_of
from fixtures.windows import drawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import napari_nninteractive as nni
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.model import Model
from napari_nninteractive.session_file import files
from napari_nninteractive.session_file.files import read_session
from napari_nninteractive.session_file.values import SavedSession

SHAPE = (12, 20, 24)
CONFIG = nni.EngineConfig(border_voxels_many=60, border_voxels_few=10, max_zoom=2)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_folder(
        tmp_path_factory.mktemp("record") / "model", supported_interactions={"bbox3d": True}
    )


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return nni.load_model(folder, "cpu")


def played(model: Model, **options: Any) -> nni.InferenceSession:
    session = nni.InferenceSession(model, **{"precision": "fp32", "config": CONFIG, **options})
    session.set_image(noise(), (2.0, 0.5, 0.25))
    session.add(nni.BoxPrompt((2, 2, 2), (9, 12, 15)))
    session.add(nni.InitialMask(noise(9) > 1))
    session.add(nni.Point((6, 10, 12)))
    session.add(nni.Scribble(np.ones((1, 2, 5)), (4, 8, 8), positive=False), predict=False)
    session.add(nni.Lasso(np.ones((1, 4, 5)), (5, 8, 8)))
    session.predict()
    session.add(nni.MaskEdit(np.ones((2, 2, 2)), (6, 10, 12), value=False))
    session.add(nni.Point((2, 2, 2), positive=False), predict=False)
    return session


@pytest.fixture(scope="module")
def saved(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "case.nni.json"
    played(model).save(path)
    return path


@pytest.fixture
def case(saved: Path, tmp_path: Path) -> Path:
    path = tmp_path / "case.nni.json"
    path.write_bytes(saved.read_bytes())
    return path


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def object_of(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["frames"][0]["objects"]["1"]
    return found


def prompts_of(content: dict[str, Any]) -> Any:
    return object_of(content)["prompts"]


def test_replay_gives_the_same_session(case: Path, model: Model) -> None:
    original = played(model)
    events: list[nni.Progress] = []
    session = nni.InferenceSession.replay(case, noise(), model, progress=events.append)
    np.testing.assert_array_equal(session.mask[...], original.mask[...])
    np.testing.assert_array_equal(previous_of(session), previous_of(original))
    assert session.mask.count() > 0
    assert session.prompts == original.prompts
    assert len(session.prompts) == 6
    assert (session.config, session.precision, session.autozoom) == (CONFIG, "fp32", True)
    assert session.volume.spacing == (2.0, 0.5, 0.25)
    assert events
    for s in (session, original):  # and both go on alike
        s.add(nni.Point((9, 9, 9)))
        s.remove(1)
    np.testing.assert_array_equal(session.mask[...], original.mask[...])
    assert session.undo()


def test_what_was_saved_from_a_replay_is_the_same_file(
    case: Path, model: Model, tmp_path: Path
) -> None:
    nni.InferenceSession.replay(case, noise(), model).save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == case.read_text()


@pytest.mark.parametrize("given", ["folder as text", "folder", "from the file"])
def test_the_model_is_found(case: Path, folder: Path, model: Model, given: str) -> None:
    where = {"folder as text": str(folder), "folder": folder, "from the file": None}[given]
    session = nni.InferenceSession.replay(case, noise(), where, "cpu")
    assert session.model.sha256 == model.sha256


def test_the_file_says_what_it_is(case: Path, folder: Path, model: Model) -> None:
    content = json.loads(
        case.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON")
    )
    assert content["format"] == "napari-nninteractive session"
    assert content["format_version"] == 2
    assert content["version"] == nni.__version__
    assert content["model"] == {
        "name": str(folder),
        "sha256": model.sha256,
        "licence": "BSD-3-Clause",
        "device": "auto",
        "precision": "auto",
    }
    assert content["image"] == {
        "shape": list(SHAPE),
        "dtype": "float32",
        "spacing": [2.0, 0.5, 0.25],
        "name": "",
    }
    (frame,) = content["frames"]
    assert (frame["index"], frame["channel"], frame["label"]) == ([0, 0, 0], None, 1)
    assert frame["sha256"] == Volume.open(noise()).sha256()
    assert list(frame["objects"]) == ["1"]
    assert frame["objects"]["1"]["shown"] == "mask"
    assert content["run"]["device"] == "cpu"
    assert content["run"]["precision"] == "fp32"
    assert content["run"]["threads"] == torch.get_num_threads()
    assert content["run"]["torch"] == torch.__version__
    assert content["run"]["autozoom"] is True
    assert content["run"]["config"]["max_zoom"] == 2
    kinds = [(p["type"], p["predict"]) for p in prompts_of(content)]
    assert kinds == [
        ("BoxPrompt", True),
        ("InitialMask", False),
        ("Point", True),
        ("Scribble", False),
        ("Lasso", True),
        ("predict", True),
        ("MaskEdit", False),
        ("Point", False),
    ]
    assert case.stat().st_size < 20_000
    assert [p.name for p in case.parent.iterdir()] == [case.name]


def test_an_object_without_prompts(model: Model, tmp_path: Path) -> None:
    session = nni.InferenceSession(model, precision="fp32", autozoom=False)
    session.set_image(noise())
    session.save(tmp_path / "empty.json")
    again = nni.InferenceSession.replay(tmp_path / "empty.json", noise(), model)
    assert (again.prompts, again.mask.count(), again.can_undo) == ((), 0, False)
    assert not again.autozoom


def test_a_2d_image(model: Model, tmp_path: Path) -> None:
    session = nni.InferenceSession(model, precision="fp32")
    session.set_image(noise()[0], (0.5, 0.25))
    session.add(nni.Point((0, 5, 5)))
    session.save(tmp_path / "flat.json")
    again = nni.InferenceSession.replay(tmp_path / "flat.json", noise()[0], model)
    np.testing.assert_array_equal(again.mask[...], session.mask[...])
    assert again.volume.spacing == (1, 0.5, 0.25)
    saved = read_session(tmp_path / "flat.json")
    assert (saved.image.shape, saved.frames[0].index) == (SHAPE[1:], (0, 0))


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(np.asfortranarray(noise()), id="Fortran"),
        pytest.param(noise().astype(">f4"), id="big-endian"),
    ],
)
def test_the_same_image_in_another_layout(case: Path, model: Model, same: np.ndarray) -> None:
    nni.InferenceSession.replay(case, same, model)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(noise(1), id="other voxels"),
        pytest.param(noise().astype("f8"), id="other type"),
        pytest.param(noise()[:, :, :-1], id="other shape"),
        pytest.param(noise().reshape(12, 24, 20), id="same voxels, other shape"),
        pytest.param(noise() * np.float32(1.0000001), id="nearly the same"),
    ],
)
def test_another_image_is_refused(case: Path, model: Model, other: np.ndarray) -> None:
    with pytest.raises(nni.ImageError, match="not the image of the saved session"):
        nni.InferenceSession.replay(case, other, model)


def test_another_model_is_refused(case: Path, tmp_path: Path) -> None:
    other = nni.load_model(write_model_folder(tmp_path / "other", seed=1), "cpu")
    with pytest.raises(nni.ModelError, match="not that of the saved session"):
        nni.InferenceSession.replay(case, noise(), other)


def test_a_model_that_is_gone_is_named(case: Path, tmp_path: Path) -> None:
    rewrite(case, lambda c: c["model"].update(name=str(tmp_path / "gone")))
    with pytest.raises(nni.ModelError, match="gone"):
        nni.InferenceSession.replay(case, noise())


def test_another_precision_is_a_warning_with_the_dice_coefficient(case: Path, model: Model) -> None:
    rewrite(case, lambda c: c["run"].update(precision="bf16"))
    with pytest.warns(UserWarning, match=r"Dice coefficient of 0\.\d{4} with the saved one"):
        session = nni.InferenceSession.replay(case, noise(), model)
    assert session.precision == "bf16"


def test_another_mask_is_a_warning(case: Path, model: Model) -> None:
    rewrite(case, lambda c: object_of(c).update(mask=None, shown=None))
    with pytest.warns(UserWarning, match=r"0\.0000 .*more than other hardware explains"):
        nni.InferenceSession.replay(case, noise(), model)


def test_a_precision_that_is_not_there_is_replaced(case: Path, model: Model) -> None:
    rewrite(case, lambda c: c["run"].update(precision="fp16"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bf16 where the CPU has it
        session = nni.InferenceSession.replay(case, noise(), model)
    assert session.precision in ("fp32", "bf16")


def test_cancel_and_errors_come_through(case: Path, model: Model) -> None:
    token = nni.CancelToken()
    token.cancel()
    with pytest.raises(nni.Cancelled):
        nni.InferenceSession.replay(case, noise(), model, cancel=token)
    with pytest.raises(nni.ImageError, match="constant"):
        nni.InferenceSession.replay(case, np.zeros(SHAPE), model)


DAMAGED = [
    ("missing", lambda p: p.unlink(), "cannot be read"),
    ("a folder", lambda p: (p.unlink(), p.mkdir()), "cannot be read"),
    ("empty", lambda p: p.write_text(""), "cannot be read"),
    ("cut short", lambda p: p.write_text(p.read_text()[:500]), "cannot be read"),
    ("not UTF-8", lambda p: p.write_bytes(b"\xff\xfe{}"), "cannot be read"),
    ("endless nesting", lambda p: p.write_text("[" * 200_000), "cannot be read"),
    ("endless number", lambda p: p.write_text("9" * 10_000), "cannot be read"),
    ("a list", lambda p: p.write_text("[]"), "no saved session"),
    ("another format", lambda p: p.write_text('{"format": "GeoJSON"}'), "no saved session.*'format'"),
    ("newer", lambda p: rewrite(p, lambda c: c.update(format_version=3)), "version 3.*reads up to 2: update"),
    ("no version", lambda p: rewrite(p, lambda c: c.pop("format_version")), "version None"),
    ("no prompts", lambda p: rewrite(p, lambda c: object_of(c).pop("prompts")), r"damaged: frames\[0\].objects\[1\].prompts: is missing"),
    ("prompts null", lambda p: rewrite(p, lambda c: object_of(c).update(prompts=None)), "damaged"),
    ("unknown prompt", lambda p: rewrite(p, lambda c: prompts_of(c).append({"type": "Blink"})), "damaged"),
    ("damaged prompt", lambda p: rewrite(p, lambda c: prompts_of(c)[3]["mask"].update(bits="AAAA")), "Scribble is damaged"),
    ("unknown threshold", lambda p: rewrite(p, lambda c: c["run"]["config"].update(x=1)), "damaged"),
    ("senseless threshold", lambda p: rewrite(p, lambda c: c["run"]["config"].update(max_zoom=0)), "damaged.*max_zoom"),
    ("spacing of text", lambda p: rewrite(p, lambda c: c["image"].update(spacing="abc")), "damaged"),
    ("endless spacing", lambda p: rewrite(p, lambda c: c["image"].update(spacing=[1, 1, 10**400])), "damaged"),
    ("mask is a point", lambda p: rewrite(p, lambda c: object_of(c).update(mask=prompts_of(c)[2])), "damaged"),
    ("mask of another shape", lambda p: rewrite(p, lambda c: object_of(c)["mask"].update(origin=[9, 9, 9])), "damaged"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "message"), [pytest.param(d, m, id=name) for name, d, m in DAMAGED]
)
def test_damaged_files_are_refused(case: Path, model: Model, damage: Any, message: str) -> None:
    damage(case)
    with pytest.raises(nni.SessionError, match=message):
        nni.InferenceSession.replay(case, noise(), model)


def test_a_prompt_that_was_moved_outside_is_refused_before_anything_runs(
    case: Path, model: Model
) -> None:
    rewrite(case, lambda c: prompts_of(c)[-1].update(position=[99, 0, 0]))
    events: list[Any] = []
    with pytest.raises(nni.PromptError, match="outside"):
        nni.InferenceSession.replay(case, noise(), model, progress=events.append)
    assert events == []


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    out = [at]
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            out += places(inner, (*at, key))
    return out


small = st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=3)
anything = st.recursive(
    small | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def test_any_value_in_any_field_is_read_or_refused_by_name(saved: Path, tmp_path: Path) -> None:
    content = json.loads(saved.read_text())
    path = tmp_path / "fuzz.json"

    @settings(
        max_examples=300,
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.sampled_from(places(content)), anything)
    def mutate(at: tuple[Any, ...], new: Any) -> None:
        changed: Any = {"": copy.deepcopy(content)}
        inner = changed
        for key in ("", *at)[:-1]:
            inner = inner[key]
        inner[("", *at)[-1]] = new
        path.write_text(json.dumps(changed[""]))
        try:
            got = read_session(path)
        except nni.SessionError as error:
            if "fuzz.json" not in str(error):
                raise AssertionError(f"does not name the file: {error}") from error
            return
        assert isinstance(got, SavedSession)

    mutate()


V1 = Path(__file__).resolve().parent.parent / "fixtures" / "sessions_v1"
V1_SERIES = np.random.default_rng(0).random((3, 12, 16, 16)).astype(np.float32)
V1_IMAGE = np.random.default_rng(0).random((12, 16, 16)).astype(np.float32)


class Drawn(torch.nn.Module):
    """The network of the files of before."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return drawn(inputs)


def model_of_before(sha256: str) -> Model:
    model = make_model((32, 32, 32), network=Drawn())
    model.__dict__["sha256"] = sha256
    return model


def test_a_file_of_the_engine_of_before_is_replayed_to_the_bit() -> None:
    model = model_of_before("0123456789abcdef" * 4)
    session = nni.InferenceSession.replay(V1 / "engine.json", V1_IMAGE, model)
    assert (session.mask.count(), session.autozoom, session.config.max_zoom) == (16, False, 2)
    assert session.volume.spacing == (2.0, 0.5, 0.25)
    with pytest.raises(nni.ImageError, match="not the image of the saved session"):
        nni.InferenceSession.replay(V1 / "engine.json", V1_IMAGE + 1, model)
    with pytest.raises(nni.ModelError, match="not that of the saved session"):
        nni.InferenceSession.replay(V1 / "engine.json", V1_IMAGE, model_of_before("0" * 64))


def panel_file(path: Path, **frames: Any) -> Path:
    """A file of the panel of before, with its first time point only, or all of them."""
    content = json.loads((V1 / "panel.json").read_text())
    content["frames"] = content["frames"][: frames.get("count", 1)]
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(("label", "count"), [(1, 16), (2, None), (None, None)])
def test_a_file_of_the_panel_of_before_is_replayed_with_a_warning(
    tmp_path: Path, label: int | None, count: int | None
) -> None:
    path = panel_file(tmp_path / "panel.json")
    saved = read_session(path).frames[0].objects[label or 2]
    model = model_of_before("0" * 64)
    with pytest.warns(
        UserWarning, match="does not say whether this is its image.*model.*precision"
    ):
        session = nni.InferenceSession.replay(path, V1_SERIES[0], model, label=label)
    assert saved.mask is not None
    assert session.mask.count() == saved.mask.mask.sum()
    assert count in (None, session.mask.count())
    assert session.prompts == tuple(s.prompt for s in saved.steps)
    assert session.autozoom
    assert session.config == nni.EngineConfig()


def test_which_object_of_several_is_asked_for(tmp_path: Path) -> None:
    model = model_of_before("0" * 64)
    path = panel_file(tmp_path / "panel.json")
    with pytest.raises(nni.SessionError, match=r"no object 5, but 1 \(nucleus\), 2: choose one"):
        nni.InferenceSession.replay(path, V1_SERIES[0], model, label=5)
    with pytest.raises(nni.ImageError, match=r"nuclei in time .*\(3, 12, 16, 16\)"):
        nni.InferenceSession.replay(path, V1_SERIES[0, 1:], model)
    both = panel_file(tmp_path / "both.json", count=2)
    places = r"\(0, 0, 0, 0\), \(2, 0, 0, 0\): which of these"
    with pytest.raises(nni.SessionError, match=places):
        nni.InferenceSession.replay(both, V1_SERIES[0], model)


class TestWriting:
    """A failed write leaves the earlier file, and nothing else."""

    def test_over_an_earlier_file(self, case: Path, model: Model) -> None:
        before = case.read_bytes()
        session = nni.InferenceSession(model, precision="fp32")
        session.set_image(noise())
        session.save(case)
        assert case.read_bytes() != before
        assert [p.name for p in case.parent.iterdir()] == [case.name]

    @pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
    def test_failure(
        self, case: Path, model: Model, error: BaseException, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_content: Any, file: Any, **_: Any) -> None:
            file.write("{")
            raise error

        before = case.read_bytes()
        session = played(model)
        monkeypatch.setattr(files.json, "dump", fail)
        expected = nni.SessionError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected):
            session.save(case)
        assert case.read_bytes() == before
        assert [p.name for p in case.parent.iterdir()] == [case.name]
        session.add(nni.Point((1, 1, 1)))  # and the session goes on

    @pytest.mark.parametrize("where", ["no such folder/a.json", ".", "a\0b.json"])
    def test_nowhere_to_write(self, model: Model, tmp_path: Path, where: str) -> None:
        session = nni.InferenceSession(model, precision="fp32")
        session.set_image(noise())
        with pytest.raises(nni.SessionError, match="cannot be written"):
            session.save(tmp_path / where)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(os.name != "posix", reason="permissions as on POSIX")
    def test_permissions_are_those_of_any_new_file(self, model: Model, tmp_path: Path) -> None:
        session = nni.InferenceSession(model, precision="fp32")
        session.set_image(noise())
        session.save(tmp_path / "a.json")
        (tmp_path / "b.json").write_text("")
        modes = [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("a.json", "b.json")]
        assert modes[0] == modes[1]
