"""Drawings in layers to prompts and back: pure, without a viewer.

The plugin's layers are aligned with their image layer, so their data coordinates are voxels of the image. Between these
and the prompts (z, y, x) stands a `Frame`: which of the layer's axes are space, and where the others stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.draw import polygon
from skimage.measure import approximate_polygon, find_contours

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point, Prompt, Scribble
from napari_nninteractive.errors import ImageError, PromptError

__all__ = [
    "Frame",
    "box_prompt",
    "flipped",
    "frame_of",
    "lasso",
    "outline",
    "point",
    "scribble",
    "voxel_size",
]

_TIME = {"t", "time", "frame"}
_CHANNEL = {"c", "ch", "channel", "channels"}


@dataclass(frozen=True, slots=True)
class Frame:
    """The 3D or 2D part of an image layer that is segmented.

    Attributes
    ----------
    shape : tuple of int
        Voxels along the axes of the layer; without the colours of an RGB image.
    spatial : tuple of int
        The two or three axes of space, in order.
    index : tuple of int
        Where each axis stands; 0 along those of space and along the channels.
    channels : int or None
        Axis of the channels in the data; ``len(shape)`` for RGB; None where there are none.
    channel : int or None
        The channel; None for the mean of all.
    """

    shape: tuple[int, ...]
    spatial: tuple[int, ...]
    index: tuple[int, ...]
    channels: int | None = None
    channel: int | None = None

    @property
    def ndim(self) -> int:
        """Axes of the layer."""
        return len(self.shape)

    @property
    def volume_shape(self) -> Index3:
        """(z, y, x) of the volume; z is 1 for a 2D image."""
        y, x = (self.shape[a] for a in self.spatial[-2:])
        return (self.shape[self.spatial[0]] if len(self.spatial) == 3 else 1), y, x

    def holds(self, position: Sequence[float]) -> bool:
        """Whether a position in the layer lies at this time point."""
        return all(
            round(float(position[a])) == self.index[a]
            for a in range(self.ndim)
            if a not in self.spatial and a != self.channels
        )

    def to_voxels(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Positions (n, axes) in the layer as (n, 3) voxels (z, y, x)."""
        given = np.atleast_2d(np.asarray(positions, np.float64))
        if given.shape[1] != self.ndim:
            raise PromptError(
                f"The drawing has {given.shape[1]} axes, but the image has {self.ndim}; draw it in the layer that the "
                "panel made for this image."
            )
        space = given[:, list(self.spatial)]
        return np.pad(space, ((0, 0), (3 - space.shape[1], 0)))

    def to_layer(self, voxels: ArrayLike) -> NDArray[np.float64]:
        """Voxels (n, 3) as positions (n, axes) in the layer."""
        given = np.atleast_2d(np.asarray(voxels, np.float64))
        out = np.tile(np.asarray(self.index, np.float64), (len(given), 1))
        if self.channels is not None and self.channels < self.ndim:
            out[:, self.channels] = self.channel or 0
        out[:, list(self.spatial)] = given[:, 3 - len(self.spatial) :]
        return out

    def key(self, box: Box) -> tuple[int | slice, ...]:
        """Index of a box of the volume in the result layer; all channels share the result."""
        slices = dict(zip(self.spatial, box.slices[3 - len(self.spatial) :], strict=True))
        return tuple(
            slices.get(a, slice(None) if a == self.channels else self.index[a])
            for a in range(self.ndim)
        )

    def read(self, labels: Any, box: Box) -> NDArray[Any]:
        """Voxels (z, y, x) of a box in a layer of results; the first channel stands for all."""
        key = tuple(0 if a == self.channels else k for a, k in enumerate(self.key(box)))
        return np.asarray(labels[key]).reshape(box.shape)

    def write(self, labels: Any, box: Box, values: NDArray[Any]) -> None:
        """Set voxels (z, y, x) of a box in a layer of results, at all channels."""
        flat = values.reshape(tuple(box.shape[3 - len(self.spatial) :]))
        if self.channels is not None and self.channels < self.ndim:
            before = sum(a < self.channels for a in self.spatial)
            flat = np.expand_dims(flat, before)
        labels[self.key(box)] = flat

    def select(self, data: Any) -> Any:
        """Volume (z, y, x) or (y, x) of the layer's data: a view, or lazy where the data are.

        Costs a read of the whole volume for the mean of channels and for arrays that index eagerly.
        """
        key: list[Any] = [
            slice(None) if a in self.spatial else self.index[a] for a in range(self.ndim)
        ]
        if self.channels is None:
            return data if all(isinstance(k, slice) for k in key) else data[tuple(key)]
        if self.channels == self.ndim:
            key.append(self.channel)
        else:
            key[self.channels] = self.channel
        if self.channel is not None:
            return data[tuple(key)]
        key[self.channels] = slice(0, 3) if self.channels == self.ndim else slice(None)
        axis = sum(isinstance(k, slice) for k in key[: self.channels])
        return data[tuple(key)].mean(axis=axis, dtype=np.float32)


