"""The estimate: positive, scaled to the model's patch, and without traces on the model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fixtures.model_folder import write_model_folder
from fixtures.oracles import make_model

import napari_nninteractive as nni
from napari_nninteractive.engine import estimate as module
from napari_nninteractive.engine.estimate import estimate
from napari_nninteractive.engine.runtime.networks import has_openvino


class Net(torch.nn.Module):
    """Notes the patches it sees; halves them `levels` times, as a U-Net does."""

    def __init__(self, levels: int = 0) -> None:
        super().__init__()
        self.levels = levels
        self.conv = torch.nn.Conv3d(8, 2, 1)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        shape = tuple(inputs.shape[2:])
        self.seen.append(shape)
        if any(n % 2**self.levels for n in shape):
            raise RuntimeError("Sizes of tensors must match")
        return self.conv(inputs)


def state(network: torch.nn.Module) -> dict[str, object]:
    return {
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules()],
        "weights": {k: v.clone() for k, v in network.state_dict().items()},
        "training": network.training,
        "device": {p.device for p in network.parameters()},
    }


def test_of_a_model_folder(tmp_path: Path) -> None:
    model = nni.load_model(write_model_folder(tmp_path / "model"), "cpu")
    before = state(model.network)
    out = nni.estimate(model, "cpu", "fp32")
    after = state(model.network)
    weights = sum(p.numel() * 4 for p in model.network.parameters())
    inputs = 4 * 8 * 16**3
    assert out.seconds > 0
    assert weights + inputs < out.bytes < weights + 10 * inputs
    assert (out.device, out.precision) == ("cpu", "fp32")
    assert before["hooks"] == after["hooks"] == [0] * len(list(model.network.modules()))
    assert (before["training"], before["device"]) == (after["training"], after["device"])
    for key, value in before["weights"].items():  # type: ignore[attr-defined]
        assert torch.equal(value, after["weights"][key])  # type: ignore[index]


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
def test_with_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nni.load_model(write_model_folder(tmp_path / "model"), "cpu")
    plain = nni.estimate(model, "cpu", "fp32")
    monkeypatch.setenv("NAPARI_NNINTERACTIVE_RUNTIME", "openvino")
    monkeypatch.setenv("NAPARI_NNINTERACTIVE_CACHE", str(tmp_path / "cache"))
    found = nni.estimate(model, "cpu", "fp32")
    assert (plain.execution.runtime, found.execution.runtime) == ("torch", "openvino")
    assert found.bytes == pytest.approx(plain.bytes, rel=0.01)
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("patch", "levels"),
    [
        pytest.param((16, 16, 16), 1, id="small: as it is"),
        pytest.param((64, 64, 64), 5, id="64³: as it is"),
        pytest.param((192, 192, 192), 5, id="the published model: multiples of 32"),
        pytest.param((128, 128, 128), 4, id="128³"),
        pytest.param((160, 192, 64), 5, id="anisotropic"),
        pytest.param((96, 96, 96), 5, id="96³: multiples of 32"),
        pytest.param((20, 320, 256), 2, id="flat"),
        pytest.param((128, 128, 128), 6, id="two voxels at the coarsest level"),
    ],
)
def test_the_probe_is_a_patch_that_the_network_takes(
    patch: tuple[int, int, int], levels: int
) -> None:
    network = Net(levels)
    model = make_model(patch, network=network, stride=(2**levels,) * 3)
    out = estimate(model, "cpu", "fp32")
    assert out.seconds > 0
    assert all(s <= max(p, 64) for p, s in zip(patch, network.seen[-1], strict=True))


def test_seconds_and_bytes_grow_with_the_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 10.5, 20.0, 20.5])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    small = estimate(make_model((64, 64, 64), network=Net()), "cpu", "fp32")
    large = estimate(make_model((128, 128, 128), network=Net()), "cpu", "fp32")
    assert small.seconds == 0.5
    assert large.seconds == 4.0
    assert large.bytes == pytest.approx(8 * small.bytes, rel=1e-3)


def test_hooks_go_even_if_the_pass_fails() -> None:
    class Fails(Net):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if len(self.seen) == 1:
                raise ValueError("no")
            return super().forward(inputs)

    network = Fails()
    with pytest.raises(ValueError, match="no"):
        estimate(make_model(network=network), "cpu", "fp32")
    assert state(network)["hooks"] == [0, 0]


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        pytest.param("gpu", "fp32", "Unknown device", id="device"),
        pytest.param("cpu", "fp64", "Unknown precision", id="precision"),
        pytest.param("cpu", "fp16", "CUDA devices only", id="fp16 on a CPU"),
    ],
)
def test_what_is_not_there(device: str, precision: str, message: str) -> None:
    with pytest.raises(nni.SessionError, match=message):
        estimate(make_model(network=Net()), device, precision)  # type: ignore[arg-type]
