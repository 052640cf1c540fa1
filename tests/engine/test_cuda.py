"""CUDA against the CPU: the same prompts, by oracles and by a small network. Skipped where there is no CUDA device."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.model_folder import write_model_folder
from fixtures.oracles import Network, bright, everything, make_model, opinionated, sphere

import napari_nninteractive as nni
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.engine.device import Runner

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

SHAPE = (40, 48, 56)
CONFIG = nni.EngineConfig(border_voxels_many=60, border_voxels_few=10)
PROMPTS: list[Prompt] = [
    nni.Point((20, 24, 28)),
    nni.BoxPrompt((20, 10, 10), (21, 40, 44)),
    nni.Scribble(np.ones((1, 2, 20)), (12, 30, 20), positive=False),
    nni.MaskEdit(np.ones((3, 3, 3)), (20, 24, 28), value=False),
    nni.Lasso(np.ones((1, 9, 9)), (25, 20, 20)),
    nni.InitialMask(sphere(SHAPE, (20, 24, 28), 14)),
    nni.Point((5, 5, 5), positive=False),
]


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def masks(session: nni.InferenceSession) -> list[np.ndarray]:
    out = []
    for prompt in PROMPTS:
        session.add(prompt)
        out.append(session.mask[...])
    return out


@pytest.mark.parametrize(
    ("network", "image"),
    [
        pytest.param(bright(0.0), sphere(SHAPE, (20, 24, 28), 18).astype("f4"), id="sphere"),
        pytest.param(everything, noise(), id="everything"),
        pytest.param(opinionated, noise(), id="opinionated"),
    ],
)
def test_oracles_agree(network: Network, image: np.ndarray) -> None:
    results: dict[str, Any] = {}
    for name in ("cpu", "cuda"):
        model = dataclasses.replace(make_model(), device=torch.device(name))
        session = nni.InferenceSession(model, precision="fp32", network=network, config=CONFIG)
        session.set_image(image)
        results[name] = masks(session)
        while session.undo():
            pass
        assert session.mask.count() == 0
    for ours, theirs in zip(results["cuda"], results["cpu"], strict=True):
        assert dice(ours, theirs) >= 0.999


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_folder(tmp_path_factory.mktemp("cuda") / "model")


@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [
        pytest.param("fp32", 1e-4, id="fp32"),
        pytest.param("bf16", 0.1, id="bf16"),
        pytest.param("fp16", 2e-2, id="fp16"),
    ],
)
def test_logits_of_a_network_agree(folder: Path, precision: Any, tolerance: float) -> None:
    inputs = torch.randn((1, 8, 16, 16, 16), generator=torch.Generator().manual_seed(0))
    cpu = Runner(nni.load_model(folder, "cpu").network, torch.device("cpu"), "fp32")(inputs)
    model = nni.load_model(folder, "cuda")
    gpu = Runner(model.network, model.device, precision)(inputs.cuda())
    torch.testing.assert_close(
        gpu.float().cpu(), cpu, rtol=tolerance, atol=tolerance * float(cpu.abs().max())
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_same_input_gives_the_same_mask(folder: Path, precision: Any) -> None:
    results = []
    for _ in range(2):
        model = nni.load_model(folder, "cuda")
        session = nni.InferenceSession(model, precision=precision, config=CONFIG)
        session.set_image(noise())
        results.append(masks(session))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_settings_of_the_process_are_as_before(folder: Path) -> None:
    def now() -> tuple[object, ...]:
        cudnn = torch.backends.cudnn
        return (
            cudnn.enabled,
            cudnn.benchmark,
            cudnn.deterministic,
            cudnn.allow_tf32,
            torch.backends.cuda.matmul.allow_tf32,
            torch.is_autocast_enabled("cuda"),
            torch.are_deterministic_algorithms_enabled(),
        )

    before = now()
    session = nni.InferenceSession.from_pretrained(folder, "cuda")
    session.set_image(noise())
    session.add(nni.Point((20, 24, 28)))
    assert now() == before


def test_estimate(folder: Path) -> None:
    model = nni.load_model(folder, "cuda")
    out = nni.estimate(model)
    assert (out.device, out.seconds > 0, out.bytes > 0) == ("cuda", True, True)
    on_cpu = nni.estimate(model, "cpu", "fp32")
    assert on_cpu.device == "cpu"
    assert {p.device.type for p in model.network.parameters()} == {"cuda"}


def test_out_of_memory_is_said() -> None:
    def greedy(inputs: torch.Tensor) -> torch.Tensor:
        return torch.empty(1 << 45, device=inputs.device)

    model = dataclasses.replace(make_model(), device=torch.device("cuda"))
    session = nni.InferenceSession(model, precision="fp32", network=greedy)
    session.set_image(noise())
    with pytest.raises(nni.DeviceMemoryError, match="Not enough memory on cuda"):
        session.add(nni.Point((20, 24, 28)))
    assert session.prompts == ()
