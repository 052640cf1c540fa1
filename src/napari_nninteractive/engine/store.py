"""A binary volume in chunks that exist only once something in them is set.

The mask and the previous segmentation of an object live here, at the cost of the object and not of the image. A store
is never changed: `draft` gives a copy that shares all chunks until they are written to, and `Delta` is the difference
of two stores, which toggles one into the other and back.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import EllipsisType, MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3

__all__ = ["CHUNK", "ChunkStore", "Delta", "Draft", "MaskView"]

CHUNK = 64  # voxels per side: 256 KiB a chunk, small beside a patch, large beside the cost of a dictionary entry

Chunk = NDArray[np.uint8]


def _chunk_box(index: Index3) -> Box:
    z, y, x = (i * CHUNK for i in index)
    return Box((z, y, x), (z + CHUNK, y + CHUNK, x + CHUNK))


def _pack(chunk: NDArray[Any]) -> bytes:
    return zlib.compress(np.packbits(chunk).tobytes(), 1)


def _unpack(data: bytes) -> Chunk:
    bits = np.frombuffer(zlib.decompress(data), np.uint8)
    return np.unpackbits(bits).reshape(CHUNK, CHUNK, CHUNK)


@dataclass(frozen=True, slots=True)
class Delta:
    """Voxels in which two stores differ, per chunk as compressed bits; its own inverse."""

    chunks: Mapping[Index3, bytes] = field(default_factory=lambda: MappingProxyType({}))
    bounds: Box | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the compressed bits in bytes."""
        return sum(len(c) for c in self.chunks.values())


class ChunkStore:
    """An immutable binary volume (z, y, x) of uint8 zeros and ones.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x) in voxels.
    chunks : mapping, optional
        Grid index to a read-only uint8 chunk; absent where all is 0.
    """

    __slots__ = ("_chunks", "shape")

    def __init__(self, shape: Index3, chunks: Mapping[Index3, Chunk] | None = None) -> None:
        self.shape = shape
        self._chunks: Mapping[Index3, Chunk] = MappingProxyType(dict(chunks or {}))

    @property
    def nbytes(self) -> int:
        """Memory of all chunks in bytes."""
        return sum(c.nbytes for c in self._chunks.values())

    def read(self, box: Box) -> NDArray[np.uint8]:
        """Copy of a box (z, y, x); 0 outside the volume."""
        out = np.zeros(box.shape, np.uint8)
        for index, part in box.clip(self.shape).tiles(CHUNK):
            chunk = self._chunks.get(index)
            if chunk is not None:
                out[part.relative_to(box).slices] = chunk[
                    part.relative_to(_chunk_box(index)).slices
                ]
        return out

    def bounds(self, box: Box | None = None) -> Box | None:
        """Smallest box of all set voxels (inside `box`, if given), or None."""
        total = Box.EMPTY
        for index, chunk in self._chunks.items():
            whole = _chunk_box(index)
            part = whole if box is None else whole.intersect(box)
            if part.is_empty or total.contains(part):
                continue
            found = Box.of_mask(chunk[part.relative_to(whole).slices] != 0)
            if found is not None:
                total = total.union(found.shift(part.start))
        return None if total.is_empty else total

    def count(self) -> int:
        """Number of set voxels."""
        return sum(int(np.count_nonzero(c)) for c in self._chunks.values())

    def draft(self) -> Draft:
        """A copy to write to; this store stays as it is."""
        return Draft(self)

    def toggled(self, delta: Delta) -> ChunkStore:
        """Store that differs from this one by `delta`."""
        chunks = dict(self._chunks)
        for index, packed in delta.chunks.items():
            old = chunks.pop(index, None)
            new = _unpack(packed) if old is None else old ^ _unpack(packed)
            if new.any():
                new.flags.writeable = False
                chunks[index] = new
        return ChunkStore(self.shape, chunks)

    def difference(self, other: ChunkStore) -> Delta:
        """What turns this store into `other`, and back."""
        chunks, bounds = {}, Box.EMPTY
        for index in sorted(self._chunks.keys() | other._chunks.keys()):
            a, b = self._chunks.get(index), other._chunks.get(index)
            if a is b:
                continue
            changed = (b if a is None else a) if a is None or b is None else a ^ b
            found = Box.of_mask(changed != 0) if changed is not None else None
            if changed is not None and found is not None:
                chunks[index] = _pack(changed)
                bounds = bounds.union(found.shift(_chunk_box(index).start))
        return Delta(MappingProxyType(chunks), None if bounds.is_empty else bounds)


