"""Model folders from strangers that would take all memory or never come back: each is refused by name, at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.model_folder import CONFIGURATION, write_model_folder

from napari_nninteractive.engine import model as models
from napari_nninteractive.engine.model import load_model
from napari_nninteractive.errors import ModelError

WEIGHTS = "fold_0/checkpoint_final.pth"
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9105525\n"
)
PAGE = b"\n<!DOCTYPE html><html><body>Sign in to continue</body></html>"

CHILD = """
import resource, sys, time
from napari_nninteractive.engine.model import load_model
from napari_nninteractive.errors import NNInteractiveError
import nnunetv2.utilities.get_network_from_plans
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
for folder in sys.argv[1:]:
    before, began = peak(), time.monotonic()
    try:
        load_model(folder, "cpu")
        said = "loaded"
    except NNInteractiveError as error:
        said = f"refused {error}"
    print(f"{peak() - before}|{time.monotonic() - began:.1f}|{said}", flush=True)
"""

Change = Callable[[Path], None]


def plans(**values: Any) -> Change:
    """Other values in the configuration, or, where they are arguments of the network, there."""

    def edit(folder: Path) -> None:
        path = folder / "plans.json"
        content = json.loads(path.read_text())
        configuration = content["configurations"][CONFIGURATION]
        for name, value in values.items():
            inner = (
                configuration
                if name == "patch_size"
                else configuration["architecture"]["arch_kwargs"]
            )
            inner[name] = value
        path.write_text(json.dumps(content))

    return edit


def instead(name: str, make: Callable[[Path], object]) -> Change:
    def replace(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return replace


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(8 << 30)


def packed(folder: Path) -> None:
    path = folder / WEIGHTS
    content = torch.load(path, weights_only=True)
    content["network_weights"]["more"] = torch.zeros(200_000_000, dtype=torch.uint8)
    torch.save(content, folder / "plain")
    with (
        zipfile.ZipFile(folder / "plain") as plain,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for part in plain.infolist():
            out.writestr(part.filename, plain.read(part.filename))
    (folder / "plain").unlink()


def overlapping(folder: Path) -> None:
    """Numbers that are one number, seen many times."""
    path = folder / WEIGHTS
    content = torch.load(path, weights_only=True)
    plans(features_per_stage=[2**15, 2**15])(folder)
    from napari_nninteractive.engine.plans import read_plans, without_memory

    network = without_memory(read_plans(folder / "plans.json", CONFIGURATION), 8)
    one = torch.zeros(1)
    content["network_weights"] = {
        key: one.expand(tensor.shape) for key, tensor in network.state_dict().items()
    }
    torch.save(content, path)


CASES: dict[str, tuple[Change, str]] = {
    "10⁶ blocks": (plans(n_blocks_per_stage=[10**6, 1]), "n_blocks_per_stage"),
    "10⁶ stages": (plans(n_stages=10**6), "n_stages"),
    "a patch of 1024³": (plans(patch_size=[1024] * 3), "patch_size"),
    "a patch of 2 × 1024 × 1024 × 64": (plans(patch_size=[1024, 1024, 66]), "patch_size"),
    "Upsample": (
        plans(nonlin="torch.nn.Upsample", nonlin_kwargs={"scale_factor": 400}),
        "arch_kwargs.nonlin'",
    ),
    "Upsample as norm": (
        plans(norm_op="torch.nn.Upsample", norm_op_kwargs={"scale_factor": 400}),
        "arch_kwargs.norm_op'",
    ),
    "Embedding": (
        plans(
            nonlin="torch.nn.Embedding", nonlin_kwargs={"num_embeddings": 10**9, "embedding_dim": 9}
        ),
        "arch_kwargs.nonlin'",
    ),
    "a layer on a device of its own": (
        plans(nonlin="torch.nn.PReLU", nonlin_kwargs={"num_parameters": 10**10, "device": "cpu"}),
        "nonlin_kwargs",
    ),
    "very many features": (plans(features_per_stage=[10**6, 10**6]), "network_weights"),
    "few numbers seen often": (overlapping, "more than the file can hold"),
    "plans that are a device": (instead("plans.json", zeros), "plans.json .*a device"),
    "plans that are a pipe": (instead("plans.json", os.mkfifo), "plans.json .*a named pipe"),
    "plans that are a folder": (instead("plans.json", os.mkdir), "plans.json .*a folder"),
    "plans of 8 GB": (instead("plans.json", sparse), "plans.json .*longer than"),
    "plans of deep lists": (
        instead("plans.json", lambda p: p.write_text("[" * 10**6)),
        "plans.json .*nested",
    ),
    "data set that is a pipe": (instead("dataset.json", os.mkfifo), "dataset.json"),
    "capabilities of deep objects": (
        instead("inference_info.json", lambda p: p.write_text('{"a":' * 10**6)),
        "inference_info.json .*nested",
    ),
    "weights that are a pipe": (instead(WEIGHTS, os.mkfifo), "a named pipe"),
    "weights that are a device": (instead(WEIGHTS, zeros), "a device"),
    "weights that are a folder": (instead(WEIGHTS, os.mkdir), "a folder"),
    "weights that are packed": (packed, "is compressed"),
}


def test_each_is_refused_by_name_in_no_time_and_no_memory(tmp_path: Path) -> None:
    template = write_model_folder(tmp_path / "template")
    folders = []
    for name, (change, _) in CASES.items():
        folder = tmp_path / name
        shutil.copytree(template, folder)
        change(folder)
        folders.append(folder)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, folders)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split("|", 2) for line in done.stdout.splitlines()]
    for (name, (_, expected)), (megabytes, seconds, said) in zip(CASES.items(), lines, strict=True):
        assert said.startswith("refused"), (name, said)
        assert re.search(expected, said), (name, said)
        assert int(megabytes) < 300, (name, megabytes)
        assert float(seconds) < 10, (name, seconds)


@pytest.mark.parametrize("name", ["plans.json", "dataset.json", "inference_info.json", WEIGHTS])
@pytest.mark.parametrize(
    ("content", "kind", "advice"),
    [
        (POINTER, "a pointer of git-lfs", "git lfs pull"),
        (PAGE, "a web page", "download the model again"),
    ],
)
def test_what_lies_in_a_files_place_is_named(
    tmp_path: Path, name: str, content: bytes, kind: str, advice: str
) -> None:
    folder = write_model_folder(tmp_path / "model")
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} is {kind}.*{advice}") as caught:
        load_model(folder, "cpu")
    assert "any program" not in str(caught.value)


def test_a_patch_that_memory_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model_folder(tmp_path / "model")
    need = 4 * 8 * 16**3
    monkeypatch.setattr(models, "available_memory", lambda: need)
    load_model(folder, "cpu")
    monkeypatch.setattr(models, "available_memory", lambda: need - 1)
    with pytest.raises(ModelError, match=r"field 'patch_size': the input .* of memory"):
        load_model(folder, "cpu")


def test_a_licence_without_end_and_pipes_beside(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "model")
    plain = load_model(folder, "cpu").sha256
    os.mkfifo(folder / "more.json")
    with (folder / "LICENSE").open("wb") as file:
        file.write(b"Some licence\n")
        file.truncate(8 << 30)
    model = load_model(folder, "cpu")
    assert (model.licence, model.sha256) == ("Some licence", plain)


@pytest.mark.parametrize(
    "nonlin",
    ["torch.nn.ReLU", "torch.nn.LeakyReLU", "torch.nn.GELU", "torch.nn.modules.activation.SiLU"],
)
@pytest.mark.parametrize(
    "norm", ["torch.nn.InstanceNorm3d", "torch.nn.modules.instancenorm.InstanceNorm3d"]
)
def test_layers_that_networks_use_are_taken(tmp_path: Path, nonlin: str, norm: str) -> None:
    folder = write_model_folder(tmp_path / "model")
    plans(nonlin=nonlin, nonlin_kwargs={}, norm_op=norm)(folder)
    out = load_model(folder, "cpu").network(torch.zeros((1, 8, 16, 16, 16)))
    assert out.shape == (1, 2, 16, 16, 16)
