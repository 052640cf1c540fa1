"""What an image layer is to the engine: its array, the frame that the viewer shows, its place in space. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.frame import Frame, frame_of, voxel_size

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image, Labels, Layer

__all__ = [
    "array_of",
    "depth_axis",
    "frame_at",
    "go_to",
    "lies_on",
    "position_in_view",
    "spacing_of",
    "voxel_shape",
]


def array_of(image: Image) -> Any:
    """All of its data; the finest level of a pyramid."""
    return image.data[0] if image.multiscale else image.data


def voxel_shape(image: Image) -> tuple[int, ...]:
    """Voxels along its axes, without the colours of an RGB image."""
    shape = tuple(int(n) for n in array_of(image).shape)
    return shape[:-1] if image.rgb else shape


def position_in_view(image: Image, dims: Dims) -> list[float]:
    """Where the viewer stands, in data coordinates of the image."""
    return [float(v) for v in image.world_to_data(dims.point[-image.ndim :])]


def frame_at(image: Image, position: Sequence[float], channel: int | None) -> Frame:
    """Part of the image at a position in data coordinates.

    Raises
    ------
    ImageError
        If fewer than two axes are space.
    """
    shape = array_of(image).shape
    return frame_of(shape, image.axis_labels, rgb=image.rgb, position=position, channel=channel)


def spacing_of(image: Image, frame: Frame) -> tuple[float, float, float]:
    """Physical size of a voxel along (z, y, x), in the unit of the layer."""
    corners = np.vstack([np.zeros(frame.ndim), np.eye(frame.ndim)])
    return voxel_size([image.data_to_world(corner) for corner in corners], frame)


def depth_axis(dims: Dims, frame: Frame) -> int | None:
    """Axis of the image layer that the viewer looks along; None where that is none of space."""
    hidden = [a - (dims.ndim - frame.ndim) for a in dims.not_displayed]
    return next((a for a in reversed(hidden) if a in frame.spatial), None)


def go_to(dims: Dims, image: Image, position: Sequence[float], axes: Sequence[int]) -> None:
    """Bring the viewer to a position in data coordinates of the image, along some of its axes."""
    world, first = image.data_to_world(position), dims.ndim - image.ndim
    for axis in axes:
        dims.set_point(first + axis, world[axis])


def lies_on(layer: Labels, image: Image) -> bool:
    """Whether the voxels of a layer lie on those of the image, along the axes that it has."""
    n = min(layer.ndim, image.ndim)
    corners = np.vstack([np.zeros(n), np.diag(np.asarray(layer.data.shape[-n:], float))])

    def places(of: Layer) -> NDArray[np.float64]:
        world = [of.data_to_world(np.pad(c, (of.ndim - n, 0)))[-n:] for c in corners]
        return np.asarray(world)

    at = np.asarray(image.data_to_world(np.zeros(image.ndim)))
    units = np.eye(image.ndim)[-n:]
    edge = min(np.linalg.norm(np.asarray(image.data_to_world(u)) - at) for u in units)
    return bool(np.abs(places(layer) - places(image)).max() <= 0.5 * edge)
