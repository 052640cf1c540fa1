"""Model folders: what is read, and that whatever is missing, wrong or hostile is named and refused."""

# ruff: noqa: E501 - tables of one case per line
from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.model_folder import CONFIGURATION, plans, write_model_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nninteractive.engine import capabilities as capabilities_module
from napari_nninteractive.engine.capabilities import read_capabilities
from napari_nninteractive.engine.model import Model, load_model
from napari_nninteractive.errors import ModelError

Change = Callable[[Path], Any]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_folder(tmp_path_factory.mktemp("models") / "template")


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "model"))


def edit(name: str, change: Callable[[Any], Any]) -> Change:
    """Change of a JSON file: `change` alters its content, or returns what to put in its place."""

    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        result = change(content)
        (folder / name).write_text(json.dumps(content if result is None else result))

    return apply


def weights(change: Callable[[dict[str, Any]], Any]) -> Change:
    def apply(folder: Path) -> None:
        path = folder / "fold_0" / "checkpoint_final.pth"
        content = torch.load(path, weights_only=True)
        result = change(content)
        torch.save(content if result is None else result, path)

    return apply


def text(name: str, content: str | bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(
        content.encode() if isinstance(content, str) else content
    )


def drop(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def architecture(**values: Any) -> Change:
    return edit(
        "plans.json",
        lambda c: c["configurations"][CONFIGURATION]["architecture"].update(values) or None,
    )


def arguments(**values: Any) -> Change:
    return edit(
        "plans.json",
        lambda c: (
            c["configurations"][CONFIGURATION]["architecture"]["arch_kwargs"].update(values) or None
        ),
    )


def configuration(**values: Any) -> Change:
    return edit("plans.json", lambda c: c["configurations"][CONFIGURATION].update(values) or None)


def info(**values: Any) -> Change:
    return edit("inference_info.json", lambda c: c.update(values) or None)


def test_a_folder_is_read_as_it_was_written(folder: Path) -> None:
    model = load_model(folder, "cpu")
    assert (model.id, model.folder, model.patch_size) == (str(folder), folder, (16, 16, 16))
    assert model.licence == "BSD-3-Clause"
    assert model.device == torch.device("cpu")
    assert not model.network.training
    assert not any(p.requires_grad for p in model.network.parameters())
    saved = torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=True)
    own = model.network.state_dict()
    assert own.keys() == saved["network_weights"].keys()
    for key, value in saved["network_weights"].items():
        assert torch.equal(own[key], value)
    out = model.network(torch.zeros((1, 8, 16, 16, 16)))
    assert isinstance(out, torch.Tensor)  # no deep supervision
    assert out.shape == (1, 2, 16, 16, 16)


def test_loading_twice_gives_the_same_network(folder: Path) -> None:
    inputs = torch.rand((1, 8, 16, 16, 16))
    one, two = (load_model(folder, "cpu") for _ in range(2))
    assert torch.equal(one.network(inputs), two.network(inputs))
    assert one.sha256 == two.sha256


def test_weights_in_half_precision_become_single(folder: Path) -> None:
    weights(lambda c: c["network_weights"].update({k: v.half() for k, v in c["network_weights"].items()}))(folder)  # fmt: skip
    model = load_model(str(folder), "cpu")
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}


def test_the_default_type_of_the_process_does_not_matter(folder: Path) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        model = load_model(folder, "cpu")
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}


def test_the_random_generator_of_the_process_is_left_alone(folder: Path) -> None:
    before = torch.get_rng_state()
    load_model(folder, "cpu")
    assert torch.equal(torch.get_rng_state(), before)


def shift_weight(checkpoint: dict[str, Any]) -> None:
    checkpoint["network_weights"]["decoder.seg_layers.0.bias"] += 1


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param(lambda f: None, True, id="nothing"),
        pytest.param(text("LICENSE", "MIT"), True, id="licence"),
        pytest.param(info(point_radius=5), False, id="capabilities"),
        pytest.param(configuration(comment="x"), False, id="plans"),
        pytest.param(weights(shift_weight), False, id="weights"),
    ],
)
def test_the_hash_covers_what_decides_the_result(folder: Path, change: Change, same: bool) -> None:
    before = load_model(folder, "cpu").sha256
    change(folder)
    assert (load_model(folder, "cpu").sha256 == before) == same
    assert len(before) == 64


