"""Device, precision, and one checked pass that leaves the settings of the process alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fixtures.oracles import Counting, decide, everything, raise_at

from napari_nninteractive.engine.device import Runner, choose_device, choose_precision
from napari_nninteractive.engine.runtime.execution import cpu_has_bf16
from napari_nninteractive.errors import SessionError

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


def pretend(
    monkeypatch: pytest.MonkeyPatch,
    *,
    cuda: int = 0,
    mps: bool = False,
    capability: tuple[int, int] = (8, 0),
    cpu: dict[str, object] | None = None,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device=None: capability)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu or {}, raising=False)


@pytest.mark.parametrize(
    ("machine", "name", "expected"),
    [
        pytest.param({}, "auto", "cpu", id="nothing but a CPU"),
        pytest.param({"mps": True}, "auto", "mps", id="Apple"),
        pytest.param({"cuda": 1}, "auto", "cuda", id="CUDA"),
        pytest.param({"cuda": 1, "mps": True}, "auto", "cuda", id="CUDA first"),
        pytest.param({"cuda": 2}, "cpu", "cpu", id="CPU asked for"),
        pytest.param({"cuda": 2}, "cuda:1", "cuda:1", id="second card"),
        pytest.param({"mps": True}, "mps", "mps", id="MPS asked for"),
        pytest.param({"cuda": 1}, torch.device("cuda"), "cuda", id="a device"),
    ],
)
def test_device(
    machine: dict[str, Any], name: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, **machine)
    assert choose_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("machine", "name", "message"),
    [
        pytest.param({}, "gpu", "Unknown device 'gpu'", id="unknown"),
        pytest.param({}, "", "Unknown device ''", id="empty"),
        pytest.param(
            {},
            "cuda",
            "finds no CUDA device: use device='cpu'.*napari-nninteractive info",
            id="no CUDA",
        ),
        pytest.param({"cuda": 1}, "cuda:1", "no cuda:1: this machine has 1", id="no second card"),
        pytest.param({}, "mps", "no MPS device: use device='cpu'", id="no MPS"),
        pytest.param({}, "meta", "'meta' is not supported", id="known to torch only"),
        pytest.param({}, None, "Unknown device None", id="none"),
        pytest.param({}, "cuda:x", "Unknown device 'cuda:x'", id="index is text"),
    ],
)
def test_devices_that_are_not_there(
    machine: dict[str, Any], name: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, **machine)
    with pytest.raises(SessionError, match=message):
        choose_device(name)


PRECISION = [
    pytest.param({"capability": (9, 0)}, CUDA, "auto", "bf16", id="CUDA with bf16"),
    pytest.param({"capability": (8, 0)}, CUDA, "auto", "bf16", id="CUDA, first with bf16"),
    pytest.param({"capability": (7, 5)}, CUDA, "auto", "fp16", id="CUDA without bf16"),
    pytest.param({"capability": (7, 5)}, CUDA, "fp32", "fp32", id="CUDA, fp32 asked for"),
    pytest.param({"capability": (7, 5)}, CUDA, "bf16", "bf16", id="CUDA, bf16 asked for"),
    pytest.param({}, CUDA, "fp16", "fp16", id="CUDA, fp16 asked for"),
    pytest.param({"cpu": {"avx512_bf16": True}}, CPU, "auto", "bf16", id="CPU with AVX-512 BF16"),
    pytest.param({"cpu": {"amx_bf16": True}}, CPU, "auto", "bf16", id="CPU with AMX"),
    pytest.param({"cpu": {"avx512_bf16": True}}, CPU, "fp32", "fp32", id="CPU, fp32 asked for"),
    pytest.param({"cpu": {"avx512_bf16": False}}, CPU, "auto", "fp32", id="CPU without bf16"),
    pytest.param({"cpu": {}}, CPU, "auto", "fp32", id="CPU of another kind"),
    pytest.param({}, CPU, "bf16", "bf16", id="CPU, bf16 asked for"),
    pytest.param({"cpu": {"avx512_bf16": True}}, MPS, "auto", "fp32", id="MPS"),
    pytest.param({}, MPS, "bf16", "bf16", id="MPS, bf16 asked for"),
    pytest.param({}, CPU, "int8", "int8", id="CPU, int8 asked for"),
]


@pytest.mark.parametrize(("machine", "device", "asked", "expected"), PRECISION)
def test_precision(
    machine: dict[str, Any],
    device: torch.device,
    asked: Any,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, **machine)
    assert choose_precision(device, asked) == expected


def test_precision_where_torch_tells_nothing_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision(CPU, "auto") == "fp32"


@pytest.mark.parametrize(
    ("device", "asked", "message"),
    [
        pytest.param(CPU, "fp64", "Unknown precision 'fp64'", id="unknown"),
        pytest.param(CPU, None, "Unknown precision None", id="none"),
        pytest.param(CPU, "fp16", "fp16 runs on CUDA devices only.*on cpu", id="fp16 on a CPU"),
        pytest.param(CUDA, "int8", "int8 runs on a CPU only.*on cuda", id="int8 on a card"),
        pytest.param(MPS, "fp16", "fp16 runs on CUDA devices only.*on mps", id="fp16 on MPS"),
    ],
)
def test_precisions_that_are_not_there(device: torch.device, asked: Any, message: str) -> None:
    with pytest.raises(SessionError, match=message):
        choose_precision(device, asked)


INPUTS = torch.zeros((1, 8, 2, 3, 4))


def constant(shape: tuple[int, ...], value: float = 0.0) -> Any:
    return lambda _inputs: torch.full(shape, value)


def with_one(value: float) -> Any:
    def run(inputs: torch.Tensor) -> torch.Tensor:
        logits = everything(inputs)
        logits[0, 1, 1, 2, 3] = value
        return logits

    return run


FAILURES = [
    pytest.param(constant((1, 2, 2, 3, 5)), "fp32", r"shape \(1, 2, 2, 3, 4\), not \(1, 2, 2, 3, 5\)", id="space"),
    pytest.param(constant((1, 1, 2, 3, 4)), "fp32", r"not \(1, 1, 2, 3, 4\)", id="one output"),
    pytest.param(constant((2, 2, 3, 4)), "fp32", r"not \(2, 2, 3, 4\)", id="no batch"),
    pytest.param(lambda x: [everything(x)], "fp32", "must return a tensor", id="a list"),
    pytest.param(lambda x: None, "fp32", "must return a tensor", id="nothing"),
    pytest.param(lambda x: everything(x).numpy(), "fp32", "must return a tensor", id="numpy"),
    pytest.param(with_one(float("nan")), "fp32", "NaN or infinite values.$", id="NaN"),
    pytest.param(with_one(float("inf")), "fp32", "NaN or infinite", id="infinite"),
    pytest.param(with_one(-float("inf")), "fp32", "NaN or infinite", id="minus infinite"),
    pytest.param(with_one(float("nan")), "bf16", "in bf16: use precision='fp32'", id="NaN in bf16"),
    pytest.param(
        raise_at(1, torch.OutOfMemoryError("CUDA out of memory"), everything),
        "fp32",
        r"Not enough memory on cpu for one patch of \(2, 3, 4\) voxels.*device='cpu'",
        id="out of memory",
    ),
    pytest.param(
        raise_at(1, RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), everything),
        "fp32",
        "Not enough memory on cpu",
        id="out of memory on a CPU",
    ),
    pytest.param(
        raise_at(1, RuntimeError("MPS backend out of memory (allocated 5 GB)"), everything),
        "fp32",
        "Not enough memory",
        id="out of memory on MPS",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("network", "precision", "message"), FAILURES)
def test_a_pass_that_fails(network: Any, precision: Any, message: str) -> None:
    with pytest.raises(SessionError, match=message):
        Runner(network, CPU, precision, keeps_input=False)(INPUTS)


def test_other_errors_come_through_as_they_are() -> None:
    error = RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError) as caught:
        Runner(raise_at(1, error, everything), CPU, "fp32")(INPUTS)
    assert caught.value is error


def test_logits_come_back_without_the_batch() -> None:
    values = torch.arange(24.0).reshape(1, 1, 2, 3, 4)
    out = Runner(lambda _x: decide(values), CPU, "fp32")(INPUTS)
    torch.testing.assert_close(out, torch.cat([-values, values], 1)[0], rtol=0, atol=0)


def test_large_logits_are_no_error() -> None:
    logits = Runner(lambda x: 6e4 * everything(x).half(), CPU, "fp32")(INPUTS)
    assert float(logits[1].min()) == pytest.approx(6e4, rel=1e-3)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_foreign_network_gets_a_copy(keeps: bool) -> None:
    held: list[torch.Tensor] = []

    def vandal(inputs: torch.Tensor) -> torch.Tensor:
        held.append(inputs)
        return everything(inputs.fill_(7))

    inputs = torch.zeros((1, 8, 2, 3, 4))
    Runner(vandal, CPU, "fp32", keeps_input=keeps)(inputs)
    assert (held[0] is inputs) == keeps
    assert float(inputs.max()) == (7 if keeps else 0)


def settings() -> dict[str, object]:
    cudnn = torch.backends.cudnn
    return {
        "threads": torch.get_num_threads(),
        "between": torch.get_num_interop_threads(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "autocast type": torch.get_autocast_dtype("cpu"),
        "inference": torch.is_inference_mode_enabled(),
        "gradients": torch.is_grad_enabled(),
        "cudnn": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "type": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "seed": torch.get_rng_state().tolist(),
    }


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("fails", [False, True])
def test_settings_of_the_process_are_as_before(precision: Any, fails: bool) -> None:
    network = raise_at(1, ValueError("no"), everything) if fails else everything
    before = settings()
    try:
        Runner(network, CPU, precision)(INPUTS)
    except ValueError:
        assert fails
    assert settings() == before


def test_what_the_network_sees_of_the_settings() -> None:
    seen: list[tuple[bool, bool]] = []

    def look(inputs: torch.Tensor) -> torch.Tensor:
        seen.append((torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")))
        return everything(inputs)

    Runner(look, CPU, "fp32")(INPUTS)
    Runner(look, CPU, "bf16")(INPUTS)
    with torch.autocast("cpu", torch.bfloat16):
        Runner(look, CPU, "fp32")(INPUTS)
    assert seen == [(True, False), (True, True), (True, False)]


def test_bf16_multiplies_in_bf16() -> None:
    linear = torch.nn.Conv3d(8, 2, 1)
    counting = Counting(linear)
    inputs = torch.rand((1, 8, 4, 4, 4))
    exact = Runner(counting, CPU, "fp32")(inputs)
    rounded = Runner(counting, CPU, "bf16")(inputs)
    assert (exact.dtype, rounded.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(rounded.float(), exact, rtol=2e-2, atol=2e-2)
    assert counting.inputs[1].dtype == "float32"


def test_cpu_capabilities_are_read_from_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cpu={"amx_bf16": 1})
    assert cpu_has_bf16()
