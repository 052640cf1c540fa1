"""Drawings in layers to prompts and back: pure, without a viewer.

The plugin's layers are aligned with their image layer, so their data coordinates are voxels of the image. Between these
and the prompts (z, y, x) stands a `Frame`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point, Prompt, Scribble
from napari_nninteractive.errors import PromptError

__all__ = [
    "Drawing",
    "DrawingListener",
    "box_prompt",
    "lasso",
    "outline",
    "point",
    "prompt_of",
    "scribble",
]

_SIDE = 64  # corners of the polygon that stands for an ellipse


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Something drawn in a layer.

    Attributes
    ----------
    kind : str
        "point", "scribble", or napari's type of a shape.
    positive : bool
        Its sign.
    vertices : ndarray
        (n, axes) in the layer; of a scribble the first voxel of its mask.
    mask : ndarray or None
        Painted voxels of a scribble, an axis for each of the layer.
    """

    kind: str
    positive: bool
    vertices: NDArray[np.float64]
    mask: NDArray[np.bool_] | None = None

    @property
    def outline(self) -> NDArray[np.float64] | None:
        """What to show again for its prompt; None for a scribble, which shows its own voxels."""
        return None if self.kind == "scribble" else self.vertices


class DrawingListener(Protocol):
    """Who is told what the user draws."""

    def add(self, drawing: Drawing) -> int | None:
        """Something new; returns the uid of its prompt, or None where it cannot be used."""

    def move(self, uid: int, drawing: Drawing) -> bool:
        """Something was changed; returns whether it can be used."""

    def remove(self, uid: int) -> None:
        """Something was deleted."""


def prompt_of(drawing: Drawing, frame: Frame, depth: int | None = None) -> Prompt:
    """Prompt that a drawing stands for.

    Parameters
    ----------
    drawing : Drawing
        In a layer that lies on the image, voxel by voxel.
    frame : Frame
        Which axes are space.
    depth : int, optional
        Axis of the layer across which was drawn; by default the one with the smallest extent.

    Raises
    ------
    PromptError
        If it is no prompt, or lies outside the image.
    """
    positive, vertices = drawing.positive, drawing.vertices
    match drawing.kind:
        case "point":
            return point(vertices[0].tolist(), frame, positive=positive)
        case "rectangle":
            return box_prompt(vertices, frame, depth, positive=positive)
        case "ellipse":
            return lasso(_ellipse(vertices), frame, depth, positive=positive)
        case "polygon" | "path":
            return lasso(vertices, frame, depth, positive=positive)
        case "scribble" if drawing.mask is not None:
            start = vertices[0].astype(int).tolist()
            return scribble(drawing.mask, start, frame, positive=positive)
    raise PromptError(
        f"A {drawing.kind} is no prompt: draw a box, a lasso, or paint with the scribble tool."
    )


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
    mask = _filled(outline2d - low, high - low + 1)
    origin = np.zeros(3)
    origin[axis], origin[across] = np.round(voxels[:, axis].mean()), low
    return Lasso(np.expand_dims(mask, axis), _index(origin), positive)


def _filled(outline: NDArray[np.float64], shape: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pixels of a plane inside an outline (n, 2); those beneath it where it is thinner than a pixel."""
    from skimage.draw import polygon  # late: it loads much, and the first click needs none of it

    mask = np.zeros(shape, bool)
    mask[polygon(outline[:, 0], outline[:, 1], mask.shape)] = True  # type: ignore[no-untyped-call]
    if not mask.any():
        mask[tuple(np.clip(np.round(outline), 0, shape - 1).astype(int).T)] = True
    return mask


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
    from skimage.measure import approximate_polygon, find_contours  # late, as in `lasso`

    mask = np.pad(prompt.mask.any(axis=axis), 1)
    contours = find_contours(mask.astype(np.float32), 0.5)  # type: ignore[no-untyped-call]
    simple = approximate_polygon(max(contours, key=len), 0.5)  # type: ignore[no-untyped-call]
    simple = simple[:-1] - 1
    vertices = np.empty((len(simple), 3))
    vertices[:, axis] = box.start[axis]
    vertices[:, rows] = simple[:, 0] + box.start[rows]
    vertices[:, columns] = simple[:, 1] + box.start[columns]
    return frame.to_layer(vertices)


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Polygon of an ellipse, of which napari tells the corners of the box round it, in order."""
    first, second, _, last = np.asarray(corners, np.float64)
    middle = (second + last) / 2
    turn = np.linspace(0, 2 * np.pi, _SIDE, endpoint=False)[:, None]
    polygon = middle + np.cos(turn) * (second - first) / 2 + np.sin(turn) * (last - first) / 2
    return np.asarray(polygon)


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