def frame_of(
    shape: Sequence[int],
    axis_labels: Sequence[str] = (),
    *,
    rgb: bool = False,
    position: Sequence[float] = (),
    channel: int | None = None,
) -> Frame:
    """Frame of an image layer.

    Parameters
    ----------
    shape : sequence of int
        Of the layer's data, with the colours of an RGB image last.
    axis_labels : sequence of str
        Names of the axes; "t" and "c" (or time, channel) are not space. Without names the last three are.
    rgb : bool
        Whether the last axis holds colours.
    position : sequence of float
        Where the viewer stands, in data coordinates; the time point is taken from it.
    channel : int, optional
        Channel, or None for the mean of all.

    Returns
    -------
    Frame
        The part of the layer at that position.

    Raises
    ------
    ImageError
        If fewer than two axes are space.
    """
    layer_shape = tuple(int(n) for n in (shape[:-1] if rgb else shape))
    names = [str(n).strip().lower() for n in axis_labels][: len(layer_shape)]
    names += [""] * (len(layer_shape) - len(names))
    channels = (
        len(layer_shape) if rgb else next((a for a, n in enumerate(names) if n in _CHANNEL), None)
    )
    space = [a for a, n in enumerate(names) if n not in _TIME | _CHANNEL][-3:]
    if len(space) < 2:
        raise ImageError(
            f"The image has axes {tuple(axis_labels)}, of which fewer than two are space; rename its axes, for example "
            "to z, y, x."
        )
    index = [0] * len(layer_shape)
    for a, n in enumerate(layer_shape):
        if a not in space and a != channels and a < len(position):
            index[a] = min(max(round(float(position[a])), 0), n - 1)
    chosen = channel if channels is not None else None
    return Frame(layer_shape, tuple(space), tuple(index), channels, chosen)


def voxel_size(corners: ArrayLike, frame: Frame) -> tuple[float, float, float]:
    """Physical size of a voxel along (z, y, x).

    Parameters
    ----------
    corners : array_like
        (axes + 1, axes): world coordinates of the data origin, and of the points one step from it along each axis. So
        any affine transform is measured by the layer itself.
    frame : Frame
        Which axes are space.
    """
    points = np.asarray(corners, np.float64)
    steps = np.linalg.norm(points[1:] - points[0], axis=1)[list(frame.spatial)]
    z, y, x = (1.0,) * (3 - len(steps)) + tuple(float(s) for s in steps)
    return z, y, x


def point(position: Sequence[float], frame: Frame, *, positive: bool = True) -> Point:
    """Click at a position in the layer."""
    voxel = frame.to_voxels(position)[0]
    return Point(tuple(voxel), positive)


def box_prompt(
    corners: ArrayLike, frame: Frame, depth: int | None = None, *, positive: bool = True
) -> BoxPrompt:
    """Box round a rectangle drawn in any plane.

    Parameters
    ----------
    corners : array_like
        (n, axes) in the layer. A voxel is inside where its centre is; the smallest box is one voxel.
    frame : Frame
        Which axes are space.
    depth : int, optional
        Axis of the layer across which was drawn; by default the one with the smallest extent.
    positive : bool
        Whether the object lies inside.
    """
    voxels = frame.to_voxels(corners)
    axis = _flat_axis(voxels, frame, depth)
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    start, stop = np.ceil(low - 1e-3), np.floor(high + 1e-3) + 1
    narrow = stop <= start
    start[narrow] = np.round((low + high)[narrow] / 2)
    stop[narrow] = start[narrow] + 1
    start[axis] = np.round(voxels[:, axis].mean())
    stop[axis] = start[axis] + 1
    return BoxPrompt(_index(start), _index(stop), positive)


