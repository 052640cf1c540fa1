"""What a stroke of napari's brush changed, from its paint event. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.workspace.values.placed import Stroke

__all__ = ["compare", "on_all", "read_stroke"]


def on_all(stroke: Stroke, axis: int, size: int) -> Stroke:
    """Return a stroke made in one of the channels as if made in all.

    Parameters
    ----------
    stroke : Stroke
        As drawn.
    axis : int
        Of the channels, which hold the same.
    size : int
        How many there are.
    """
    at = stroke.touched.argmax(axis, keepdims=True)
    old, new = (np.take_along_axis(values, at, axis) for values in (stroke.old, stroke.new))
    touched = stroke.touched.any(axis, keepdims=True)
    start = tuple(0 if a == axis else s for a, s in enumerate(stroke.start))
    return Stroke(start, *(np.repeat(part, size, axis) for part in (touched, old, new)))


def read_stroke(atoms: Iterable[Any], data: Any) -> Stroke:
    """Gather the pieces of a stroke.

    Parameters
    ----------
    atoms : iterable
        Value of the event `paint`: pieces in order, each with the box it changed, which voxels, and what was there; or
        indices and what was there.
    data : array
        The layer's data after the stroke.

    Returns
    -------
    Stroke
        In the smallest box that holds all pieces.
    """
    pieces = [_piece(atom) for atom in atoms]
    low = np.min([start for start, _, _ in pieces], axis=0)
    high = np.max([np.add(start, mask.shape) for start, mask, _ in pieces], axis=0)
    new = np.array(data[_slices(low, high)])
    old, touched = new.copy(), np.zeros(new.shape, bool)
    for start, mask, values in pieces:
        where = _slices(start - low, start - low + mask.shape)
        first = mask & ~touched[where]
        old[where][first] = values[first]
        touched[where] |= mask
    return Stroke(tuple(int(v) for v in low), touched & (old != new), old, new)


def _slices(start: NDArray[np.int64], stop: NDArray[np.int64]) -> tuple[slice, ...]:
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def _piece(atom: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[Any]]:
    """Start, mask and old values of a piece, as arrays of its box."""
    if hasattr(atom, "slice_key"):
        start = np.array([s.start for s in atom.slice_key])
        shape = tuple(s.stop - s.start for s in atom.slice_key)
        mask = np.ones(shape, bool) if atom.mask is None else np.asarray(atom.mask).reshape(shape)
        values = np.zeros(shape, np.int64)
        values[mask] = np.asarray(atom.old_values).ravel()
        return start, mask, values
    indices, old = atom[0], atom[1]
    points = np.stack([np.atleast_1d(i) for i in np.broadcast_arrays(*indices)])
    start = points.min(axis=1)
    mask = np.zeros(tuple(points.max(axis=1) + 1 - start), bool)
    values = np.zeros(mask.shape, np.int64)
    where = tuple(points - start[:, np.newaxis])
    mask[where], values[where] = True, old
    return start, mask, values


def compare(
    known: dict[int, NDArray[np.float64]], uids: Sequence[int], rows: Sequence[NDArray[Any]]
) -> tuple[list[int], list[int], list[int]]:
    """What happened to a layer of points or shapes.

    Parameters
    ----------
    known : dict
        Geometry by uid, as it was.
    uids, rows : sequence
        As they are; a uid that is not known, or comes twice, is of something new.

    Returns
    -------
    added, moved : list of int
        Indices into `rows`.
    removed : list of int
        Uids.
    """
    added, moved, seen = [], [], set()
    for index, (uid, row) in enumerate(zip(uids, rows, strict=True)):
        if uid not in known or uid in seen:
            added.append(index)
            continue
        seen.add(uid)
        old = known[uid]
        if old.shape != np.shape(row) or not np.allclose(old, row, atol=1e-4):
            moved.append(index)
    return added, moved, [uid for uid in known if uid not in seen]