@pytest.mark.parametrize(
    ("content", "licence"),
    [
        pytest.param("CC BY-NC-SA 4.0\n\nlong text", "CC BY-NC-SA 4.0", id="first line"),
        pytest.param("\n\n  MIT  \n", "MIT", id="after empty lines"),
        pytest.param("", None, id="empty"),
        pytest.param(b"\xff\xfeMIT", "��MIT", id="not UTF-8"),
        pytest.param(None, None, id="no file"),
    ],
)
def test_licence(folder: Path, content: str | bytes | None, licence: str | None) -> None:
    (text("LICENSE", content) if content is not None else drop("LICENSE"))(folder)
    assert load_model(folder, "cpu").licence == licence


def older(folder: Path) -> Path:
    (folder / "inference_info.json").unlink()
    return folder / "inference_session_class.json"


def test_defaults_of_the_newer_file(folder: Path) -> None:
    text("inference_info.json", "{}")(folder)
    got = read_capabilities(folder)
    assert got.kinds == {"point", "bbox2d", "scribble", "lasso"}
    assert got.scribble_thickness == (2, 2, 2)
    assert got.n_inputs == 8
    assert (got.encoding.decay, got.encoding.point_radius) == (0.98, 4)
    assert dict(got.encoding.channels) == {
        "bbox2d": (1, 2),
        "bbox3d": (1, 2),
        "lasso": (1, 2),
        "point": (3, 4),
        "scribble": (5, 6),
    }


def test_an_older_file_that_is_a_string_decays_faster(folder: Path) -> None:
    older(folder).write_text('"nnInteractiveInferenceSession"')
    got = read_capabilities(folder)
    assert (got.encoding.decay, got.encoding.point_radius, got.n_inputs) == (0.9, 4, 8)
    assert load_model(folder, "cpu").capabilities.encoding.decay == 0.9


def test_an_older_file_that_is_an_object(folder: Path) -> None:
    older(folder).write_text(
        json.dumps(
            {
                "inference_class": "nnInteractiveInferenceSession",
                "point_radius": 3,
                "preferred_scribble_thickness": [1, 2, 3],
            }
        )
    )
    got = read_capabilities(folder)
    assert (got.encoding.decay, got.encoding.point_radius) == (0.98, 3)
    assert got.scribble_thickness == (1, 2, 3)


def test_the_newer_file_counts_where_both_are(folder: Path) -> None:
    text("inference_session_class.json", '"nnInteractiveInferenceSession"')(folder)
    info(interaction_decay=0.5)(folder)
    assert read_capabilities(folder).encoding.decay == 0.5


def test_negative_channels_count_from_the_end(folder: Path) -> None:
    info(
        interaction_decay=0.95,
        point_radius=3,
        supported_interactions={"bbox3d": True, "lasso": False},
        channel_mapping={
            "prev_seg": -7,
            "bbox2d": [-6, -5],
            "bbox3d": [-6, 2],
            "points": [-4, -3],
            "scribble": [-2, -1],
            "lasso": [5, 6],
        },
    )(folder)
    got = read_capabilities(folder)
    assert dict(got.encoding.channels) == {
        "bbox2d": (1, 2),
        "bbox3d": (1, 2),
        "lasso": (5, 6),
        "point": (3, 4),
        "scribble": (5, 6),
    }
    assert got.kinds == {"point", "bbox2d", "bbox3d", "scribble"}
    assert got.encoding.decay == 0.95


def test_more_channels(tmp_path: Path) -> None:
    folder = write_model_folder(
        tmp_path / "model", interaction_channels=8, channel_mapping={"lasso": [7, 8]}
    )
    model = load_model(folder, "cpu")
    assert model.capabilities.n_inputs == 10
    assert model.capabilities.encoding.channels["lasso"] == (7, 8)
    assert model.network(torch.zeros((1, 10, 16, 16, 16))).shape == (1, 2, 16, 16, 16)


