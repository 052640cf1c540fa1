"""A network made ready in one way: the same values, and the process as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.model_folder import write_model_folder

import napari_nninteractive as nni
from napari_nninteractive.engine.engine import Engine
from napari_nninteractive.engine.runtime.calibration import calibration_inputs, value_ranges
from napari_nninteractive.engine.runtime.execution import RUNTIME_VARIABLE, Execution
from napari_nninteractive.engine.runtime.graph import UnknownLayerError, build_graph, convolutions
from napari_nninteractive.engine.runtime.memory import Memory
from napari_nninteractive.engine.runtime.networks import TorchNetwork, has_openvino, load_openvino
from napari_nninteractive.simulation.images.samples import nuclei

CPU = torch.device("cpu")
openvino_only = pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAPARI_NNINTERACTIVE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return nni.load_model(write_model_folder(tmp_path_factory.mktemp("model") / "model"), "cpu")


@pytest.fixture(scope="module")
def builtin() -> Any:
    return nni.load_model("builtin", "cpu")


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("fails", [False, True])
def test_threads_of_torch_are_as_before(threads: int, fails: bool) -> None:
    seen: list[int] = []

    def network(inputs: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        if fails:
            raise ValueError("no")
        return inputs

    before = torch.get_num_threads()
    run = TorchNetwork(network, CPU, Execution("torch", "fp32", "default", threads))
    if fails:
        with pytest.raises(ValueError, match="no"):
            run(torch.zeros(1))
    else:
        run(torch.zeros(1))
    assert seen == [threads]
    assert torch.get_num_threads() == before


def test_layouts_give_the_same(model: Any) -> None:
    inputs = torch.randn((1, 8, 16, 16, 16))
    default, last = (
        TorchNetwork(model.network, CPU, Execution("torch", "fp32", layout, 1))(inputs)  # type: ignore[arg-type]
        for layout in ("default", "channels_last")
    )
    torch.testing.assert_close(default, last, rtol=1e-4, atol=1e-4)


def test_ranges_of_what_enters_the_convolutions(model: Any) -> None:
    inputs = list(calibration_inputs(model.patch_size, model.capabilities.encoding))
    assert all(i.shape == (1, 8, 16, 16, 16) and bool(torch.isfinite(i).all()) for i in inputs)
    assert len(inputs) >= 6
    assert any(float(i[0, 1].max()) == 1 for i in inputs)
    assert all(float(i[0, 4:6].max()) > 0 for i in inputs)
    with torch.inference_mode():
        found = value_ranges(model.network, model.network, iter(inputs))
    names = list(convolutions(model.network))
    assert set(found) < set(names)
    assert names[0] not in found
    assert all(low <= high for low, high in found.values())
    assert not any(m._forward_pre_hooks for m in model.network.modules())


@openvino_only
class TestOpenVino:
    """With OpenVINO."""

    def test_its_report_of_use_is_not_sent(self) -> None:
        code = (
            "import sys\n"
            "from napari_nninteractive.engine.runtime.networks import load_openvino\n"
            "assert load_openvino() is load_openvino()\n"
            "assert not any(m.startswith('openvino_telemetry') for m in sys.modules)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.parametrize("threads", [1, 2])
    def test_logits_are_those_of_torch(self, model: Any, number: int, threads: int) -> None:
        engine = Engine.of(model, execution=Execution("openvino", "fp32", "default", threads))
        inputs = torch.randn((number, 8, 16, 16, 16))
        before = inputs.clone()
        with torch.inference_mode():
            expected = model.network(inputs)
        torch.testing.assert_close(engine.runner.run(inputs), expected, rtol=1e-3, atol=1e-3)
        assert torch.equal(inputs, before)

    def test_it_repeats_to_the_bit_and_keeps_no_result(self, model: Any) -> None:
        runner = Engine.of(model, execution=Execution("openvino", "fp32", "default", 1)).runner
        inputs = torch.randn((1, 8, 16, 16, 16))
        first = runner(inputs)
        kept = first.clone()
        other = runner(inputs + 1)
        assert torch.equal(first, kept)
        assert not torch.equal(first, other)
        assert torch.equal(runner(inputs), first)

    @pytest.mark.parametrize(
        ("precision", "least"), [("fp32", 0.9999), ("bf16", 0.98), ("int8", 0.9)]
    )
    def test_masks_of_a_session(
        self, builtin: Any, precision: Any, least: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sample = nuclei((48, 64, 64), seed=3)
        number = int(np.bincount(sample.labels[sample.labels > 0]).argmax())
        place = np.argwhere(sample.labels == number).mean(axis=0).round().astype(int).tolist()
        expected = nni.InferenceSession(builtin, precision="fp32")
        monkeypatch.setenv(RUNTIME_VARIABLE, "openvino")
        found = nni.InferenceSession(builtin, precision=precision)
        assert found.precision == precision
        for session in (expected, found):
            session.set_image(sample.image)
            session.add(nni.Point(place))
        a, b = (np.asarray(s.mask[...]) != 0 for s in (expected, found))
        assert np.count_nonzero(a) > 100
        assert 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)) >= least

    def test_int8_is_calibrated_once(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        first = Engine.of(model, precision="int8")
        ranges = Memory().ranges(model.network)
        assert ranges
        monkeypatch.setattr(Memory, "keep_ranges", lambda *_: pytest.fail("measured again"))
        second = Engine.of(model, precision="int8")
        inputs = torch.randn((1, 8, 16, 16, 16))
        assert torch.equal(first.runner(inputs), second.runner(inputs))
        assert not torch.equal(first.runner(inputs), model.network(inputs))

    def test_ranges_of_another_network_are_not_used(self, model: Any) -> None:
        Memory().keep_ranges(model.network, {"nothing of this name": (0.0, 1.0)})
        Engine.of(model, precision="int8")
        assert "nothing of this name" not in (Memory().ranges(model.network) or {})

    @pytest.mark.parametrize(
        "layer",
        [
            torch.nn.Conv3d(8, 8, 3, padding=1, padding_mode="reflect"),
            torch.nn.Conv3d(8, 8, 1, groups=2),
            torch.nn.ConvTranspose3d(8, 2, 3, padding=1),
            torch.nn.BatchNorm3d(8),
            torch.nn.Softplus(),
        ],
        ids=lambda layer: type(layer).__name__,
    )
    def test_a_layer_that_it_is_not_told_of(self, layer: torch.nn.Module) -> None:
        with pytest.raises(UnknownLayerError, match=type(layer).__name__):
            build_graph(torch.nn.Sequential(layer), load_openvino(), (1, 8, 4, 4, 4))


@openvino_only
def test_ctrl_c_is_heard_after_a_network_was_dropped_in_another_thread(tmp_path: Path) -> None:
    code = """
import signal, sys, threading
import torch
from napari_nninteractive.engine.runtime.execution import Execution
from napari_nninteractive.engine.runtime.networks import OpenVinoNetwork

heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
layer = torch.nn.Sequential(torch.nn.Conv3d(8, 2, 3, padding=1)).eval()
networks = [OpenVinoNetwork(layer, Execution("openvino", "fp32", "default", 1))]
with torch.inference_mode():
    values = torch.ones(1, 8, 16, 16, 16)
    assert torch.allclose(networks[0](values), layer(values), atol=1e-5)
dropping = threading.Thread(target=networks.clear)
dropping.start()
dropping.join()
for _ in range(3):
    signal.raise_signal(signal.SIGINT)
sys.exit(0 if heard == [1, 1, 1] else 3)
"""
    run = subprocess.run([sys.executable, "-X", "faulthandler", "-c", code], cwd=tmp_path)
    assert run.returncode == 0
