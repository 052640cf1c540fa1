"""Where episodes come from: synthetic scenes or any other source, made ahead in other processes."""

from __future__ import annotations

import signal
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Protocol

import torch

from napari_nninteractive.errors import ModelError, Remedy
from napari_nninteractive.training.data.dataset import Episode, EpisodeConfig, episodes_of

__all__ = ["Ahead", "SceneSource", "Source"]

_PATIENCE = 1000


class Source(Protocol):
    """Makes episodes; can be pickled, since other processes may do it."""

    @property
    def key(self) -> str:
        """What tells sources apart: a run is continued only with the one that it began with."""
        ...

    def __call__(self, seed: int, index: int) -> list[Episode]:
        """Return the episodes number `index`, perhaps none; the same numbers give the same episodes."""
        ...


@dataclass(frozen=True, slots=True)
class SceneSource:
    """Synthetic scenes.

    Parameters
    ----------
    config : EpisodeConfig
        How scenes become episodes.
    """

    config: EpisodeConfig = field(default_factory=EpisodeConfig)

    @property
    def key(self) -> str:
        """All scenes are one source; what differs is in the configuration."""
        return "scenes"

    def __call__(self, seed: int, index: int) -> list[Episode]:
        """Return the episodes of scene number `index`."""
        return episodes_of(seed, index, self.config)


_of_worker: Source | None = None


def _begin(source: Source) -> None:
    global _of_worker
    torch.set_num_threads(1)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all; the first process ends the others
    _of_worker = source


def _make(seed: int, index: int) -> list[Episode]:
    if _of_worker is None:
        raise RuntimeError("the process was not told its source")
    return _of_worker(seed, index)


class Ahead:
    """Episodes of a source, in order, made ahead in other processes.

    Parameters
    ----------
    source
        Where they come from.
    seed
        Passed on to the source.
    start
        The first number.
    stride
        From one number to the next: that of the processes that train together.
    workers
        Processes; 0 makes them here, when they are needed.
    """

    def __init__(
        self, source: Source, seed: int, start: int, *, stride: int = 1, workers: int = 0
    ) -> None:
        self.next = start
        self._source, self._seed, self._stride = source, seed, stride
        self._ahead: deque[Future[list[Episode]]] = deque()
        self._submitted = start
        self._room = 4 * workers
        self._pool = (
            ProcessPoolExecutor(
                workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(source,)
            )
            if workers
            else None
        )

    def take(self) -> list[Episode]:
        """Return the next episodes, at least one.

        Raises
        ------
        ModelError
            If the source has none for a thousand numbers in a row, or one of its processes was ended.
        """
        for _ in range(_PATIENCE):
            made = self._made()
            self.next += self._stride
            if made:
                return made
        raise ModelError(
            f"The source of episodes gave none for the numbers {self.next - _PATIENCE * self._stride} to "
            f"{self.next}: there is nothing to train on."
        )

    def _made(self) -> list[Episode]:
        if self._pool is None:
            return self._source(self._seed, self.next)
        try:
            while len(self._ahead) < self._room:
                self._ahead.append(self._pool.submit(_make, self._seed, self._submitted))
                self._submitted += self._stride
            return self._ahead.popleft().result()
        except BrokenProcessPool as error:
            raise ModelError(
                "A process that makes episodes was ended from outside, as systems do that are short of memory.",
                Remedy.RESUME_WITH_FEWER_WORKERS,
            ) from error

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