class Draft:
    """A store being written to; reads see what was written."""

    __slots__ = ("_chunks", "_own", "shape")

    def __init__(self, base: ChunkStore) -> None:
        self.shape = base.shape
        self._chunks: dict[Index3, Chunk] = dict(base._chunks)
        self._own: set[Index3] = set()

    def read(self, box: Box) -> NDArray[np.uint8]:
        """Copy of a box (z, y, x); 0 outside the volume."""
        return self._view().read(box)

    def bounds(self, box: Box | None = None) -> Box | None:
        """Smallest box of all set voxels (inside `box`, if given), or None."""
        return self._view().bounds(box)

    def _view(self) -> ChunkStore:
        return ChunkStore(self.shape, self._chunks)

    def write(self, box: Box, values: NDArray[Any], where: NDArray[np.bool_] | None = None) -> None:
        """Set voxels of a box.

        Parameters
        ----------
        box : Box
            Where; what lies outside the volume is left out.
        values : ndarray
            (z, y, x) of the box's shape; non-zero is 1.
        where : ndarray of bool, optional
            Write only here.
        """
        for index, part in box.clip(self.shape).tiles(CHUNK):
            inside = part.relative_to(box).slices
            new = values[inside] != 0
            old = self._chunks.get(index)
            if old is None and not new.any():
                continue
            target = self._writable(index, old)[part.relative_to(_chunk_box(index)).slices]
            if where is None:
                target[...] = new
            else:
                np.copyto(target, new, where=where[inside], casting="unsafe")

    def _writable(self, index: Index3, chunk: Chunk | None) -> Chunk:
        if chunk is None:
            chunk = np.zeros((CHUNK, CHUNK, CHUNK), np.uint8)
        elif index not in self._own:
            chunk = chunk.copy()
        else:
            return chunk
        self._own.add(index)
        self._chunks[index] = chunk
        return chunk

    def finish(self) -> ChunkStore:
        """The store as written; the draft must not be written to afterwards."""
        for index in self._own:
            chunk = self._chunks[index]
            if chunk.any():
                chunk.flags.writeable = False
            else:
                del self._chunks[index]
        self._own.clear()
        return ChunkStore(self.shape, self._chunks)


class MaskView:
    """Read-only view of a mask that need not exist as one array.

    Slicing and ``numpy.asarray`` give uint8 copies (z, y, x) of zeros and ones; only what is asked for is built.
    """

    __slots__ = ("_store",)

    def __init__(self, store: ChunkStore) -> None:
        self._store = store

    @property
    def shape(self) -> Index3:
        """(z, y, x) in voxels."""
        return self._store.shape

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def size(self) -> int:
        """Number of voxels."""
        return Box.of_shape(self.shape).size

    @property
    def bounds(self) -> Box | None:
        """Smallest box of all set voxels, or None."""
        return self._store.bounds()

    def count(self) -> int:
        """Number of set voxels, without building the array."""
        return self._store.count()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        if sum(isinstance(k, EllipsisType) for k in keys) <= 1 and all(
            isinstance(k, EllipsisType | slice | int | np.integer) and not isinstance(k, bool)
            for k in keys
        ):
            return self._basic(keys)
        return np.asarray(self)[key]

    def _basic(self, keys: tuple[Any, ...]) -> Any:
        """Slices and integers: read the box that they span, then index that."""
        if any(isinstance(k, EllipsisType) for k in keys):
            at = next(i for i, k in enumerate(keys) if isinstance(k, EllipsisType))
            keys = keys[:at] + (slice(None),) * (3 - len(keys) + 1) + keys[at + 1 :]
        if len(keys) > 3:
            raise IndexError(f"The mask has 3 axes, but {len(keys)} were indexed.")
        keys += (slice(None),) * (3 - len(keys))
        start, stop, inner = [], [], []
        for axis, (k, n) in enumerate(zip(keys, self.shape, strict=True)):
            if isinstance(k, slice):
                span = range(*k.indices(n))
                low, high = (min(span[0], span[-1]), max(span[0], span[-1]) + 1) if span else (0, 0)
                first = span[0] - low if span else 0
                # A descending span that ends at its first voxel has no stop that a slice could name but None.
                inner.append(slice(first, None, span.step))
            else:
                if not -n <= k < n:
                    raise IndexError(f"Index {k} is outside axis {axis} of {n} voxels.")
                low, high = int(k) % n, int(k) % n + 1
                inner.append(0)  # type: ignore[arg-type]
            start.append(low)
            stop.append(high)
        box = Box(start, stop)
        return self._store.read(box)[tuple(inner)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("The mask is kept in chunks; an array of it is always a copy.")
        array = self._store.read(Box.of_shape(self.shape))
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<mask of {self.shape} voxels, {self.count()} set>"