def scalars(checkpoint: dict[str, Any]) -> None:
    checkpoint["current_epoch"] = np.int64(5)
    checkpoint["logging"] = {"loss": [np.float32(0.5), np.float64(0.25)], "done": np.bool_(True)}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(weights(scalars), id="numpy scalars"),
        pytest.param(weights(lambda c: c.update(optimizer_state=None)), id="more fields"),
        pytest.param(weights(lambda c: c.update(trainer_name="unheard of")), id="unknown trainer"),
        pytest.param(info(version="1.0", description="x"), id="free text"),
        pytest.param(info(inference_class_min_version="2.6.0"), id="version"),
        pytest.param(info(inference_class_min_version="2"), id="short version"),
        pytest.param(configuration(inherits_from=None), id="inherits nothing"),
        pytest.param(
            edit(
                "plans.json",
                lambda c: {
                    "configurations": {
                        "base": c["configurations"][CONFIGURATION],
                        "middle": {"inherits_from": "base", "patch_size": [1, 1, 1]},
                        CONFIGURATION: {"inherits_from": "middle", "patch_size": [16, 16, 16]},
                    }
                },
            ),
            id="inherited",
        ),
        pytest.param(arguments(nonlin="torch.nn.modules.activation.LeakyReLU"), id="other path"),
        pytest.param(arguments(strides=[1, 2]), id="strides as numbers"),
        pytest.param(lambda f: (f / "fold_0").rename(f / "fold_3"), id="another fold"),
    ],
)  # fmt: skip
def test_what_is_accepted(folder: Path, change: Change) -> None:
    change(folder)
    model = load_model(folder, "cpu")
    assert model.patch_size == (16, 16, 16)
    assert model.network(torch.zeros((1, 8, 16, 16, 16))).shape == (1, 2, 16, 16, 16)


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content.pop(key) and None


def lose_weight(checkpoint: dict[str, Any]) -> None:
    del checkpoint["network_weights"]["decoder.seg_layers.0.bias"]


def bend_weight(checkpoint: dict[str, Any]) -> None:
    checkpoint["network_weights"]["decoder.seg_layers.0.bias"] = torch.zeros(3)


def sparse_weight(checkpoint: dict[str, Any]) -> None:
    checkpoint["network_weights"]["decoder.seg_layers.0.bias"] = torch.zeros(2).to_sparse()


