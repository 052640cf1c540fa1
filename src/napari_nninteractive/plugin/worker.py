"""One thread for everything slow, in order; results come back on the main thread.

torch is imported and models are loaded by what runs here, never on the thread of the window.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal

from napari_nninteractive.engine.results import CancelToken

__all__ = ["Call", "Worker"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a running job gets to know.

    Attributes
    ----------
    cancel : CancelToken
        Set when the job should stop.
    progress : callable
        Takes anything; it is handed on to the main thread.
    """

    cancel: CancelToken
    progress: Callable[[Any], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    run: Callable[[Call], Any]
    done: Callable[[Any], None]
    failed: Callable[[BaseException], None]
    progress: Callable[[Any], None]
    generation: int
    token: CancelToken = field(default_factory=CancelToken)


class Worker(QObject):
    """Runs jobs one after the other on a thread of its own."""

    _delivered = Signal(object, object, object)  # job, what to call, with what

    def __init__(self) -> None:
        super().__init__()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._generation = 0
        self._running: _Job | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._delivered.connect(self._deliver)
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the thread after `close`. Returns whether it has ended."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self.alive

    def submit(
        self,
        run: Callable[[Call], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        progress: Callable[[Any], None] = lambda _: None,
    ) -> None:
        """Queue a job.

        Parameters
        ----------
        run : callable
            Runs on the thread, with a `Call`.
        done : callable
            Gets what `run` returned, on the main thread.
        failed : callable
            Gets what `run` raised, on the main thread.
        progress : callable
            Gets what `run` reported, on the main thread.
        """
        if self._closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="nnInteractive", daemon=True)
            self._thread.start()
        self._jobs.put(_Job(run, done, failed, progress, self._generation))

    def cancel(self) -> None:
        """Stop the running job, if there is one: it fails with `Cancelled`. Those that wait go on."""
        with self._lock:
            if self._running is not None:
                self._running.token.cancel()

    def discard(self) -> None:
        """Stop the running job, drop those that wait, and deliver nothing of them any more."""
        with self._lock:
            self._generation += 1
            if self._running is not None:
                self._running.token.cancel()

    def close(self) -> None:
        """Discard everything and end the thread, after the network pass it is in; does not wait for that."""
        if self._closed:
            return
        self._closed = True
        self.discard()
        self._jobs.put(None)
        if isalive(self):  # type: ignore[no-untyped-call]  # Qt may have ended it with the program
            self._delivered.disconnect(self._deliver)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            with self._lock:
                if job.generation != self._generation:
                    continue
                self._running = job
            self._run(job)
            with self._lock:
                self._running = None
            del job  # what it holds must not outlive it while this thread waits

    def _run(self, job: _Job) -> None:
        call = Call(job.token, lambda value: self._delivered.emit(job, job.progress, value))
        try:
            result = job.run(call)
        except BaseException as error:  # noqa: BLE001  handed on with its cause, to be shown
            self._delivered.emit(job, job.failed, error)
        else:
            self._delivered.emit(job, job.done, result)

    def _deliver(self, job: _Job, callback: Callable[[Any], None], value: Any) -> None:
        if job.generation == self._generation:
            callback(value)
