"""What a user draws: points, boxes, scribbles, lassos, an initial mask, edits by hand.

Prompts are frozen values, valid once built, kept as geometry in voxels of the image (z, y, x) and compared by content.
A 2D image is one slice, so its prompts have z = 0.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.errors import PromptError

__all__ = [
    "MOST_VOXELS",
    "BoxPrompt",
    "InitialMask",
    "Kind",
    "Lasso",
    "MaskEdit",
    "Point",
    "Prompt",
    "Scribble",
    "flipped",
    "prompt_from_json",
    "prompt_to_json",
]

MOST_VOXELS = 1 << 30
"""Of a mask that is read where the image is not known: 1 GB in memory."""

Kind = Literal["point", "bbox2d", "bbox3d", "scribble", "lasso", "initial_mask", "mask_edit"]


def _voxel(values: Sequence[float], what: str) -> Index3:
    """Three coordinates rounded half to even."""
    try:
        numbers = [float(v) for v in values]
    except (OverflowError, TypeError, ValueError) as error:
        raise PromptError(f"{what} must be three numbers (z, y, x), not {values!r}.") from error
    if len(numbers) != 3:
        raise PromptError(
            f"{what} must have three coordinates (z, y, x), not {len(numbers)}; in a 2D image z is 0."
        )
    if not all(math.isfinite(n) for n in numbers):
        raise PromptError(f"{what} must be finite, not {tuple(numbers)}.")
    z, y, x = (round(n) for n in numbers)
    return z, y, x


def _flag(value: object, what: str) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise PromptError(f"{what} must be True or False, not {value!r}.")
    return bool(value)


def _array(mask: ArrayLike, what: str) -> NDArray[Any]:
    try:
        return np.asarray(mask)
    except ValueError as error:  # lists of unequal length
        raise PromptError(f"{what} is not an array: {error}.") from error


def _painted(mask: ArrayLike, what: str) -> NDArray[np.bool_]:
    """Non-zero voxels of a real 3D array, as a boolean array."""
    array = _array(mask, what)
    if array.ndim != 3:
        raise PromptError(
            f"{what} must have three axes (z, y, x), not shape {array.shape}; add an axis for a single slice, "
            "for example mask[np.newaxis]."
        )
    if array.dtype.kind not in "biuf":
        raise PromptError(f"{what} must be a mask of booleans or numbers, not {array.dtype}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise PromptError(f"{what} holds NaN or infinite values; use 0 where nothing is painted.")
    painted: NDArray[np.bool_] = array != 0
    if not painted.any():
        raise PromptError(f"{what} is empty: paint at least one voxel.")
    return painted


def _crop(painted: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Index3]:
    """Smallest part that holds everything painted, as a read-only copy, and where it starts."""
    bounds = Box.of_mask(painted) or Box.EMPTY
    cropped = painted[bounds.slices].copy()
    cropped.flags.writeable = False
    return cropped, bounds.start


@dataclass(frozen=True, slots=True)
class Point:
    """A click on a voxel.

    Parameters
    ----------
    position : sequence of float
        Voxel (z, y, x); rounded half to even.
    positive : bool
        True: belongs to the object; False: does not.

    Raises
    ------
    PromptError
        If `position` is not three finite numbers.
    """

    position: Index3
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", _voxel(self.position, "A point"))
        object.__setattr__(self, "positive", _flag(self.positive, "positive"))

    @property
    def kind(self) -> Kind:
        """Name of the capability it needs."""
        return "point"

    @property
    def bounds(self) -> Box:
        """The voxel itself."""
        return Box(self.position, [p + 1 for p in self.position])


@dataclass(frozen=True, slots=True)
class BoxPrompt:
    """A filled box around (part of) the object.

    Parameters
    ----------
    start, stop : sequence of float
        Half-open corners (z, y, x) in voxels, rounded half to even. With one axis of extent 1 the box is 2D.
    positive : bool
        True: the object lies inside; False: it does not.

    Raises
    ------
    PromptError
        If a corner is not three finite numbers, or the box is reversed or empty.
    """

    start: Index3
    stop: Index3
    positive: bool = True

    def __post_init__(self) -> None:
        start, stop = (
            _voxel(self.start, "The start of a box"),
            _voxel(self.stop, "The stop of a box"),
        )
        if any(b <= a for a, b in zip(start, stop, strict=True)):
            raise PromptError(
                f"The box from {start} to {stop} is empty: every stop must be greater than its start "
                "(stop is the first voxel outside)."
            )
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "stop", stop)
        object.__setattr__(self, "positive", _flag(self.positive, "positive"))

    @property
    def kind(self) -> Kind:
        """Name of the capability it needs: ``bbox2d`` if one axis has extent 1, else ``bbox3d``."""
        return "bbox2d" if 1 in self.bounds.shape else "bbox3d"

    @property
    def bounds(self) -> Box:
        """The box."""
        return Box(self.start, self.stop)


class _Drawn:
    """What scribbles, lassos, masks and edits share: painted voxels, cropped, read-only, compared by content."""

    __slots__ = ()
    mask: NDArray[np.bool_]
    origin: Index3

    def _settle(self, what: str) -> None:
        cropped, offset = _crop(_painted(self.mask, what))
        origin = _voxel(self.origin, f"The origin of {what[0].lower()}{what[1:]}")
        z, y, x = (o + c for o, c in zip(origin, offset, strict=True))
        object.__setattr__(self, "mask", cropped)
        object.__setattr__(self, "origin", (z, y, x))

    @property
    def bounds(self) -> Box:
        """Smallest box of everything painted."""
        return Box.of_shape(self.mask.shape).shift(self.origin)

    def _key(self) -> tuple[object, ...]:
        sign = (
            getattr(self, "positive", None),
            getattr(self, "value", None),
            getattr(self, "shape", None),
        )
        return type(self), self.origin, self.mask.shape, sign, np.packbits(self.mask).tobytes()

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, _Drawn) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, slots=True, eq=False)
class Scribble(_Drawn):
    """Painted voxels, usually a stroke on one slice.

    Parameters
    ----------
    mask : array_like
        (z, y, x), real; non-zero where painted. Kept cropped to what is painted, as a read-only copy.
    origin : sequence of float
        Voxel (z, y, x) of the image where ``mask[0, 0, 0]`` lies.
    positive : bool
        True: belongs to the object; False: does not.

    Raises
    ------
    PromptError
        If the mask is not 3D, not real, not finite, or empty.
    """

    mask: NDArray[np.bool_]
    origin: Index3 = (0, 0, 0)
    positive: bool = True

    def __post_init__(self) -> None:
        self._settle("A scribble")
        object.__setattr__(self, "positive", _flag(self.positive, "positive"))

    @property
    def kind(self) -> Kind:
        """Name of the capability it needs."""
        return "scribble"


@dataclass(frozen=True, slots=True, eq=False)
class Lasso(_Drawn):
    """A filled outline on one slice.

    Parameters
    ----------
    mask : array_like
        (z, y, x), real; non-zero inside the outline. One axis has extent 1 once cropped to what is painted.
    origin : sequence of float
        Voxel (z, y, x) of the image where ``mask[0, 0, 0]`` lies.
    positive : bool
        True: the object lies inside; False: it does not.

    Raises
    ------
    PromptError
        If the mask is not 3D, not real, not finite, empty, or not flat.
    """

    mask: NDArray[np.bool_]
    origin: Index3 = (0, 0, 0)
    positive: bool = True

    def __post_init__(self) -> None:
        self._settle("A lasso")
        if 1 not in self.mask.shape:
            raise PromptError(
                f"A lasso must lie on one slice, but it spans {self.mask.shape} voxels; draw one lasso per slice."
            )
        object.__setattr__(self, "positive", _flag(self.positive, "positive"))

    @property
    def kind(self) -> Kind:
        """Name of the capability it needs."""
        return "lasso"


@dataclass(frozen=True, slots=True, eq=False)
class InitialMask(_Drawn):
    """An existing mask to start from. It replaces what was there; earlier prompts no longer count.

    Parameters
    ----------
    mask : array_like
        (z, y, x) of the image's shape, real, with a single non-zero value. Kept cropped to what is painted.
    origin : tuple of int
        Set by the class: where the cropped mask lies. Give it together with `shape` only to rebuild one.
    shape : tuple of int, optional
        Shape of the image; that of `mask` by default.

    Raises
    ------
    PromptError
        If the mask is not 3D, not real, not finite, empty, or holds more than one label.
    """

    mask: NDArray[np.bool_]
    origin: Index3 = (0, 0, 0)
    shape: Index3 | None = None

    def __post_init__(self) -> None:
        array = _array(self.mask, "An initial mask")
        if array.ndim == 3 and array.dtype.kind in "iuf":
            low = array.min(initial=0) or array.max(initial=0)
            if np.isfinite(low) and np.any((array != 0) & (array != low)):
                raise PromptError(
                    "An initial mask must hold one object, but several labels are in it; choose one, "
                    f"for example labels == {low}."
                )
        shape = array.shape if self.shape is None else tuple(int(n) for n in self.shape)
        self._settle("An initial mask")
        if len(shape) != 3 or not Box.of_shape(shape).contains(self.bounds):
            raise PromptError(
                f"An initial mask of shape {shape} cannot hold voxels at {self.bounds}."
            )
        object.__setattr__(self, "shape", shape)

    @property
    def kind(self) -> Kind:
        """Name of the prompt kind."""
        return "initial_mask"

    @property
    def positive(self) -> bool:
        """Always True."""
        return True


@dataclass(frozen=True, slots=True, eq=False)
class MaskEdit(_Drawn):
    """Voxels painted or erased by hand in the result: kept through every later prediction.

    Parameters
    ----------
    mask : array_like
        (z, y, x), real; non-zero where edited.
    origin : sequence of float
        Voxel (z, y, x) of the image where ``mask[0, 0, 0]`` lies.
    value : bool
        True: painted, False: erased.

    Raises
    ------
    PromptError
        If the mask is not 3D, not real, not finite, or empty.
    """

    mask: NDArray[np.bool_]
    origin: Index3 = (0, 0, 0)
    value: bool = True

    def __post_init__(self) -> None:
        self._settle("A mask edit")
        object.__setattr__(self, "value", _flag(self.value, "value"))

    @property
    def kind(self) -> Kind:
        """Name of the prompt kind."""
        return "mask_edit"

    @property
    def positive(self) -> bool:
        """Same as `value`."""
        return self.value


Prompt = Point | BoxPrompt | Scribble | Lasso | InitialMask | MaskEdit


def _mask_to_json(mask: NDArray[np.bool_]) -> dict[str, Any]:
    bits = zlib.compress(np.packbits(mask).tobytes(), 9)
    return {"shape": list(mask.shape), "bits": base64.b64encode(bits).decode("ascii")}


def _mask_from_json(record: dict[str, Any], most_voxels: int | None) -> NDArray[np.bool_]:
    shape = tuple(int(n) for n in record["shape"])
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"mask shape {shape}")
    size = math.prod(shape)
    # Both limits keep a damaged or hostile record from filling the memory: zlib unpacks a kilobyte into a megabyte.
    if size > (MOST_VOXELS if most_voxels is None else most_voxels):
        most = (
            f"{MOST_VOXELS} are the most" if most_voxels is None else f"the image has {most_voxels}"
        )
        raise ValueError(f"its mask has {size} voxels, where {most}")
    need = (size + 7) // 8
    raw = zlib.decompressobj().decompress(base64.b64decode(record["bits"], validate=True), need + 1)
    if len(raw) != need:
        raise ValueError(f"{len(raw)} bytes of mask where {need} are needed")
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=size).reshape(shape).view(bool)


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Record of a prompt that `prompt_from_json` turns back into an equal one.

    Parameters
    ----------
    prompt : Prompt
        Any prompt.

    Returns
    -------
    dict
        JSON types only; masks as zlib-compressed bits in base64.
    """
    record: dict[str, Any] = {"type": type(prompt).__name__}
    match prompt:
        case Point():
            record |= {"position": list(prompt.position), "positive": prompt.positive}
        case BoxPrompt():
            record |= {
                "start": list(prompt.start),
                "stop": list(prompt.stop),
                "positive": prompt.positive,
            }
        case _:
            record |= {"mask": _mask_to_json(prompt.mask), "origin": list(prompt.origin)}
            if isinstance(prompt, InitialMask):
                record["shape"] = list(prompt.shape or ())
            elif isinstance(prompt, MaskEdit):
                record["value"] = prompt.value
            else:
                record["positive"] = prompt.positive
    return record