def lasso(
    vertices: ArrayLike, frame: Frame, depth: int | None = None, *, positive: bool = True
) -> Lasso:
    """Filled outline drawn in any plane; parameters as in `box_prompt`.

    Raises
    ------
    PromptError
        If it lies wholly outside the image.
    """
    voxels = frame.to_voxels(vertices)
    axis = _flat_axis(voxels, frame, depth)
    across = [a for a in range(3) if a != axis]
    outline2d = voxels[:, across]
    limits = np.array([frame.volume_shape[a] for a in across])
    low = np.clip(np.floor(outline2d.min(axis=0)), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(outline2d.max(axis=0)), 0, limits - 1).astype(int)
    if (outline2d.max(axis=0) < -0.5).any() or (outline2d.min(axis=0) > limits - 0.5).any():
        raise PromptError(
            f"The lasso lies outside the image of shape {frame.volume_shape} (z, y, x): draw it inside."
        )
    mask = np.zeros(high - low + 1, bool)
    inside = outline2d - low
    mask[polygon(inside[:, 0], inside[:, 1], mask.shape)] = True  # type: ignore[no-untyped-call]
    if not mask.any():  # thinner than a voxel
        mask[tuple(np.clip(np.round(inside), 0, high - low).astype(int).T)] = True
    origin = np.zeros(3)
    origin[axis], origin[across] = np.round(voxels[:, axis].mean()), low
    return Lasso(np.expand_dims(mask, axis), _index(origin), positive)


def scribble(
    painted: NDArray[np.bool_], start: Sequence[int], frame: Frame, *, positive: bool = True
) -> Scribble:
    """Stroke painted in the scribble layer.

    Parameters
    ----------
    painted : ndarray
        bool, one axis per axis of the layer; True where painted.
    start : sequence of int
        Where its first voxel lies in the layer.
    frame : Frame
        Which axes are space; the others must have been painted at one place.
    positive : bool
        Whether the object was painted.
    """
    others = tuple(a for a in range(frame.ndim) if a not in frame.spatial)
    space = painted.any(axis=others)
    origin = [start[a] for a in frame.spatial]
    pad = 3 - len(origin)
    at = np.array([0] * pad + origin, float)
    return Scribble(space.reshape((1,) * pad + space.shape), _index(at), positive)


def outline(prompt: BoxPrompt | Lasso, frame: Frame) -> NDArray[np.float64]:
    """Vertices (n, axes) in the layer that draw a box or lasso again; exact for boxes, close for lassos."""
    box = prompt.bounds
    axis = box.shape.index(1) if 1 in box.shape else 0
    rows, columns = (a for a in range(3) if a != axis)
    if isinstance(prompt, BoxPrompt):
        low, high = np.array(box.start, float), np.array(box.stop, float) - 1
        flat = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
        corners = np.tile(low, (4, 1))
        for column, a in enumerate((rows, columns)):
            corners[:, a] = np.where(flat[:, column], high[a], low[a])
        return frame.to_layer(corners)
    mask = np.pad(prompt.mask.any(axis=axis), 1)
    contours = find_contours(mask.astype(np.float32), 0.5)  # type: ignore[no-untyped-call]
    simple = approximate_polygon(max(contours, key=len), 0.5)  # type: ignore[no-untyped-call]
    simple = simple[:-1] - 1
    vertices = np.empty((len(simple), 3))
    vertices[:, axis] = box.start[axis]
    vertices[:, rows] = simple[:, 0] + box.start[rows]
    vertices[:, columns] = simple[:, 1] + box.start[columns]
    return frame.to_layer(vertices)


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


def _flat_axis(voxels: NDArray[np.float64], frame: Frame, depth: int | None) -> int:
    """Axis of the volume across which a flat drawing lies."""
    if len(frame.spatial) == 2:
        return 0
    extent = np.ptp(voxels, axis=0)
    if depth in frame.spatial and extent[frame.spatial.index(depth)] < 0.5:
        return frame.spatial.index(depth)
    return int(np.argmin(extent))


def _index(values: NDArray[np.float64]) -> Index3:
    z, y, x = (int(v) for v in values)
    return z, y, x
