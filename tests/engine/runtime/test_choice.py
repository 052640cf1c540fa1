"""Choosing a way to run: asked for, remembered or measured, and never an error where torch works."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.model_folder import write_model_folder
from fixtures.oracles import make_model

import napari_nninteractive as nni
from napari_nninteractive.engine.device import Runner, Sight, make_runner
from napari_nninteractive.engine.engine import Engine
from napari_nninteractive.engine.runtime import choice as module
from napari_nninteractive.engine.runtime.choice import Choice, Chooser
from napari_nninteractive.engine.runtime.execution import RUNTIME_VARIABLE, Execution
from napari_nninteractive.engine.runtime.memory import Memory

CPU = torch.device("cpu")
FP32 = Execution("torch", "fp32", "default", 2)
BF16 = Execution("torch", "bf16", "default", 2)
BF16_ONE = Execution("torch", "bf16", "default", 1)
OV = Execution("openvino", "fp32", "default", 2)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two threads, bf16 in hardware, no OpenVINO, and nothing measured yet."""
    monkeypatch.setenv("NAPARI_NNINTERACTIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(RUNTIME_VARIABLE, "auto")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    monkeypatch.setattr(module, "has_openvino", lambda: False)


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return nni.load_model(write_model_folder(tmp_path / "model"), "cpu")


def times(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[Execution, float]
) -> list[tuple[Any, ...]]:
    """Give these times in place of measuring; notes what was to be measured."""
    asked: list[tuple[Any, ...]] = []

    def answer(ways: tuple[Execution, ...], *_: object, **__: object) -> dict[Execution, float]:
        asked.append(ways)
        return {w: seconds[w] for w in ways if w in seconds}

    monkeypatch.setattr(module, "measure", answer)
    return asked


def chooser(model: Any) -> Chooser:
    return Chooser(
        model.network, Sight(model.patch_size, model.stride, model.capabilities.encoding)
    )


def test_it_is_measured_once_and_remembered(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = times(monkeypatch, {FP32: 0.4, BF16: 0.1, BF16_ONE: 0.3})
    first, second = chooser(model).choose("auto"), chooser(model).choose("auto")
    assert first.execution == second.execution == BF16
    assert first.reason == second.reason
    assert first.reason == (
        "3 ways measured on this machine; PyTorch, fp32, 2 threads takes 4.0 times as long"
    )
    assert len(asked) == 1
    assert asked[0][0] == FP32
    chooser(model).forget(second)
    chooser(model).choose("auto")
    assert len(asked) == 2


def test_the_plain_way_is_kept_where_nothing_is_faster(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, {FP32: 0.1, BF16: 0.2})
    found = chooser(model).choose("auto")
    assert found.execution == FP32
    assert "none faster" in found.reason


def test_bf16_is_not_tried_without_its_instructions(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    asked = times(monkeypatch, {FP32: 0.4, BF16: 0.1})
    chooser(model).choose("auto")
    assert {way.precision for way in asked[0]} == {"fp32"}
    chooser(model).choose("bf16")
    assert {way.precision for way in asked[1]} == {"bf16"}


def test_going_on_in_the_precision_that_auto_chose_measures_nothing(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = times(monkeypatch, {FP32: 0.4, BF16: 0.2, BF16_ONE: 0.1})
    assert chooser(model).choose("auto").execution == BF16_ONE
    assert chooser(model).choose("bf16").execution == BF16_ONE
    assert len(asked) == 1
    assert chooser(model).choose("fp32").execution == FP32
    assert len(asked) == 2


def test_seconds_are_those_of_a_whole_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch, {FP32: 0.1})
    model = make_model((64, 64, 64), network=torch.nn.Conv3d(8, 2, 1), stride=(16, 16, 16))
    assert chooser(model).choose("auto").seconds == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("patch", "stride", "probe"),
    [
        ((64, 64, 64), (16, 16, 16), (32, 32, 32)),
        ((192, 192, 192), (32, 32, 32), (64, 64, 64)),
        ((16, 16, 16), (2, 2, 2), (16, 16, 16)),
        ((20, 320, 256), (4, 4, 4), (20, 32, 32)),
        ((48, 48, 48), (24, 24, 24), (48, 48, 48)),
    ],
)
def test_probe(patch: Any, stride: Any, probe: Any) -> None:
    encoding = make_model().capabilities.encoding
    assert Sight(patch, stride, encoding).probe == (1, 8, *probe)


class Fails(torch.nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("too small for me")


def test_measuring_that_fails_leaves_the_plain_way(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = chooser(make_model(network=Fails())).choose("auto")
    assert found == Choice(FP32, "measuring failed (too small for me)")
    assert "not measured" in caplog.text


def test_an_interrupt_leaves_nothing(
    model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "measure", interrupt)
    with pytest.raises(KeyboardInterrupt):
        chooser(model).choose("auto")
    assert not list((tmp_path / "cache").rglob("*"))


def test_what_is_remembered_of_a_runtime_that_is_gone_is_not_used(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, {FP32: 0.4, BF16: 0.2})
    one = chooser(model)
    one.choose("auto")
    memory = Memory()
    asked = module._asked("auto", ("torch",))
    memory.keep_times(model.network, asked, {FP32: 0.4, OV: 0.01, BF16: 0.2})
    assert chooser(model).choose("auto").execution == BF16


@pytest.mark.parametrize(("runtime", "precision"), [("auto", "int8"), ("openvino", "fp32")])
def test_openvino_asked_for_and_missing(
    runtime: str, precision: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setenv(RUNTIME_VARIABLE, runtime)
    with pytest.raises(nni.SessionError, match="pip install openvino"):
        Engine.of(model, precision=precision)


class TestRunner:
    """What `Engine.of` makes of a choice."""

    def test_measured(self, model: Any) -> None:
        engine = Engine.of(model)
        assert engine.execution.runtime == "torch"
        assert engine.precision == engine.execution.precision
        assert "measured on this machine" in engine.runner.reason
        inputs = torch.zeros((1, 8, 16, 16, 16))
        expected = Runner(model.network, CPU, "fp32")(inputs)
        torch.testing.assert_close(engine.runner(inputs).float(), expected, rtol=0.05, atol=0.05)

    def test_plain(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(RUNTIME_VARIABLE, "plain")
        asked = times(monkeypatch, {})
        engine = Engine.of(model)
        assert asked == []
        assert engine.execution == BF16
        assert engine.runner.reason == "nothing was measured"

    def test_asked_for(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = times(monkeypatch, {})
        way = Execution("torch", "fp32", "channels_last", 1)
        engine = Engine.of(model, execution=way)
        assert (engine.execution, engine.precision, asked) == (way, "fp32", [])
        inputs = torch.randn((1, 8, 16, 16, 16))
        torch.testing.assert_close(
            engine.runner(inputs), Runner(model.network, CPU, "fp32")(inputs)
        )

    def test_a_network_of_ones_own_runs_as_it_is(
        self, model: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = times(monkeypatch, {})
        engine = Engine.of(model, network=model.network, precision="fp32")
        assert (engine.runner.network, asked) == (model.network, [])

    def test_what_was_chosen_and_cannot_be_made_leaves_the_plain_way(
        self, model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        times(monkeypatch, {FP32: 0.4, BF16_ONE: 0.1})

        def fails(self: object, execution: Execution) -> None:
            raise RuntimeError("gone")

        monkeypatch.setattr(Chooser, "make", fails)
        sight = Sight(model.patch_size, model.stride, model.capabilities.encoding)
        runner = make_runner(model.network, CPU, sight, "fp32")
        assert (runner.network, runner.precision) == (model.network, "fp32")

    def test_several_views(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(RUNTIME_VARIABLE, "plain")
        runner = Engine.of(model, precision="fp32").runner
        views = torch.randn((3, 8, 16, 16, 16))
        together = runner.run(views)
        assert together.shape == (3, 2, 16, 16, 16)
        for view, logits in zip(views, together, strict=True):
            assert torch.equal(runner(view[None]), logits)
        assert torch.equal(runner.run([v[None] for v in views]), together)
