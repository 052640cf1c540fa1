"""A network that is watched while it runs: where it has become far slower than measured, another way is tried."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections.abc import Callable, Sequence

import torch

from napari_nninteractive.engine.runtime.execution import Execution
from napari_nninteractive.engine.runtime.networks import Network

__all__ = ["WatchedNetwork"]

log = logging.getLogger(__name__)

_SLOW = 3.0  # times the measured seconds
_QUICK = 0.4  # the machine was busy when it was measured
_BETTER = 0.8  # another way is kept if it takes at most this part
_SEEN = 3  # passes to judge by
_PAUSE = 100  # passes until other ways are tried again


class WatchedNetwork:
    """Runs a network in the way that was chosen, and in another one of the same precision where that became slow.

    Several threads may call it.

    Parameters
    ----------
    make : callable
        Makes the network ready in one way.
    execution : Execution
        The way that was chosen.
    others : sequence of Execution
        What to try where it becomes slow, the most promising one first.
    seconds : float or None
        Of one view, as measured; None: it is not watched.
    patch : tuple of int
        (z, y, x) in voxels of the views that were measured; others are not judged.
    surprised : callable
        Called once when passes take far more or far less than that.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        make: Callable[[Execution], Network],
        execution: Execution,
        others: Sequence[Execution] = (),
        seconds: float | None = None,
        patch: tuple[int, ...] = (),
        surprised: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._make = make
        self._network = make(execution)
        self._execution = execution
        self._others = tuple(others)
        self._seconds = seconds
        self._patch = tuple(patch)
        self._surprised = surprised
        self._clock = clock
        self._lock = threading.Lock()
        self._is_surprised = False
        self._untried = list(others)
        self._before: tuple[Execution, Network, float] | None = None
        self._seen: list[float] = []
        self._warm_ups, self._pause = 1, 0

    @property
    def execution(self) -> Execution:
        """The way that is used now."""
        return self._execution

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of (n, channels, z, y, x)."""
        network, way = self._network, self._execution
        began = self._clock()
        out = network(inputs)
        taken = (self._clock() - began) / inputs.shape[0]
        if self._seconds is not None and inputs.shape[2:] == self._patch:
            with self._lock:
                if way == self._execution:
                    self._note(taken, self._seconds)
        return out

    def _note(self, taken: float, expected: float) -> None:
        """Judge the last passes of the present way."""
        if self._pause:
            self._pause -= 1
            return
        if self._warm_ups:
            self._warm_ups -= 1
            return
        self._seen = [*self._seen, taken][-_SEEN:]
        if len(self._seen) < _SEEN:
            return
        usual = statistics.median(self._seen)
        if self._before is not None:
            self._judge(usual)
            return
        if not expected * _QUICK <= usual <= expected * _SLOW and not self._is_surprised:
            self._is_surprised = True
            self._surprised()
        if usual > expected * _SLOW:
            self._try_next(usual)

    def _try_next(self, usual: float) -> None:
        """Try another way from the next pass on; `usual` is what the present one takes."""
        if not self._untried:
            self._untried, self._pause, self._seen = list(self._others), _PAUSE, []
            return
        way = self._untried.pop(0)
        try:
            network = self._make(way)
        except Exception:
            log.warning("%s cannot be tried", way, exc_info=True)
            return
        self._before = (self._execution, self._network, usual)
        self._execution, self._network = way, network
        self._seen, self._warm_ups = [], 1
        log.info("A pass takes %.2g s: %s is tried", usual, way)

    def _judge(self, usual: float) -> None:
        """Keep the way that is on trial, or go back to the one before."""
        if self._before is None:
            return
        way, network, seconds = self._before
        self._before, self._seen = None, []
        if usual <= _BETTER * seconds:
            log.info(
                "%s takes %.2g s instead of %.2g s and is kept", self._execution, usual, seconds
            )
            return
        self._execution, self._network = way, network
        self._warm_ups = 0
        self._try_next(seconds)