CKPT = "fold_0/checkpoint_final.pth"
REFUSED = [
    ("no folder", shutil.rmtree, "no model folder"),
    ("no plans", drop("plans.json"), "plans.json is missing"),
    ("no dataset", drop("dataset.json"), "dataset.json is missing"),
    ("no capabilities", drop("inference_info.json"), "neither inference_info.json nor"),
    ("no checkpoint", drop(CKPT), "no fold_0/checkpoint_final.pth"),
    ("plans: no JSON", text("plans.json", "{"), "plans.json cannot be read as JSON"),
    ("plans: empty", text("plans.json", ""), "plans.json cannot be read as JSON"),
    ("plans: not UTF-8", text("plans.json", b"\xff\xfe"), "plans.json cannot be read"),
    ("plans: endless nesting", text("plans.json", "[" * 200_000), "plans.json cannot be read"),
    ("plans: endless number", text("plans.json", "1" * 9_999), "plans.json cannot be read"),
    ("plans: a list", text("plans.json", "[]"), "plans.json, field 'configurations'"),
    ("plans: no configurations", text("plans.json", "{}"), "field 'configurations'"),
    ("plans: a folder", lambda f: (drop("plans.json")(f), (f / "plans.json").mkdir()), "plans.json cannot be read"),
    ("dataset: no JSON", text("dataset.json", "x"), "dataset.json cannot be read"),
    ("dataset: two channels", text("dataset.json", '{"channel_names": {"0": "a", "1": "b"}}'), "dataset.json, field 'channel_names'"),
    ("dataset: no channels", text("dataset.json", '{"channel_names": {}}'), "field 'channel_names'"),
    ("dataset: a list", text("dataset.json", "[1]"), "field 'channel_names'"),
    ("capabilities: no JSON", text("inference_info.json", "x"), "inference_info.json cannot be"),
    ("capabilities: a list", text("inference_info.json", "[]"), "inference_info.json: expected a JSON object"),
    ("capabilities: unknown", info(telepathy=True), "inference_info.json, field 'telepathy': unknown capability"),
    ("capabilities: unknown class", info(inference_class="Other"), "field 'inference_class'"),
    ("capabilities: newer", info(inference_class_min_version="9.0"), "field 'inference_class_min_version'"),
    ("capabilities: version", info(inference_class_min_version="new"), "'inference_class_min_version'"),
    ("capabilities: padding", info(pad_mode_image="reflect"), "field 'pad_mode_image'"),
    ("capabilities: radius 0", info(point_radius=0), "field 'point_radius'"),
    ("capabilities: radius text", info(point_radius="4"), "field 'point_radius'"),
    ("capabilities: radius true", info(point_radius=True), "field 'point_radius'"),
    ("capabilities: radius huge", info(point_radius=10**6), "field 'point_radius'"),
    ("capabilities: decay 0", info(interaction_decay=0), "field 'interaction_decay'"),
    ("capabilities: decay 2", info(interaction_decay=2), "field 'interaction_decay'"),
    ("capabilities: decay NaN", info(interaction_decay=math.nan), "field 'interaction_decay'"),
    ("capabilities: thickness", info(preferred_scribble_thickness=[1, 2]), "field 'preferred_scribble_thickness'"),
    ("capabilities: thickness 0", info(preferred_scribble_thickness=[1, 2, 0]), "'preferred_scribble_thickness'"),
    ("capabilities: kind", info(supported_interactions={"blink": True}), "'supported_interactions'.*blink"),
    ("capabilities: kind 1", info(supported_interactions={"points": 1}), "'supported_interactions'"),
    ("capabilities: kinds", info(supported_interactions=["points"]), "'supported_interactions'"),
    ("capabilities: mapping", info(channel_mapping={"blink": [1, 2]}), "'channel_mapping'.*blink"),
    ("capabilities: channel 7", info(channel_mapping={"points": [3, 7]}), "'channel_mapping'.*points"),
    ("capabilities: channel -7", info(channel_mapping={"points": [3, -7]}), "'channel_mapping'.*points"),
    ("capabilities: twice the same", info(channel_mapping={"points": [3, -4]}), "'channel_mapping'.*points"),
    ("capabilities: one channel", info(channel_mapping={"points": 3}), "'channel_mapping'.*points"),
    ("capabilities: previous elsewhere", info(channel_mapping={"prev_seg": 1}), "'channel_mapping'.*prev_seg"),
    ("capabilities: more channels", info(interaction_channels=8), "network_weights.*has shape"),
    ("older: no class", lambda f: older(f).write_text('"Other"'), "session_class.json, field 'inference_class'"),
    ("older: null", lambda f: older(f).write_text("null"), "session_class.json: expected a JSON object"),
    ("patch: odd", configuration(patch_size=[16, 16, 15]), "'patch_size': 15 voxels along axis 2.*multiple of 2"),
    ("patch: 2D", configuration(patch_size=[16, 16]), "plans.json, field 'patch_size'"),
    ("patch: text", configuration(patch_size="16"), "field 'patch_size'"),
    ("patch: zero", configuration(patch_size=[16, 16, 0]), "field 'patch_size'"),
    ("patch: floats", configuration(patch_size=[16.0, 16, 16]), "field 'patch_size'"),
    ("patch: null", configuration(patch_size=None), "field 'patch_size'"),
    ("architecture: null", configuration(architecture=None), "plans.json, field 'architecture'"),
    ("architecture: no arguments", architecture(arch_kwargs=None), "field 'architecture'"),
    ("class: another", architecture(network_class_name="dynamic_network_architectures.architectures.unet.ResidualUNet"), "'architecture.network_class_name'"),
    ("class: os.system", architecture(network_class_name="os.system"), "network_class_name.*not 'os.system'"),
    ("class: torch.hub.load", architecture(network_class_name="torch.hub.load"), "network_class_name"),
    ("class: a list", architecture(network_class_name=["os.system"]), "network_class_name"),
    ("layer: os.system", arguments(conv_op="os.system"), "'architecture.arch_kwargs.conv_op'.*not 'os.system'"),
    ("layer: torch.hub.load", arguments(nonlin="torch.hub.load"), "arch_kwargs.nonlin"),
    ("layer: torch.load", arguments(nonlin="torch.load"), "arch_kwargs.nonlin"),
    ("layer: torch's own os", arguments(nonlin="torch.nn.modules.utils.os.system"), "arch_kwargs.nonlin"),
    ("layer: a function of torch.nn", arguments(nonlin="torch.nn.modules.module.register_module_forward_hook"), "arch_kwargs.nonlin"),
    ("layer: a package of torch.nn", arguments(nonlin="torch.nn.functional"), "arch_kwargs.nonlin"),
    ("layer: no such", arguments(nonlin="torch.nn.NoSuchLayer"), "arch_kwargs.nonlin"),
    ("layer: private", arguments(nonlin="torch.nn.modules.module._global_forward_hooks"), "arch_kwargs.nonlin"),
    ("layer: line break", arguments(nonlin="torch.nn.ReLU\n"), "arch_kwargs.nonlin"),
    ("layer: a list", arguments(nonlin=["torch.nn.ReLU"]), "arch_kwargs.nonlin"),
    ("layer: not imported", architecture(_kw_requires_import=[]), "plans.json, field 'architecture.arch_kwargs'"),
    ("imports: null", architecture(_kw_requires_import=None), "'architecture._kw_requires_import'"),
    ("imports: number", architecture(_kw_requires_import=3), "'architecture._kw_requires_import'"),
    ("imports: text", architecture(_kw_requires_import="conv_op"), "'architecture._kw_requires_import'"),
    ("imports: lists", architecture(_kw_requires_import=[["conv_op"]]), "'architecture._kw_requires_import'"),
    ("imports: unknown", architecture(_kw_requires_import=["conv_op", "norm_op", "nonlin", "x"]), "'architecture._kw_requires_import'"),
    ("arguments: unknown", arguments(colour="red"), "'architecture.arch_kwargs'"),
    ("arguments: strides a number", arguments(strides=2), "strides"),
    ("arguments: strides 0", arguments(strides=[[1, 1, 1], [0, 0, 0]]), "strides"),
    ("arguments: strides null", arguments(strides=None), "'architecture.arch_kwargs"),
    ("arguments: strides short", arguments(strides=[[1, 1, 1]]), "'architecture.arch_kwargs"),
    ("arguments: strides 2D", arguments(strides=[[1, 1], [2, 2]]), "strides"),
    ("arguments: outputs", arguments(num_classes=5), "'architecture.arch_kwargs'"),
    ("inherits: circle", configuration(inherits_from=CONFIGURATION), f"'configurations.{CONFIGURATION}': missing, or inherited in a circle"),
    ("inherits: larger circle", edit("plans.json", lambda c: c["configurations"][CONFIGURATION].update(inherits_from="b") or c["configurations"].update(b={"inherits_from": CONFIGURATION})), "in a circle"),
    ("inherits: missing", configuration(inherits_from="nobody"), "'configurations.nobody'"),
    ("inherits: a list", configuration(inherits_from=["a"]), "'configurations"),
    ("inherits: false", configuration(inherits_from=False), "'configurations.False'"),
    ("checkpoint: no weights", weights(without("network_weights")), "checkpoint_final.pth, field 'network_weights'"),
    ("checkpoint: weights a list", weights(lambda c: c.update(network_weights=[])), "'network_weights'"),
    ("checkpoint: weights of text", weights(lambda c: c.update(network_weights={"a": "b"})), "'network_weights'"),
    ("checkpoint: no configuration", weights(without("init_args")), "'init_args.configuration'"),
    ("checkpoint: configuration 3", weights(lambda c: c["init_args"].update(configuration=3)), "'init_args.configuration'"),
    ("checkpoint: other configuration", weights(lambda c: c["init_args"].update(configuration="2d")), "'configurations.2d'"),
    ("checkpoint: a list", weights(lambda c: [c]), "checkpoint_final.pth: expected a dictionary"),
    ("checkpoint: a tensor", weights(lambda c: torch.zeros(3)), "expected a dictionary"),
    ("checkpoint: empty", text(CKPT, b""), "checkpoint_final.pth is damaged"),
    ("checkpoint: text", text(CKPT, "these are no weights"), "checkpoint_final.pth"),
    ("checkpoint: cut short", lambda f: (f / CKPT).write_bytes((f / CKPT).read_bytes()[:5000]), "checkpoint_final.pth is damaged"),
    ("checkpoint: a pickle cut short", text(CKPT, pickle.dumps({"a": [1, 2, 3]}, 2)[:-5]), "checkpoint_final.pth"),
    ("weights: missing", weights(lose_weight), "'network_weights': decoder.seg_layers.0.bias is missing"),
    ("weights: extra", weights(lambda c: c["network_weights"].update(more=torch.zeros(1))), "'network_weights': more has no place"),
    ("weights: extra, no text", weights(lambda c: c["network_weights"].update({3: torch.zeros(1), "x": torch.zeros(1)})), "has no place"),
    ("weights: other shape", weights(bend_weight), r"decoder.seg_layers.0.bias has shape \(3,\).*ask for \(2,\)"),
    ("weights: sparse", weights(sparse_weight), "'network_weights'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"), [pytest.param(change, text, id=name) for name, change, text in REFUSED]
)
@pytest.mark.filterwarnings("ignore::UserWarning:torch")
def test_what_is_refused_is_named(folder: Path, change: Change, message: str) -> None:
    change(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(folder, "cpu")
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["no such folder", "~no_such_user/model", ""])
def test_names_that_are_no_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError):
        load_model(name, "cpu")


