"""What the commands that have not run yet will make of what there is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.workspace.values.commands import (
    Add,
    Command,
    Paint,
    Remove,
    Replace,
    Reset,
    Run,
    Show,
    SwitchTo,
)
from napari_nninteractive.workspace.values.placed import PlacedPrompt

__all__ = ["current_label", "current_prompts"]


def current_label(commands: Iterable[Command], label: int) -> int:
    """Label of the current object after commands."""
    for command in commands:
        if isinstance(command, SwitchTo):
            label = command.label
    return label


def current_prompts(
    placed: tuple[PlacedPrompt, ...],
    commands: Sequence[Command],
    frame: Frame,
    label: int,
    known: Collection[int],
) -> tuple[PlacedPrompt, ...] | None:
    """Prompts of the object that is current after commands.

    Parameters
    ----------
    placed : tuple of PlacedPrompt
        Those of the object that is current before them.
    commands : sequence of Command
        In order.
    frame : Frame
        The time point that is open.
    label : int
        The object that is current after them.
    known : collection of int
        Labels of the objects that have prompts, or had.

    Returns
    -------
    tuple of PlacedPrompt or None
        None where only running the commands will tell.
    """
    last = max((i for i, c in enumerate(commands) if isinstance(c, SwitchTo)), default=-1)
    if last >= 0 and label not in known:
        placed, commands = (), commands[last + 1 :]
    return _fold(placed, commands, frame, label)


def _fold(
    placed: tuple[PlacedPrompt, ...], commands: Iterable[Command], frame: Frame, label: int
) -> tuple[PlacedPrompt, ...] | None:
    """Prompts of an object after commands; None where only running them will tell."""
    for command in commands:
        match command:
            case Add():
                placed = (*placed, *command.placed)
            case Replace():
                new = command.placed
                placed = tuple(new if m.uid == new.uid else m for m in placed)
            case Remove():
                placed = tuple(m for m in placed if m.uid != command.uid)
            case Reset():
                placed = ()
            case Paint():
                own = (e.placed for e in command.edits if (e.frame, e.label) == (frame, label))
                placed = (*placed, *own)
            case Run() | Show():
                pass
            case _:
                return None
    return placed
