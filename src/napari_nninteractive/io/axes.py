"""Which part of a file with channels and time points is the stack to segment: pure, the same for every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_nninteractive.errors import Advice, ImageError, Remedy

__all__ = ["Selection", "select"]

_UNNAMED = "QIR"  # what tifffile calls axes that the file leaves without a name


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of an array that is one stack.

    Attributes
    ----------
    index : tuple of int or slice
        One entry per axis of the array.
    order : tuple of int
        Transposition of what is left to (z, y, x) or (y, x).
    kept : tuple of int
        Axes of the array that are left, in the order z, y, x.
    """

    index: tuple[int | slice, ...]
    order: tuple[int, ...]
    kept: tuple[int, ...]


def select(
    axes: str, shape: Sequence[int], channel: int | None, timepoint: int | None, name: str
) -> Selection:
    """Choose channel and time point.

    Parameters
    ----------
    axes : str
        One letter per axis: T, C, Z, Y, X; S (samples of a pixel) counts as C; Q, I and R have no name.
    shape : sequence of int
        Length of each axis.
    channel, timepoint : int, optional
        Which one to take, counted from 0; needed where there are several.
    name : str
        Of the file, for messages.

    Returns
    -------
    Selection
        Axes of length 1 other than z, y and x are dropped.

    Raises
    ------
    ImageError
        If a choice is missing or out of range, or the axes make no stack.
    """
    letters = _name_axes(axes, shape, name)
    wanted = {"C": channel, "T": timepoint}
    for letter, value in wanted.items():
        if value and letter not in letters:
            remedy = Remedy.LEAVE_OUT_CHANNEL if letter == "C" else Remedy.LEAVE_OUT_TIMEPOINT
            raise ImageError(f"{name} has no {_WORDS[letter]} axis.", Advice(remedy, number=value))
    index: list[int | slice] = []
    for letter, size in zip(letters, shape, strict=True):
        if letter in "ZYX":
            index.append(slice(None))
        elif letter in wanted:
            index.append(_pick(letter, size, wanted[letter], "Z" in letters, name))
        else:
            index.append(0)
    left = [letter for letter in letters if letter in "ZYX"]
    if sorted(left) not in (["X", "Y"], ["X", "Y", "Z"]):
        raise ImageError(
            f"{name} has axes {axes} of {tuple(shape)} voxels, which are not a stack (z, y, x) or an image (y, x)."
        )
    zyx = [letter for letter in "ZYX" if letter in left]
    return Selection(
        tuple(index),
        tuple(left.index(letter) for letter in zyx),
        tuple(letters.index(letter) for letter in zyx),
    )


_WORDS = {"C": "channel", "T": "time"}


def _name_axes(axes: str, shape: Sequence[int], name: str) -> str:
    """Letters of `axes` with samples as channels and one unnamed axis as z."""
    letters = axes.upper()
    if "S" in letters:
        if "C" in letters:
            position = letters.index("C")
            if shape[position] != 1:
                raise ImageError(
                    f"{name} has both channels and colours ({axes}); split them first."
                )
            letters = letters[:position] + "-" + letters[position + 1 :]
        letters = letters.replace("S", "C")
    long = [
        i for i, (a, n) in enumerate(zip(letters, shape, strict=True)) if n > 1 and a not in "TCZYX"
    ]
    if not long:
        return letters
    if len(long) == 1 and "Z" not in letters and letters[long[0]] in _UNNAMED:
        return letters[: long[0]] + "Z" + letters[long[0] + 1 :]
    raise ImageError(
        f"{name} has axes {axes} of {tuple(shape)} voxels and does not say what they are; save it "
        "as one stack (z, y, x), or as ImageJ or OME-TIFF, which name their axes."
    )


def _pick(letter: str, size: int, value: int | None, has_z: bool, name: str) -> int:
    if value is None and size == 1:
        return 0
    if value is None:
        plural = "channels" if letter == "C" else "time points"
        remedy = Remedy.CHOOSE_CHANNEL
        if letter == "T":
            remedy = Remedy.CHOOSE_TIMEPOINT if has_z else Remedy.CHOOSE_TIMEPOINT_OR_MARK_Z
        raise ImageError(f"{name} has {size} {plural}.", Advice(remedy, number=size - 1))
    if not 0 <= value < size:
        raise ImageError(
            f"{name} has {size} along its {_WORDS[letter]} axis: choose one from 0 to {size - 1}, not {value}."
        )
    return value
