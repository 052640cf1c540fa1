"""The thread: order, cancel, stale results, the main thread."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from napari_nninteractive.errors import Cancelled
from napari_nninteractive.plugin.worker import Call, Worker


@pytest.fixture
def worker(qapp: Any) -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def wait_for_cancel(call: Call) -> None:
    assert call.cancel.wait(10)
    raise Cancelled("stopped")


def test_jobs_run_in_order_elsewhere_and_come_back_here(worker: Worker, qtbot: Any) -> None:
    seen: list[Any] = []
    for n in range(5):
        worker.submit(
            lambda call, n=n: (call.progress(-n), n, threading.current_thread().name)[1:],
            lambda value: seen.append((*value, threading.current_thread().name)),
            seen.append,
            seen.append,
        )
    qtbot.waitUntil(lambda: len(seen) == 10)
    here = threading.current_thread().name
    assert seen == [x for n in range(5) for x in (-n, (n, "nnInteractive", here))]


def test_errors_arrive_with_their_cause_and_the_next_job_runs(worker: Worker, qtbot: Any) -> None:
    seen: list[Any] = []
    worker.submit(lambda call: 1 / 0, seen.append, seen.append)
    worker.submit(lambda call: "next", seen.append, seen.append)
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert isinstance(seen[0], ZeroDivisionError)
    assert seen[0].__traceback__ is not None
    assert seen[1] == "next"


def test_cancel_stops_the_running_job_only(worker: Worker, qtbot: Any) -> None:
    seen: list[Any] = []
    started = threading.Event()

    def first(call: Call) -> None:
        started.set()
        wait_for_cancel(call)

    worker.submit(first, seen.append, seen.append)
    worker.submit(lambda call: call.cancel.is_set(), seen.append, seen.append)
    assert started.wait(10)
    worker.cancel()
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert isinstance(seen[0], Cancelled)
    assert seen[1] is False


def test_discarded_jobs_say_nothing(worker: Worker, qtbot: Any) -> None:
    seen: list[Any] = []
    started = threading.Event()

    def first(call: Call) -> None:
        started.set()
        wait_for_cancel(call)

    worker.submit(first, seen.append, seen.append)
    worker.submit(lambda call: seen.append("ran"), seen.append, seen.append)
    assert started.wait(10)
    worker.discard()
    worker.submit(lambda call: "after", seen.append, seen.append)
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == ["after"]


def test_close_ends_the_thread_and_frees_the_worker(qapp: Any, qtbot: Any) -> None:
    worker = Worker()
    seen: list[Any] = []
    started = threading.Event()

    def first(call: Call) -> None:
        started.set()
        wait_for_cancel(call)

    worker.submit(first, seen.append, seen.append)
    assert started.wait(10)
    worker.close()
    worker.close()
    worker.submit(lambda call: seen.append("late"), seen.append, seen.append)
    assert worker.wait(10)
    assert not worker.alive
    qtbot.wait(20)
    assert seen == []
    gone = weakref.ref(worker)
    del worker
    gc.collect()
    assert gone() is None