class Bomb:
    """Leaves a mark when unpickled."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def touch(path: str) -> int:
    """Stands for any program."""
    return os.open(path, os.O_CREAT)


def named(module: str, name: str) -> Callable[[str], bytes]:
    """Pickle that calls ``module.name(path)``, whatever that is."""
    return lambda path: (
        b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"X" + len(path).to_bytes(4, "little")
        + path.encode() + b"\x85R."
    )  # fmt: skip


def as_value(path: str) -> Any:
    return Bomb(os.mkdir, path)


HOSTILE = [
    pytest.param(lambda p, c: {**c, "logging": as_value(p)}, id="a field"),
    pytest.param(lambda p, c: as_value(p), id="the whole file"),
    pytest.param(lambda p, c: {**c, "trainer_name": Bomb(eval, f"__import__('os').mkdir({p!r})")}, id="eval"),
    pytest.param(lambda p, c: {**c, "network_weights": {**c["network_weights"], "x": as_value(p)}}, id="a weight"),
    pytest.param(lambda p, c: {**c, "x": Bomb(np._core.multiarray.scalar, np.dtype("f8"), as_value(p))}, id="in a numpy scalar"),
    pytest.param(lambda p, c: {**c, "x": Bomb(np._core.multiarray.scalar, np.dtype("O"), as_value(p))}, id="in a numpy object"),
    pytest.param(lambda p, c: {**c, "x": Bomb(np.dtype, as_value(p))}, id="in a numpy type"),
    pytest.param(lambda p, c: {**c, as_value(p): 1}, id="a key"),
]  # fmt: skip


@pytest.mark.parametrize("build", HOSTILE)
@pytest.mark.parametrize("new_format", [True, False])
def test_a_hostile_checkpoint_is_refused_and_does_nothing(
    folder: Path, tmp_path: Path, build: Callable[[str, Any], Any], new_format: bool
) -> None:
    mark = tmp_path / "mark"
    content = build(str(mark), torch.load(folder / CKPT, weights_only=True))
    torch.save(content, folder / CKPT, _use_new_zipfile_serialization=new_format)
    with pytest.raises(ModelError, match="refused: such a file can run any program"):
        load_model(folder, "cpu")
    assert not mark.exists()
    with contextlib.suppress(TypeError):  # a numpy scalar of nothing
        torch.load(folder / CKPT, weights_only=False)  # the file is as hostile as it is meant to be
    assert mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param("os", "mkdir", id="plain"),
        pytest.param("posix", "mkdir", id="by its inner name"),
        pytest.param("numpy", "os.mkdir", id="numpy, dotted"),
        pytest.param("numpy.core.multiarray", "fromfile", id="numpy.core"),
        pytest.param("numpy._core.multiarray", "_reconstruct.__globals__", id="numpy, globals"),
        pytest.param("numpy.lib.npyio", "DataSource", id="numpy, DataSource"),
        pytest.param("numpy.testing._private.utils", "runstring", id="numpy, runstring"),
        pytest.param("torch.hub", "load", id="torch.hub"),
        pytest.param("torch", "load", id="torch.load"),
        pytest.param("torch.jit", "load", id="torch.jit"),
        pytest.param("builtins", "exec", id="exec"),
        pytest.param("builtins", "getattr", id="getattr"),
        pytest.param("functools", "partial", id="partial"),
    ],
)  # fmt: skip
def test_no_function_by_name(folder: Path, tmp_path: Path, module: str, name: str) -> None:
    mark = tmp_path / "mark"
    (folder / CKPT).write_bytes(named(module, name)(str(mark)))
    with pytest.raises(ModelError, match=r"checkpoint_final\.pth"):
        load_model(folder, "cpu")
    assert not mark.exists()


def test_loading_allows_nothing_to_others(folder: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    load_model(folder, "cpu")
    assert set(torch.serialization.get_safe_globals()) == before


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something lies in nested lists and dictionaries."""
    out = [at]
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            out += paths(inner, (*at, key))
    return out


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    out = copy.copy(value)
    out[at[0]] = replaced(value[at[0]], at[1:], new)
    return out


