"""Times of a network in several ways, taken in turns within a budget."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from napari_nninteractive.engine.runtime.execution import Execution
from napari_nninteractive.engine.runtime.networks import Network

__all__ = ["candidates", "fastest", "fewer", "measure"]

log = logging.getLogger(__name__)

_ROUNDS = 3
# What is this much slower at first is not timed again.
_HOPELESS = 2.0
# A first pass that takes this part of the budget is not repeated.
_LONG = 0.2
# Times that are as near as this are the same on a machine that does other things too.
_SAME = 1.1
# Logits in fp32 may differ from those of torch by this part of the largest.
_TOLERANCE = 1e-3
_EXACTNESS = ("fp32", "fp16", "bf16", "int8")


def candidates(
    precisions: Sequence[str], runtimes: Sequence[str], threads: int
) -> tuple[Execution, ...]:
    """Ways to try, the most promising ones first.

    Parameters
    ----------
    precisions : sequence of str
        Allowed ones.
    runtimes : sequence of str
        Those that are there.
    threads : int
        As many as torch uses.

    Returns
    -------
    tuple of Execution
        Perhaps none.
    """
    rough_first = sorted(precisions, key=_EXACTNESS.index, reverse=True)
    found: list[Execution] = []
    for runtime, foreign in (("openvino", "fp16"), ("torch", "int8")):
        if runtime in runtimes:
            found += [
                Execution(runtime, p, "default", number)  # type: ignore[arg-type]
                for number in _thread_numbers(threads)
                for p in rough_first
                if p != foreign
            ]
    layouts = [
        Execution("torch", e.precision, "channels_last", e.threads)
        for e in found
        if e.runtime == "torch"
    ]
    return (*found, *layouts)


def fewer(execution: Execution) -> tuple[Execution, ...]:
    """Ways of the same runtime and precision to try where one has become slow."""
    others = candidates([execution.precision], [execution.runtime], execution.threads)
    first = [e for e in others if e.threads < execution.threads and e.layout == execution.layout]
    return (*first, *(e for e in others if e not in first and e != execution))


def _thread_numbers(most: int) -> list[int]:
    return sorted({most, max(1, most // 2), 1}, reverse=True)


def measure(
    ways: Sequence[Execution],
    make: Callable[[Execution], Network],
    inputs: torch.Tensor,
    *,
    budget: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Execution, float]:
    """Seconds of one pass in each way.

    The ways take turns, so that a program that is busy beside them slows all. A way that fails, or whose answer in fp32
    is not that of the first one in fp32, is left out.

    Parameters
    ----------
    ways : sequence of Execution
        The first one is the reference: it is always timed, and its errors are passed on.
    make : callable
        Makes the network ready in one way.
    inputs : torch.Tensor
        float32 (1, channels, z, y, x).
    budget : float
        Seconds, counted from when the first way is timed, after which nothing more is begun; the second way is timed
        anyhow.
    clock : callable
        Seconds.

    Returns
    -------
    dict
        Median seconds of each way that was timed.
    """
    networks: dict[Execution, Network] = {}
    times: dict[Execution, list[float]] = {}
    plain, *others = ways
    networks[plain] = make(plain)
    first, seconds = _warm(networks[plain], inputs, budget, clock)
    # What is rounded more coarsely says nothing about whether another way is right.
    exact = first if plain.precision == "fp32" else None
    times[plain], began = [seconds], clock()
    for way in others:
        if len(networks) > 1 and clock() - began > budget:
            break
        try:
            networks[way] = make(way)
            found, seconds = _warm(networks[way], inputs, budget, clock)
        except Exception:
            log.warning("%s does not run this network", way, exc_info=True)
            continue
        if found.shape == first.shape and _agrees(found, exact, way):
            times[way] = [seconds]
            exact = found if exact is None and way.precision == "fp32" else exact
        else:
            log.warning("%s gives other values than another way and is not used", way)
    for _ in range(_ROUNDS - 1):
        best = min(min(t) for t in times.values())
        for way, seen in times.items():
            if clock() - began <= budget and seen[0] <= _HOPELESS * best:
                seen.append(_timed(networks[way], inputs, clock)[1])
    return {way: statistics.median(seen) for way, seen in times.items()}


def _warm(
    network: Network, inputs: torch.Tensor, budget: float, clock: Callable[[], float]
) -> tuple[torch.Tensor, float]:
    """Answer and seconds of the second pass; of the first one, which is slower, where that took long."""
    found, seconds = _timed(network, inputs, clock)
    return (found, seconds) if seconds > budget * _LONG else _timed(network, inputs, clock)


def _timed(
    network: Network, inputs: torch.Tensor, clock: Callable[[], float]
) -> tuple[torch.Tensor, float]:
    start = clock()
    found = network(inputs)
    return found, clock() - start


def _agrees(found: torch.Tensor, expected: torch.Tensor | None, way: Execution) -> bool:
    if not bool(torch.isfinite(found).all()):
        return False
    if way.precision != "fp32" or expected is None:
        return True
    scale = float(expected.abs().max()) + 1
    return float((found - expected).abs().max()) <= _TOLERANCE * scale


def fastest(times: Mapping[Execution, float], plain: Execution) -> Execution:
    """Way to take: the fastest, but the plain one where nothing is faster.

    Of ways that are as fast as the measuring can tell, the most exact one, and of those the one with fewest threads.

    Parameters
    ----------
    times : mapping
        Seconds by way, not empty.
    plain : Execution
        Taken where no other one is clearly faster.
    """
    least = min(times.values())
    if plain in times and times[plain] <= _SAME * least:
        return plain
    near = [way for way, seconds in times.items() if seconds <= _SAME * least]
    return min(near, key=lambda way: (_EXACTNESS.index(way.precision), way.threads, times[way]))
