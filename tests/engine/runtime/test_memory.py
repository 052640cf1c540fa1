"""What was measured, in files that anybody may have written."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nninteractive.engine.runtime import memory as module
from napari_nninteractive.engine.runtime.execution import Execution
from napari_nninteractive.engine.runtime.memory import Memory, weights_key

TIMES = {
    Execution("torch", "fp32", "default", 2): 0.5,
    Execution("openvino", "bf16", "default", 1): 0.1,
}


def network(channels: int = 2) -> torch.nn.Module:
    return torch.nn.Conv3d(8, channels, 1)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "runtime")


def only_file(folder: Path) -> Path:
    (path,) = folder.rglob("*.json")
    return path


def test_times_come_back_for_the_same_layers_machine_and_question(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert memory.times(network(), "auto") == {}
    memory.keep_times(network(), "auto", TIMES)
    assert memory.times(network(), "auto") == TIMES  # other weights, as after learning
    assert memory.times(network(3), "auto") == {}
    assert memory.times(network(), "fp32") == {}
    monkeypatch.setattr(module, "machine", lambda: "another one")
    assert memory.times(network(), "auto") == {}


def test_forgotten(memory: Memory) -> None:
    memory.forget_times(network(), "auto")
    memory.keep_times(network(), "auto", TIMES)
    memory.forget_times(network(), "auto")
    assert memory.times(network(), "auto") == {}


def test_ranges_belong_to_the_weights(memory: Memory) -> None:
    one, other = network(), network()
    memory.keep_ranges(one, {"a": (-1.0, 2.5)})
    assert memory.ranges(one) == {"a": (-1.0, 2.5)}
    assert memory.ranges(other) is None
    assert weights_key(one) != weights_key(other)


ROW = {"runtime": "torch", "precision": "fp32", "layout": "default", "threads": 2, "seconds": 0.5}
BAD = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b"[" * 100_000,
    b"{}",
    json.dumps({"version": 2, "times": [ROW]}).encode(),
    json.dumps({"version": 1}).encode(),
    json.dumps({"version": 1, "times": {}}).encode(),
    json.dumps({"version": 1, "times": [3]}).encode(),
    json.dumps({"version": 1, "times": [ROW | {"threads": -1}]}).encode(),
    json.dumps({"version": 1, "times": [ROW | {"seconds": 0}]}).encode(),
    json.dumps({"version": 1, "times": [ROW | {"seconds": "1"}]}).encode(),
    b'{"version": 1, "times": [%s]}' % json.dumps(ROW).replace("0.5", "NaN").encode(),
    b" " * (2 << 20),
]


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_a_damaged_or_foreign_file_is_ignored_with_a_line(
    content: bytes, memory: Memory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    memory.keep_times(network(), "auto", TIMES)
    only_file(tmp_path).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert memory.times(network(), "auto") == {}
    assert len(caplog.records) == 1
    memory.keep_times(network(), "auto", TIMES)
    assert memory.times(network(), "auto") == TIMES


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(content=JSON, key=st.sampled_from(["times", "ranges"]))
def test_no_content_is_an_error(content: Any, key: str, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("memory")
    memory, net = Memory(folder), network()
    memory.keep_times(net, "auto", TIMES)
    memory.keep_ranges(net, {"a": (0.0, 1.0)})
    for path in folder.glob("*.json"):
        path.write_text(json.dumps({"version": 1, key: content}))
    assert isinstance(memory.times(net, "auto"), dict)
    assert memory.ranges(net) is None or isinstance(memory.ranges(net), dict)


@pytest.mark.parametrize("pair", [[1, 0], [0], "01", [0, None], [0, float("inf")], {}])
def test_ranges_that_make_no_sense(pair: Any, memory: Memory, tmp_path: Path) -> None:
    net = network()
    memory.keep_ranges(net, {"a": (0.0, 1.0)})
    only_file(tmp_path).write_text(json.dumps({"version": 1, "ranges": {"a": pair}}))
    assert memory.ranges(net) is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "runtime").write_text("a file in its place")
    memory = Memory(tmp_path / "runtime")
    memory.keep_times(network(), "auto", TIMES)
    memory.forget_times(network(), "auto")
    assert memory.times(network(), "auto") == {}


def test_many_write_at_once(memory: Memory, tmp_path: Path) -> None:
    net = network()
    writers = [
        threading.Thread(target=lambda: [memory.keep_times(net, "auto", TIMES) for _ in range(20)])
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    seen = [memory.times(net, "auto") for _ in range(50)]
    for writer in writers:
        writer.join()
    assert all(times in ({}, TIMES) for times in seen)
    assert memory.times(net, "auto") == TIMES
    assert [p.suffix for p in (tmp_path / "runtime").iterdir()] == [".json"]