small = st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=3)
values = st.recursive(
    small | st.sampled_from([10**30, "torch.nn.ReLU", "torch.nn", "3d_fullres", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
CAPABILITIES = {
    "inference_class": "nnInteractiveInferenceSession",
    "inference_class_min_version": "2.0.0",
    "point_radius": 4,
    "preferred_scribble_thickness": [2, 2, 2],
    "interaction_decay": 0.9,
    "pad_mode_image": "constant",
    "supported_interactions": {"points": True, "bbox3d": False},
    "interaction_channels": 6,
    "channel_mapping": {"prev_seg": 0, "points": [3, 4], "scribble": [-2, -1]},
}
FILES = {
    "plans.json": plans(),
    "dataset.json": {"channel_names": {"0": "image"}},
    "inference_info.json": CAPABILITIES,
}


def load_or_refuse(folder: Path) -> Model | None:
    """Model, or None where it was refused as it should be; any other error is one."""
    try:
        return load_model(folder, "cpu")
    except ModelError as error:
        if str(folder) not in str(error):
            raise AssertionError(f"does not name the file: {error}") from error
        return None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_value_in_any_field_loads_or_is_refused_by_name(template: Path, name: str) -> None:
    original = (template / name).read_text()

    @settings(
        max_examples=20 if name == "dataset.json" else 80,
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.sampled_from(paths(FILES[name])), values)
    def mutate(at: tuple[Any, ...], new: Any) -> None:
        (template / name).write_text(json.dumps(replaced(FILES[name], at, new)))
        model = load_or_refuse(template)
        if model is None:
            return
        channels = model.capabilities.n_inputs
        with torch.inference_mode():
            assert model.network(torch.zeros((1, channels, *model.patch_size))).shape[1] == 2

    try:
        mutate()
    finally:
        (template / name).write_text(original)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_bytes_in_the_checkpoint_load_or_are_refused(template: Path) -> None:
    path = template / CKPT
    original = path.read_bytes()
    legacy = pickle.dumps({"network_weights": {}, "init_args": {"configuration": "x"}}, 2)
    rng = np.random.default_rng(0)
    try:
        for i in range(120):
            data = bytearray(original if i % 2 else legacy)
            for at in rng.integers(0, len(data) if i % 2 == 0 else 3000, 1 + i % 5):
                data[at] = rng.integers(256)
            path.write_bytes(bytes(data))
            load_or_refuse(template)
    finally:
        path.write_bytes(original)


def test_capabilities_list_what_the_published_engine_knows() -> None:
    assert set(CAPABILITIES) <= capabilities_module._FIELDS
