"""Ctrl-C while training: the step that runs is finished first, so that what is saved continues exactly."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]

log = logging.getLogger(__name__)


class Interrupts(AbstractContextManager["Interrupts"]):
    """Within it, the first interrupt is only noted; a second one interrupts as usual.

    Away from the main thread, where Python takes no signals, nothing is changed.

    Attributes
    ----------
    asked
        Whether there was one.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None
        self._mine = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Interrupts:
        if self._mine:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._before)
        log.info("stopping after this step; a second interrupt stops at once and loses it")
