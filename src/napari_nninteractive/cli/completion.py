"""Shell completion, written by shtab from the program's own parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

__all__ = ["script"]


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Text of a completion script.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        With all commands.
    shell : {"bash", "zsh", "tcsh"}
        For which shell.

    Returns
    -------
    str
        What the shell reads; options that take a path complete file names.
    """
    import shtab  # here, so that the other commands need not wait for it

    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell)
    return text


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Arguments of a parser and of its commands."""
    for action in parser._actions:  # argparse has no public list of them
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
