"""A way to run a network as a value, and what the variable asks for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch

from napari_nninteractive.engine.runtime.execution import (
    RUNTIME_VARIABLE,
    Execution,
    runtime_asked_for,
)
from napari_nninteractive.errors import SessionError


@pytest.mark.parametrize(
    ("way", "text"),
    [
        (Execution("openvino", "bf16", "default", 2), "OpenVINO, bf16, 2 threads"),
        (Execution("torch", "fp32", "channels_last", 1), "PyTorch, fp32, channels last, 1 thread"),
    ],
)
def test_text_and_json(way: Execution, text: str) -> None:
    assert str(way) == text
    assert Execution.from_json(asdict(way)) == way


def test_plain_is_torch_as_it_is() -> None:
    assert Execution.plain("bf16") == Execution("torch", "bf16", "default", torch.get_num_threads())


GOOD = {"runtime": "torch", "precision": "fp32", "layout": "default", "threads": 2}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        GOOD | {"runtime": "onnx"},
        GOOD | {"runtime": ["torch"]},
        GOOD | {"precision": "fp64"},
        GOOD | {"layout": None},
        GOOD | {"threads": 0},
        GOOD | {"threads": True},
        GOOD | {"threads": 2.0},
        GOOD | {"threads": 10**9},
    ],
)
def test_json_that_makes_no_sense(content: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|is"):
        Execution.from_json(content)


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (None, "auto"),
        ("", "auto"),
        ("torch", "torch"),
        ("openvino", "openvino"),
        ("plain", "plain"),
    ],
)
def test_variable(value: str | None, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv(RUNTIME_VARIABLE)
    else:
        monkeypatch.setenv(RUNTIME_VARIABLE, value)
    assert runtime_asked_for() == asked


def test_variable_with_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNTIME_VARIABLE, "onnx")
    with pytest.raises(SessionError, match=f"{RUNTIME_VARIABLE} is 'onnx'.*'openvino'"):
        runtime_asked_for()
