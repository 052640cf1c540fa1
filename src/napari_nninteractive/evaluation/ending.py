"""An end from outside that comes as an interrupt, so that what was measured can be reported first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ended_like_interrupted"]


@contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """Within it, SIGTERM (`kill`, a queue's time limit) raises KeyboardInterrupt as Ctrl-C does.

    Away from the main thread, where Python takes no signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:  # None: set by something that is not Python
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