_TYPES: dict[str, type[Prompt]] = {cls.__name__: cls for cls in get_args(Prompt)}


def prompt_from_json(record: object, most_voxels: int | None = None) -> Prompt:
    """Prompt from the record that `prompt_to_json` made.

    Parameters
    ----------
    record : dict
        As written by `prompt_to_json`; not trusted.
    most_voxels : int, optional
        Voxels of the image: a mask with more is refused before it takes memory. `MOST_VOXELS` where it is not known.

    Returns
    -------
    Prompt
        Equal to the one that was written.

    Raises
    ------
    PromptError
        If the record is not one of a prompt.
    """
    if not isinstance(record, dict) or str(record.get("type")) not in _TYPES:
        raise PromptError(
            f"Not the record of a prompt: its type must be one of {', '.join(_TYPES)}."
        )
    fields = {k: v for k, v in record.items() if k != "type"}
    try:
        if "mask" in fields:
            fields["mask"] = _mask_from_json(fields["mask"], most_voxels)
        return _TYPES[record["type"]](**fields)
    except (KeyError, OverflowError, TypeError, ValueError, zlib.error) as error:
        if isinstance(error, PromptError):
            raise
        raise PromptError(f"The record of a {record['type']} is damaged: {error}.") from error


def flipped(prompt: Prompt) -> Prompt:
    """Same prompt with the other sign."""
    match prompt:
        case Point():
            return Point(prompt.position, not prompt.positive)
        case BoxPrompt():
            return BoxPrompt(prompt.start, prompt.stop, not prompt.positive)
        case Scribble():
            return Scribble(prompt.mask, prompt.origin, not prompt.positive)
        case Lasso():
            return Lasso(prompt.mask, prompt.origin, not prompt.positive)
    raise PromptError("Only points, boxes, scribbles and lassos have a sign to flip.")
