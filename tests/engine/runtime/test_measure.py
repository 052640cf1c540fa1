"""Times taken in turns, with a clock that the networks move."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from napari_nninteractive.engine.runtime.execution import Execution
from napari_nninteractive.engine.runtime.measure import candidates, fastest, fewer, measure

PLAIN = Execution("torch", "fp32", "default", 4)
BF16 = Execution("torch", "bf16", "default", 4)
OV = Execution("openvino", "fp32", "default", 4)
OV_BF16 = Execution("openvino", "bf16", "default", 4)
OV_ONE = Execution("openvino", "fp32", "default", 1)
INPUTS = torch.zeros((1, 8, 2, 2, 2))


class Machine:
    """Networks that take a known time of a clock of their own."""

    def __init__(self, seconds: dict[Execution, float]) -> None:
        self.seconds, self.now = seconds, 0.0
        self.passes: list[Execution] = []
        self.answers: dict[Execution, Callable[[], torch.Tensor]] = {}

    def clock(self) -> float:
        return self.now

    def make(self, way: Execution) -> Callable[[torch.Tensor], torch.Tensor]:
        def run(_inputs: torch.Tensor) -> torch.Tensor:
            self.now += self.seconds[way]
            self.passes.append(way)
            return self.answers.get(way, lambda: torch.ones(3))()

        return run

    def measure(self, budget: float = 2.0) -> dict[Execution, float]:
        return measure(tuple(self.seconds), self.make, INPUTS, budget=budget, clock=self.clock)


def test_all_are_timed_in_turns() -> None:
    machine = Machine({PLAIN: 0.05, BF16: 0.03, OV: 0.04})
    assert machine.measure() == pytest.approx({PLAIN: 0.05, BF16: 0.03, OV: 0.04})
    assert machine.passes == [PLAIN] * 2 + [BF16] * 2 + [OV] * 2 + [PLAIN, BF16, OV] * 2


def test_what_is_hopeless_is_not_timed_again() -> None:
    machine = Machine({PLAIN: 0.05, BF16: 0.11, OV: 0.01})
    machine.measure()
    assert machine.passes.count(PLAIN) == machine.passes.count(BF16) == 2
    assert machine.passes.count(OV) == 4


def test_the_budget_counts_from_the_first_way_and_the_second_one_is_always_timed() -> None:
    machine = Machine({PLAIN: 9.0, BF16: 5.0, OV: 0.1})
    assert machine.measure() == {PLAIN: 9.0, BF16: 5.0}
    assert machine.passes == [PLAIN, BF16]


def broken() -> torch.Tensor:
    raise RuntimeError("no such instruction")


@pytest.mark.parametrize(
    "answer",
    [
        broken,
        lambda: torch.ones(4),
        lambda: torch.tensor([1.0, 1.0, 1.1]),
        lambda: torch.tensor([1.0, 1.0, float("nan")]),
    ],
    ids=["an error", "another shape", "other values", "not finite"],
)
def test_what_does_not_do_the_same_is_left_out(answer: Callable[[], torch.Tensor]) -> None:
    machine = Machine({PLAIN: 0.05, OV: 0.01, BF16: 0.02})
    machine.answers[OV] = answer
    assert set(machine.measure()) == {PLAIN, BF16}


def test_bf16_is_rounded() -> None:
    machine = Machine({PLAIN: 0.05, BF16: 0.01})
    machine.answers[BF16] = lambda: torch.tensor([1.0, 1.0, 1.1])
    assert BF16 in machine.measure()


def test_a_rounded_first_way_does_not_judge_exact_ones() -> None:
    machine = Machine({OV_BF16: 0.03, OV: 0.05, OV_ONE: 0.06, PLAIN: 0.07})
    machine.answers = {
        OV_BF16: lambda: torch.tensor([1.0, 1.0, 1.1]),
        PLAIN: lambda: torch.tensor([1.0, 1.0, 1.1]),
    }
    # In fp32 they are held against each other.
    assert machine.measure() == pytest.approx({OV_BF16: 0.03, OV: 0.05, OV_ONE: 0.06})


def test_errors_of_the_first_way_come_through() -> None:
    machine = Machine({PLAIN: 0.05, OV: 0.01})
    machine.answers[PLAIN] = broken
    with pytest.raises(RuntimeError, match="no such instruction"):
        machine.measure()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param({PLAIN: 1.0}, PLAIN, id="nothing else"),
        pytest.param({PLAIN: 1.0, OV: 0.95}, PLAIN, id="not clearly faster"),
        pytest.param({PLAIN: 1.0, OV: 1.5, BF16: 2.0}, PLAIN, id="slower"),
        pytest.param({PLAIN: 1.0, OV: 0.5}, OV, id="faster"),
        pytest.param({PLAIN: 1.0, OV: 0.5, OV_BF16: 0.3}, OV_BF16, id="fastest"),
        pytest.param({PLAIN: 1.0, OV: 0.52, OV_BF16: 0.5}, OV, id="as fast and more exact"),
        pytest.param({PLAIN: 1.0, OV: 0.5, OV_ONE: 0.52}, OV_ONE, id="as fast with fewer threads"),
    ],
)
def test_fastest(times: dict[Execution, float], expected: Execution) -> None:
    assert fastest(times, PLAIN) == expected


def test_candidates() -> None:
    found = candidates(("fp32", "bf16"), ("openvino", "torch"), 4)
    assert len(found) == len(set(found)) == 18
    assert found[0] == OV_BF16
    assert {e.threads for e in found} == {4, 2, 1}
    assert all(e.layout == "default" for e in found if e.runtime == "openvino")
    assert candidates(("fp16",), ("openvino",), 4) == candidates(("int8",), ("torch",), 4) == ()
    assert {e.runtime for e in candidates(("fp32",), ("torch",), 1)} == {"torch"}


def test_fewer_threads_come_first_then_layouts() -> None:
    others = fewer(Execution("torch", "fp32", "default", 2))
    assert others[0] == Execution("torch", "fp32", "default", 1)
    assert set(others[1:]) == {Execution("torch", "fp32", "channels_last", n) for n in (1, 2)}
    assert fewer(Execution("openvino", "bf16", "default", 1)) == ()
