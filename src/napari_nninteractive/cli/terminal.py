"""What the commands write: results to standard output, messages and progress to standard error."""

from __future__ import annotations

import sys
from typing import TextIO

__all__ = ["OutputClosed", "ProgressLine", "note", "say"]


class OutputClosed(Exception):
    """Nobody reads standard output any more, as after `| head`."""


def say(text: str = "") -> None:
    """Write a line of the result to standard output.

    Raises
    ------
    OutputClosed
        If it is a pipe whose reader has gone.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise OutputClosed from error


def note(text: str) -> None:
    """Write a line for the person who waits to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class ProgressLine:
    """One line that is written over and over while something runs; silent where no terminal is.

    Parameters
    ----------
    stream : TextIO, optional
        Standard error by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._on = self._stream.isatty()
        self._length = 0

    def show(self, text: str, done: int = 0, total: int | None = None) -> None:
        """Replace the line, with a bar where the total is known."""
        if not self._on:
            return
        bar = ""
        if total:
            filled = round(20 * done / total)
            bar = f" [{'#' * filled}{'.' * (20 - filled)}] {done}/{total}"
        elif done:
            bar = f" {done}"
        line = f"{text}{bar}"[:78]
        self._stream.write(f"\r{line:<{self._length}}")
        self._stream.flush()
        self._length = len(line)

    def clear(self) -> None:
        """Remove the line."""
        if self._on and self._length:
            self._stream.write(f"\r{'':<{self._length}}\r")
            self._stream.flush()
            self._length = 0
