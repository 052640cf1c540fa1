"""Objects over each other: at each voxel the labels of all objects that have it, the shown one first."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.frame import Frame

__all__ = ["Beneath", "Patch", "inserted", "removed"]

_CHUNK = 64

Stack = NDArray[np.uint32]
"""Labels (levels, z, y, x) of a box: level 0 is shown, 0 is no object, and no object lies beneath a 0."""


def removed(stack: Stack, label: int, where: NDArray[np.bool_]) -> Stack:
    """Take an object away where it is no more; what lies beneath it comes up."""
    gone = (stack == label) & where
    if not gone.any():
        return stack
    left = np.where(gone, 0, stack).astype(np.uint32)
    order = np.argsort(left == 0, axis=0, kind="stable")
    return np.take_along_axis(left, order, axis=0)


def inserted(stack: Stack, label: int, where: NDArray[np.bool_], *, on_top: bool) -> Stack:
    """Add an object where it is new: over all others, or beneath them."""
    new = where & ~(stack == label).any(axis=0)
    if not new.any():
        return stack
    if on_top or stack[:, new].any():
        stack = np.concatenate([stack, np.zeros_like(stack[:1])])
    if on_top:
        shifted = np.concatenate([np.full_like(stack[:1], label), stack[:-1]])
        out = np.where(new, shifted, stack)
    else:
        free = (stack == 0).argmax(axis=0)
        levels = np.arange(len(stack)).reshape(-1, 1, 1, 1)
        out = np.where(new & (levels == free), np.uint32(label), stack)
    used = out.any(axis=(1, 2, 3))
    return out[: max(1, int(np.flatnonzero(used).max(initial=0)) + 1)]


class Beneath:
    """What lies beneath the shown labels of one time point, in chunks that exist only where there is something."""

    def __init__(self) -> None:
        self._levels: list[dict[Index3, NDArray[np.uint32]]] = []

    def read(self, box: Box) -> Stack:
        """Levels of a box, without the shown one; copies."""
        out = np.zeros((len(self._levels), *box.shape), np.uint32)
        for level, chunks in zip(out, self._levels, strict=True):
            for index, part in box.tiles(_CHUNK):
                if index in chunks:
                    level[part.relative_to(box).slices] = chunks[index][_within(index, part)]
        return out

    def write(self, box: Box, stack: Stack) -> None:
        """Set the levels of a box, without the shown one; those that are not given are emptied."""
        while len(self._levels) < len(stack):
            self._levels.append({})
        empty = np.zeros(box.shape, np.uint32)
        for level, chunks in enumerate(self._levels):
            values = stack[level] if level < len(stack) else empty
            for index, part in box.tiles(_CHUNK):
                new = values[part.relative_to(box).slices]
                if index not in chunks and not new.any():
                    continue
                chunk = chunks.setdefault(index, np.zeros((_CHUNK,) * 3, np.uint32))
                chunk[_within(index, part)] = new
                if not chunk.any():
                    del chunks[index]
        while self._levels and not self._levels[-1]:
            self._levels.pop()


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What an action changed in a box of the label map, compressed, so that it can be taken back to the voxel.

    Attributes
    ----------
    frame : Frame
        Time point.
    box : Box
        Where.
    where : bytes
        Voxels that changed, as compressed bits.
    old, new : bytes
        Their labels, level by level, as compressed uint32.
    """

    frame: Frame
    box: Box
    where: bytes
    old: bytes
    new: bytes

    @classmethod
    def between(cls, frame: Frame, box: Box, old: Stack, new: Stack) -> Patch | None:
        """Patch of what differs between two stacks; None where nothing does."""
        levels = max(len(old), len(new))
        a, b = (_of_levels(stack, levels) for stack in (old, new))
        where = (a != b).any(axis=0)
        if not where.any():
            return None
        inner = Box.of_mask(where) or box
        a, b, where = (v[..., *inner.slices] for v in (a, b, where))
        packed = [zlib.compress(np.ascontiguousarray(v[:, where]).tobytes(), 1) for v in (a, b)]
        bits = zlib.compress(np.packbits(where).tobytes(), 1)
        return cls(frame, inner.shift(box.start), bits, *packed)

    def applied(self, stack: Stack, *, back: bool) -> Stack:
        """Labels of the box after this was done, or taken `back`; what was written over it since stays."""
        size = self.box.size
        bits = np.frombuffer(zlib.decompress(self.where), np.uint8)
        where = np.unpackbits(bits, count=size).reshape(self.box.shape).astype(bool)
        old, new = (
            np.frombuffer(zlib.decompress(v), np.uint32).reshape(-1, np.count_nonzero(where))
            for v in (self.old, self.new)
        )
        was, becomes = (new, old) if back else (old, new)
        out = _of_levels(stack, max(len(stack), len(becomes)))
        here = out[:, where]
        same = (here[0] == was[0]) | (here[0] == 0)
        # Objects that came beneath since, as when all are shown again in a new layer, stay.
        since = np.where(_in(here, was) | _in(here, becomes), 0, here)
        values = _packed(np.concatenate([becomes, since]))
        out, here = (_of_levels(v, max(len(v), len(values))) for v in (out, here))
        out[:, where] = np.where(same, _of_levels(values, len(here)), here)
        return out


def _in(labels: NDArray[np.uint32], known: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which labels (levels, voxels) are among the known ones of their voxel."""
    return np.asarray((labels[:, np.newaxis] == known[np.newaxis]).any(axis=1))


def _packed(labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Labels (levels, voxels) without gaps, and without levels that nothing is in."""
    order = np.argsort(labels == 0, axis=0, kind="stable")
    packed = np.take_along_axis(labels, order, axis=0)
    return packed[: max(1, np.count_nonzero(packed.any(axis=1)))]


def _of_levels(stack: Stack, levels: int) -> Stack:
    """Copy with so many levels."""
    out = np.zeros((levels, *stack.shape[1:]), np.uint32)
    out[: len(stack)] = stack
    return out


def _within(index: Index3, part: Box) -> tuple[slice, slice, slice]:
    z, y, x = index
    return part.shift((-z * _CHUNK, -y * _CHUNK, -x * _CHUNK)).slices
