"""Calls that wait until things are quiet, and the recovery file that is written so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from superqt.utils import qdebounced, qthrottled

__all__ = ["SAVE_AFTER", "SAVE_AT_LAST", "Autosave", "Timers"]

SAVE_AFTER, SAVE_AT_LAST = 3000, 10_000
"""Milliseconds after a change until it is in the recovery file: where nothing else changes, and in any case."""


class _Waiting(Protocol):
    def __call__(self, *args: object) -> object: ...

    def cancel(self) -> None: ...


class Timers:
    """Calls that are made later, and all given up together."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def quiet(self, act: Callable[[], object], milliseconds: int) -> Callable[..., object]:
        """Return a slot for any signal: it acts once the signal has been quiet for a while."""
        waiting = qdebounced(lambda *_: act(), timeout=milliseconds)
        self._waiting.append(waiting)
        return waiting

    def regularly(self, act: Callable[[], object], milliseconds: int) -> Callable[..., object]:
        """Return a slot for any signal: it acts a while after the first of several calls."""
        waiting = qthrottled(lambda *_: act(), timeout=milliseconds, leading=False)
        self._waiting.append(waiting)
        return waiting

    def give_up(self) -> None:
        """Make none of the calls that wait."""
        for waiting in self._waiting:
            waiting.cancel()


class Autosave:
    """Saves soon after a change, and now and then where changes never end.

    Parameters
    ----------
    save : callable
        Writes the recovery file.
    """

    def __init__(self, save: Callable[[], object]) -> None:
        self._timers, self._save = Timers(), save
        self._after = self._timers.quiet(self._save_now, SAVE_AFTER)
        self._at_last = self._timers.regularly(self._save_now, SAVE_AT_LAST)

    def note_change(self) -> None:
        """Something changed that is worth keeping."""
        self._after()
        self._at_last()

    def close(self) -> None:
        """Save no more."""
        self._timers.give_up()

    def _save_now(self) -> None:
        self._timers.give_up()
        self._save()
