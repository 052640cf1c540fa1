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
    for number in _thread_numbers(threads):
        if "openvino" in runtimes:
            found += [
                Execution("openvino", p, "default", number)  # type: ignore[arg-type]
                for p in rough_first
                if p != "fp16"
            ]
        if "torch" in runtimes:
            found += [
                Execution("torch", p, "default", number)  # type: ignore[arg-type]
                for p in rough_first
                if p != "int8"
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

    The ways take turns, so that a program that is busy beside them slows all. A way that fails, or whose answer is not
    that of the first one, is left out.

    Parameters
    ----------
    ways : sequence of Execution
        The first one is the reference: it is always timed, and its errors are passed on.
    make : callable
        Makes the network ready in one way.
    inputs : torch.Tensor
        float32 (1, channels, z, y, x).
    budget : float
        Seconds after which nothing more is begun; the first two ways are timed anyhow.
    clock : callable
        Seconds.

    Returns
    -------
    dict
        Median seconds of each way that was timed.
    """
    began = clock()
    networks: dict[Execution, Network] = {}
    times: dict[Execution, list[float]] = {}
    expected: torch.Tensor | None = None
    for number, way in enumerate(ways):
        if number > 1 and clock() - began > budget:
            break
        try:
            network = make(way)
            network(inputs)
            start = clock()
            found = network(inputs)
            seconds = clock() - start
        except Exception:
            if expected is None:
                raise
            log.warning("%s does not run this network", way, exc_info=True)
            continue
        if expected is None:
            expected = found
        elif not _agrees(found, expected, way):
            log.warning("%s gives other values than torch and is not used", way)
            continue
        networks[way], times[way] = network, [seconds]
    for _ in range(_ROUNDS - 1):
        best = min(min(t) for t in times.values())
        for way, network in networks.items():
            if clock() - began > budget or times[way][0] > _HOPELESS * best:
                continue
            start = clock()
            network(inputs)
            times[way].append(clock() - start)
    return {way: statistics.median(t) for way, t in times.items()}


def _agrees(found: torch.Tensor, expected: torch.Tensor, way: Execution) -> bool:
    if found.shape != expected.shape or not bool(torch.isfinite(found).all()):
        return False
    if way.precision != "fp32":
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
