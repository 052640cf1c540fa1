"""Which way to run a network on this machine: asked for, remembered, or measured now."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.rasterize import PromptEncoding
from napari_nninteractive.engine.runtime.calibration import calibration_inputs, value_ranges
from napari_nninteractive.engine.runtime.execution import (
    Execution,
    FixedPrecision,
    Precision,
    Runtime,
    cpu_has_bf16,
    runtime_asked_for,
)
from napari_nninteractive.engine.runtime.graph import Ranges, convolutions
from napari_nninteractive.engine.runtime.measure import candidates, fastest, fewer, measure
from napari_nninteractive.engine.runtime.memory import Memory
from napari_nninteractive.engine.runtime.networks import (
    Network,
    has_openvino,
    load_openvino,
    make_network,
)

__all__ = ["BUDGET", "Choice", "Chooser", "Sight"]

log = logging.getLogger(__name__)

_CPU = torch.device("cpu")
# Seconds of trying what may be faster than torch as it is, at the first load of a model on a machine.
BUDGET = 1.5
# Side in voxels of the patch that is timed: small, since a busy machine may take seconds for a large one.
_PROBE_SIDE = 32


@dataclass(frozen=True, slots=True)
class Sight:
    """What a network sees.

    Attributes
    ----------
    patch : tuple of int
        (z, y, x) in voxels at once.
    stride : tuple of int
        (z, y, x) voxels that become one at its coarsest level.
    encoding : PromptEncoding
        How it expects its prompts.
    """

    patch: Index3
    stride: Index3
    encoding: PromptEncoding

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its input: (1, channels, z, y, x)."""
        return (1, 1 + self.encoding.n_channels, *self.patch)

    @property
    def probe(self) -> tuple[int, ...]:
        """A small input that it takes, with two voxels at least at its coarsest level."""
        sides = (
            min(p, max(2 * s, _PROBE_SIDE // s * s))
            for p, s in zip(self.patch, self.stride, strict=True)
        )
        return (*self.shape[:2], *sides)


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to run a network, and why.

    Attributes
    ----------
    execution : Execution
        The way.
    reason : str
        Part of a sentence: "measured on this machine: ...".
    seconds : float or None
        One look is expected to take; None where nothing was measured.
    asked : str
        For which choice it is remembered.
    """

    execution: Execution
    reason: str
    seconds: float | None = None
    asked: str = ""

    @property
    def others(self) -> tuple[Execution, ...]:
        """What to try where it becomes slow; none where nothing was measured."""
        return () if self.seconds is None else fewer(self.execution)


class Chooser:
    """Chooses the way to run one network on this machine.

    Parameters
    ----------
    network : torch.nn.Module
        On the CPU, in evaluation mode.
    sight : Sight
        What it sees; kept as an attribute.
    memory : Memory, optional
        What was measured before.
    budget : float
        Seconds of measuring.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        sight: Sight,
        memory: Memory | None = None,
        budget: float = BUDGET,
    ) -> None:
        self._network = network
        self.sight = sight
        self._memory = Memory() if memory is None else memory
        self._budget = budget

    def choose(self, precision: Precision) -> Choice:
        """Way to take: remembered, or measured now.

        Never fails where torch's plain way works, unless something is asked for that is not there.

        Parameters
        ----------
        precision : {"auto", "fp32", "bf16", "int8"}
            Allowed; "auto": fp32, and bf16 where the CPU has its instructions.

        Raises
        ------
        SessionError
            If int8 or OpenVINO is asked for and OpenVINO is not installed or does not know the network.
        """
        runtimes = _runtimes(precision)
        if precision != "auto" and self._remembered("auto", runtimes):
            # What a session asks for that goes on where "auto" began.
            chosen = self.choose("auto")
            if chosen.execution.precision == precision:
                return chosen
        plain, ways = _ways(precision, runtimes)
        asked = _asked(precision, runtimes)
        times = self._remembered(precision, runtimes)
        if not times:
            try:
                times = self._measure(ways)
            except Exception as error:
                if plain.runtime != "torch":
                    raise
                log.warning("The speed of this machine was not measured", exc_info=True)
                return Choice(plain, f"measuring failed ({error})")
            self._memory.keep_times(self._network, asked, times)
        best = fastest(times, plain)
        scale = math.prod(self.sight.shape) / math.prod(self.sight.probe)
        return Choice(best, _reason(times, best, plain), times[best] * scale, asked)

    def _remembered(
        self, precision: Precision, runtimes: tuple[Runtime, ...]
    ) -> dict[Execution, float]:
        """Seconds of the ways that are there, the plain one among them; else empty."""
        plain, ways = _ways(precision, runtimes)
        known = self._memory.times(self._network, _asked(precision, runtimes))
        return {w: s for w, s in known.items() if w in ways} if plain in known else {}

    def forget(self, choice: Choice) -> None:
        """Have a choice made anew the next time."""
        self._memory.forget_times(self._network, choice.asked)

    def make(self, execution: Execution, shape: tuple[int, ...] | None = None) -> Network:
        """Network made ready to run in one way.

        Raises
        ------
        SessionError
            If OpenVINO is to run it, and is not there or does not know one of its layers.
        """
        ranges = self._ranges() if execution.precision == "int8" else None
        shape = self.sight.shape if shape is None else shape
        return make_network(self._network, _CPU, execution, shape, ranges)

    def _measure(self, ways: tuple[Execution, ...]) -> dict[Execution, float]:
        inputs = torch.empty(self.sight.probe)
        inputs.normal_(generator=torch.Generator().manual_seed(0))
        return measure(
            ways, lambda way: self.make(way, self.sight.probe), inputs, budget=self._budget
        )

    def _ranges(self) -> Ranges:
        """Ranges for int8: remembered, or measured now, which takes some seconds."""
        load_openvino()
        known = self._memory.ranges(self._network)
        if known is not None and known.keys() <= convolutions(self._network).keys():
            return known
        way = Execution("torch", "bf16" if cpu_has_bf16() else "fp32", "default", 1)
        run = make_network(self._network, _CPU, way, self.sight.shape)
        inputs = calibration_inputs(self.sight.patch, self.sight.encoding)
        found = value_ranges(self._network, run, inputs)
        self._memory.keep_ranges(self._network, found)
        return found


def _runtimes(precision: Precision) -> tuple[Runtime, ...]:
    asked = runtime_asked_for()
    if asked == "openvino" or precision == "int8":
        load_openvino()
        return ("openvino",)
    if asked == "auto" and has_openvino():
        return ("openvino", "torch")
    return ("torch",)


def _ways(
    precision: Precision, runtimes: tuple[Runtime, ...]
) -> tuple[Execution, tuple[Execution, ...]]:
    """The way that all others have to beat, and all ways, that one first."""
    allowed: tuple[FixedPrecision, ...] = ("fp32",) if precision == "auto" else (precision,)
    if precision == "auto" and cpu_has_bf16():
        allowed = ("fp32", "bf16")
    found = candidates(allowed, runtimes, torch.get_num_threads())
    plain = Execution.plain(allowed[0]) if "torch" in runtimes else found[0]
    return plain, (plain, *(way for way in found if way != plain))


def _asked(precision: Precision, runtimes: tuple[Runtime, ...]) -> str:
    return f"{precision}, {' or '.join(runtimes)}, {torch.get_num_threads()} threads"


def _reason(times: Mapping[Execution, float], best: Execution, plain: Execution) -> str:
    tried = f"{len(times)} way{'' if len(times) == 1 else 's'} measured on this machine"
    if best == plain:
        return f"{tried}, none faster"
    return f"{tried}; {plain} takes {times[plain] / times[best]:.1f} times as long"
