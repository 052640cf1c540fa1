"""A network that becomes slow while it runs; the clock is moved by the networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from napari_nninteractive.engine.runtime.execution import Execution
from napari_nninteractive.engine.runtime.watch import WatchedNetwork

TWO = Execution("torch", "fp32", "default", 2)
ONE = Execution("torch", "fp32", "default", 1)
LAST = Execution("torch", "fp32", "channels_last", 2)
INPUTS = torch.zeros((1, 8, 2, 2, 2))


class Machine:
    def __init__(self) -> None:
        self.now, self.surprises = 0.0, 0
        self.seconds = {TWO: 0.1, ONE: 0.15, LAST: 0.2}
        self.made: list[Execution] = []
        self.watched = WatchedNetwork(
            self.make, TWO, (ONE, LAST), 0.1, (2, 2, 2), self.surprised, lambda: self.now
        )

    def surprised(self) -> None:
        self.surprises += 1

    def make(self, way: Execution) -> Callable[[torch.Tensor], torch.Tensor]:
        self.made.append(way)

        def run(inputs: torch.Tensor) -> torch.Tensor:
            self.now += self.seconds[way] * inputs.shape[0]
            return inputs + 1

        return run

    def run(self, passes: int) -> list[Execution]:
        used = []
        for _ in range(passes):
            used.append(self.watched.execution)
            assert float(self.watched(INPUTS).sum()) == INPUTS.numel()
        return used


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_nothing_changes_while_it_is_as_fast_as_measured(machine: Machine) -> None:
    machine.seconds[TWO] = 0.25
    assert machine.run(50) == [TWO] * 50
    assert (machine.made, machine.surprises) == ([TWO], 0)


def test_one_slow_pass_is_no_reason(machine: Machine) -> None:
    for _ in range(10):
        machine.run(2)
        machine.seconds[TWO] = 1.0
        machine.run(1)
        machine.seconds[TWO] = 0.1
        machine.run(2)
    assert machine.made == [TWO]


def test_fewer_threads_are_taken_where_they_are_faster(machine: Machine) -> None:
    machine.seconds[TWO] = 1.0
    machine.run(4)
    assert machine.watched.execution == ONE
    assert machine.run(100) == [ONE] * 100
    assert machine.surprises == 1


def test_it_goes_back_where_nothing_is_faster_and_rests(machine: Machine) -> None:
    machine.seconds = dict.fromkeys(machine.seconds, 1.0)
    used = machine.run(60)
    assert used == [TWO] * 4 + [ONE] * 4 + [LAST] * 4 + [TWO] * 48
    assert machine.surprises == 1
    assert ONE in machine.run(80)


def test_a_machine_that_was_busy_when_it_was_measured(machine: Machine) -> None:
    machine.seconds[TWO] = 0.01
    assert machine.run(20) == [TWO] * 20
    assert machine.surprises == 1


def test_several_views_count_as_several(machine: Machine) -> None:
    for _ in range(10):
        machine.watched(INPUTS.expand(4, -1, -1, -1, -1))
    assert machine.surprises == 0


def test_a_way_that_cannot_be_made_is_passed_over(machine: Machine) -> None:
    make = machine.make

    def fails(way: Execution) -> Callable[[torch.Tensor], torch.Tensor]:
        if way == ONE:
            raise RuntimeError("no memory")
        return make(way)

    machine.watched._make = fails
    machine.seconds[TWO] = 1.0
    machine.run(6)
    assert machine.watched.execution == LAST


def test_without_a_measured_time_nothing_is_watched() -> None:
    machine = Machine()
    machine.watched = WatchedNetwork(machine.make, TWO, (ONE,), None, (2, 2, 2), machine.surprised)
    machine.seconds[TWO] = 100.0
    assert machine.run(20) == [TWO] * 20
    assert machine.surprises == 0


def test_views_of_another_size_are_not_judged() -> None:
    machine = Machine()
    machine.seconds[TWO] = 100.0
    for _ in range(20):
        machine.watched(torch.zeros((1, 8, 1, 2, 2)))
    assert (machine.watched.execution, machine.surprises) == (TWO, 0)
