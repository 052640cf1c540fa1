"""Ctrl-C and SIGTERM while training: the step that runs is finished first, so that what is saved continues exactly."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # the second: job schedulers, containers


class Interrupts(AbstractContextManager["Interrupts"]):
    """Within it, the first interrupt or request to end is only noted; a second one acts as usual.

    Away from the main thread, where Python takes no signals, nothing is changed.

    Attributes
    ----------
    asked
        Whether there was one.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}
        self._mine = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Interrupts:
        if self._mine:
            self._before = {s: signal.signal(s, self._note) for s in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._mine:
            self._restore()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self._restore()
        log.info("stopping after this step; a second interrupt stops at once and loses it")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            # None: set by something that is not Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
