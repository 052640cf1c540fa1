"""Which axes of an image with time points or channels are space: the `Frame` between its axes and (z, y, x)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.errors import ImageError, PromptError

__all__ = ["Frame", "frame_of", "voxel_size"]

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
    def channel_axis(self) -> int | None:
        """Axis of the layer along which channels lie; None where there are none, and for colours of an RGB image."""
        return self.channels if self.channels is not None and self.channels < self.ndim else None

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
            if a not in self.spatial and a != self.channel_axis
        )

    def at(self, position: Sequence[float]) -> Frame:
        """Frame of the time point of a position in the layer."""
        still = (*self.spatial, self.channels)
        index = tuple(0 if a in still else round(float(position[a])) for a in range(self.ndim))
        return replace(self, index=index)

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
        if self.channel_axis is not None:
            out[:, self.channel_axis] = self.channel or 0
        out[:, list(self.spatial)] = given[:, 3 - len(self.spatial) :]
        return out

    def mask_in_layer(
        self, mask: NDArray[np.bool_], origin: Sequence[int]
    ) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
        """Place a mask of the volume in the layer: at this time point and, of several channels, in the shown one.

        Parameters
        ----------
        mask : ndarray of bool
            (z, y, x); z is 1 for a 2D image.
        origin : sequence of int
            Its first voxel (z, y, x) in the volume.

        Returns
        -------
        start : tuple of int
            Its first voxel in the layer.
        placed : ndarray of bool
            The same voxels, with an axis for each of the layer: a view.
        """
        shape = [1] * self.ndim
        for axis, size in zip(self.spatial, mask.shape[3 - len(self.spatial) :], strict=True):
            shape[axis] = size
        return tuple(int(v) for v in self.to_layer(origin)[0]), mask.reshape(shape)

    def key(self, box: Box) -> tuple[int | slice, ...]:
        """Index of a box of the volume in the result layer; all channels share the result."""
        slices = dict(zip(self.spatial, box.slices[3 - len(self.spatial) :], strict=True))
        return tuple(
            slices.get(a, slice(None) if a == self.channel_axis else self.index[a])
            for a in range(self.ndim)
        )

    def read(self, labels: Any, box: Box) -> NDArray[Any]:
        """Voxels (z, y, x) of a box in a layer of results; the first channel stands for all."""
        key = tuple(0 if a == self.channel_axis else k for a, k in enumerate(self.key(box)))
        return np.asarray(labels[key]).reshape(box.shape)

    def write(self, labels: Any, box: Box, values: NDArray[Any]) -> None:
        """Set voxels (z, y, x) of a box in a layer of results, at all channels."""
        flat = values.reshape(tuple(box.shape[3 - len(self.spatial) :]))
        if self.channel_axis is not None:
            before = sum(a < self.channel_axis for a in self.spatial)
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
