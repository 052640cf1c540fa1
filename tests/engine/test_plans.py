"""Plans: what nnU-Net plans, trains and saves loads, and gives what nnU-Net's own network gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.nnunet_folder import CASES, write_nnunet_folders

from napari_nninteractive.engine.model import load_model
from napari_nninteractive.engine.plans import read_plans
from napari_nninteractive.errors import ModelError


@pytest.fixture(scope="module")
def written_by_nnunet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("nnunet")
    write_nnunet_folders(work)
    return work


@pytest.mark.parametrize(("planner", "layout"), CASES)
@pytest.mark.filterwarnings("ignore:Detected old nnU-Net plans format")
def test_what_nnunet_planned_and_saved_gives_what_its_own_network_gives(
    planner: str, layout: str, written_by_nnunet: Path
) -> None:
    work = written_by_nnunet / f"{planner}-{layout}"
    folder = work / "model"
    configurations = json.loads((folder / "plans.json").read_text())["configurations"]
    assert {"2d", "3d_fullres"} <= configurations.keys()
    assert ("UNet_base_num_features" in configurations["3d_fullres"]) == (layout == "old")

    model = load_model(folder, "cpu")

    expected = np.load(work / "expected.npz")
    assert expected["inputs"].shape == (1, 8, *model.patch_size)
    assert model.configuration == ("3d_large" if layout == "inherited" else "3d_fullres")
    assert list(model.patch_size) == configurations["3d_fullres"]["patch_size"]
    with torch.inference_mode():
        logits = model.network(torch.from_numpy(expected["inputs"])).numpy()
    assert logits.std() > 0
    np.testing.assert_allclose(logits, expected["logits"], rtol=1e-5, atol=1e-6)


OLD = {
    "patch_size": [16, 16, 16],
    "UNet_class_name": "ResidualEncoderUNet",
    "UNet_base_num_features": 4,
    "unet_max_num_features": 8,
    "n_conv_per_stage_encoder": [1, 1],
    "n_conv_per_stage_decoder": [1],
    "num_pool_per_axis": [1, 1, 1],
    "pool_op_kernel_sizes": [[1, 1, 1], [2, 2, 2]],
    "conv_kernel_sizes": [[3, 3, 3], [3, 3, 3]],
}


def written(folder: Path, configurations: dict[str, Any]) -> Path:
    path = folder / "plans.json"
    path.write_text(json.dumps({"configurations": configurations}))
    return path


@pytest.mark.filterwarnings("ignore:Detected old nnU-Net plans format")
def test_older_plans_are_read_by_nnunet(tmp_path: Path) -> None:
    plan = read_plans(written(tmp_path, {"a": OLD}), "a")
    assert plan.architecture["network_class_name"].endswith(".unet.ResidualEncoderUNet")
    assert plan.architecture["arch_kwargs"]["features_per_stage"] == [4, 8]
    assert (plan.patch_size, plan.stride) == ((16, 16, 16), (2, 2, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"UNet_class_name": "os.system"}, r"'configurations\.a'.*Unknown architecture os\.system"),
        ({"UNet_base_num_features": 10**6}, r"'configurations\.a\.UNet_base_num_features'"),
        ({"unet_max_num_features": 10**6}, r"'configurations\.a\.unet_max_num_features'"),
        ({"n_conv_per_stage_encoder": [1] * 10**5}, r"n_conv_per_stage_encoder'.*16 of them at most"),
        ({"n_conv_per_stage_encoder": [1, 10**9]}, r"n_conv_per_stage_encoder'.*up to 64"),
        ({"n_conv_per_stage_encoder": None}, r"'configurations\.a'.*TypeError"),
        ({"conv_kernel_sizes": [[3, 3]]}, None),
        ({"patch_size": [16, 16]}, r"'patch_size'"),
        ({"patch_size": None}, r"'configurations\.a'.*TypeError"),
        ({"pool_op_kernel_sizes": [[1, 1, 1], [0, 0, 0]]}, r"strides"),
        ({"num_pool_per_axis": ...}, r"'configurations\.a'.*KeyError: 'num_pool_per_axis'"),
        ({"UNet_class_name": ...}, r"'configurations\.a'.*KeyError: 'UNet_class_name'"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Detected old nnU-Net plans format")
def test_what_is_wrong_in_older_plans_is_named(
    change: dict[str, Any], message: str | None, tmp_path: Path
) -> None:
    content = {k: v for k, v in {**OLD, **change}.items() if v is not ...}
    path = written(tmp_path, {"a": content})
    if message is None:  # shows when the network is built
        read_plans(path, "a")
        return
    with pytest.raises(ModelError, match=message) as caught:
        read_plans(path, "a")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_stages": 10**9},
        {"n_blocks_per_stage": [10**9, 1]},
        {"n_blocks_per_stage": 10**9},
        {"n_conv_per_stage_decoder": [10**9]},
        {"n_conv_per_stage_decoder": [1] * 100},
        {"n_stages": 1e9},
    ],
)
def test_networks_without_end_are_refused_before_they_are_built(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    from fixtures.model_folder import CONFIGURATION, plans

    content = plans()["configurations"]
    content[CONFIGURATION]["architecture"]["arch_kwargs"].update(arguments)
    (field,) = arguments
    with pytest.raises(ModelError, match=f"arch_kwargs.{field}'"):
        read_plans(written(tmp_path, content), CONFIGURATION)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(lambda n: {f"c{i}": {"inherits_from": f"c{i + 1}"} for i in range(n)}, id="long"),
        pytest.param(lambda n: {"c0": {"inherits_from": "c0", "architecture": {}}}, id="itself"),
    ],
)  # fmt: skip
def test_long_and_circular_inheritance_is_refused(
    names: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="missing, or inherited in a circle"):
        read_plans(written(tmp_path, names(5000)), "c0")


def test_deeply_nested_plans_are_refused(tmp_path: Path) -> None:
    nested: Any = []
    for _ in range(400):
        nested = [nested]
    path = written(tmp_path, {"a": {"inherits_from": "b", "x": nested}, "b": {"patch_size": 3}})
    with pytest.raises(ModelError):
        read_plans(path, "a")
