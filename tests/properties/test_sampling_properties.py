"""`Volume.sample` against interpolation spelled out voxel by voxel, over random regions, shapes and levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_nninteractive.core import sampling
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.volume import Volume


class Counting:
    """An array that is not in memory: remembers how much was read of it."""

    def __init__(self, array: NDArray[Any], chunks: object = None) -> None:
        self.array, self.read, self.reads, self.most = array, 0, 0, 0
        if chunks is not None:
            self.chunks = chunks

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    def __getitem__(self, key: Any) -> Any:
        out = self.array[key]
        self.read += out.size
        self.reads += 1
        self.most = max(self.most, out.size)
        return out


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@st.composite
def cases(draw: st.DrawFn, *, thin: bool = True) -> tuple[Index3, Box, Index3]:
    """Image, a region that sees some of it, and a shape that is no larger than the region.

    What is seen of an image may be thinner than two samples: it is shown whole then, see test_flat_images.
    """
    least = 1 if thin else 2
    image = draw(st.tuples(*[st.integers(least, 13)] * 3))
    start, stop, shape = [], [], []
    for n in image:
        a = draw(st.integers(-6, n - least))
        b = draw(st.integers(max(a, 0) + least, n + 7))
        seen = min(b, n) - max(a, 0)
        start.append(a)
        stop.append(b)
        shape.append(draw(st.integers(1 if thin else -(-2 * (b - a) // seen), b - a)))
    return image, Box(start, stop), (shape[0], shape[1], shape[2])


def padded(image: NDArray[np.float32], region: Box) -> NDArray[np.float32]:
    """The region, 0 beyond the image."""
    out = np.zeros(region.shape, np.float32)
    seen = region.clip(image.shape)
    out[seen.relative_to(region).slices] = image[seen.slices]
    return out


@given(cases(thin=False))
def test_equals_the_published_resampling(case: tuple[Index3, Box, Index3]) -> None:
    shape, region, out = case
    image = noise(shape)
    expected = F.interpolate(
        torch.from_numpy(padded(image, region))[None, None], size=out, mode="trilinear"
    )[0, 0].numpy()
    seen = Volume.open(image).sample(region, out)
    assert seen.dtype == np.float32
    # torch finds the places of the samples in single precision.
    np.testing.assert_allclose(seen, expected, atol=1e-5)


@pytest.mark.parametrize("chunks", [None, (1, 5, 5), (4, 13, 13), ((3, 10), (13,), (13,))])
@given(case=cases())
def test_lazy_arrays_give_the_same_voxels(case: tuple[Index3, Box, Index3], chunks: object) -> None:
    shape, region, out = case
    image, lazy = noise(shape), Counting(noise(shape), chunks)
    given_, expected = (Volume.open(data).resampling(region, out) for data in (lazy, image))
    np.testing.assert_array_equal(given_.voxels, expected.voxels)
    for matrix, other in zip(given_.matrices, expected.matrices, strict=True):
        np.testing.assert_array_equal(matrix, other)
    assert lazy.read <= region.clip(shape).size


@given(cases(thin=False), st.sampled_from([(1, 2, 2), (2, 2, 2), (1, 1, 3)]), st.booleans())
def test_levels_keep_what_is_linear(
    case: tuple[Index3, Box, Index3], by: Index3, flat: bool
) -> None:
    """A ramp, averaged to coarser levels, is read from any of them as the same ramp, away from the border."""
    shape, region, out = case
    if flat:
        shape = (1, *shape[1:])
        region = Box((0, *region.start[1:]), (1, *region.stop[1:]))
        out = (1, *out[1:])
    full = [n * f for n, f in zip(shape, by, strict=True)]
    grid = np.meshgrid(*[np.arange(n) + 0.5 for n in full], indexing="ij")
    ramp = (grid[0] - 2 * grid[1] + 3 * grid[2]).astype(np.float32)
    coarse = ramp.reshape([n for pair in zip(shape, by, strict=True) for n in pair]).mean((1, 3, 5))
    levels = [ramp, coarse]
    if by == (1, 1, 1) or ramp.shape == coarse.shape:
        return
    wide = Box(
        [a * f for a, f in zip(region.start, by, strict=True)],
        [b * f for b, f in zip(region.stop, by, strict=True)],
    )
    # `out` is no larger than the region in voxels of the coarse level, so that it has the resolution.
    seen = Volume.open(levels).sample(wide, out)
    fine = Volume.open(ramp).sample(wide, out)
    inside = []
    for n, start, extent, m, f in zip(full, wide.start, wide.shape, out, by, strict=True):
        position = start + (np.arange(m) + 0.5) * extent / m
        inside.append((position >= f / 2 + 0.5) & (position <= n - f / 2 - 0.5))
        if n == 1:
            inside[-1][:] = seen.any()
    np.testing.assert_allclose(seen[np.ix_(*inside)], fine[np.ix_(*inside)], rtol=1e-5, atol=1e-4)


def test_a_wide_view_reads_only_planes_that_count() -> None:
    lazy = Counting(noise((192, 24, 24)))
    region, out = Box.of_shape((192, 24, 24)), (48, 24, 24)
    Volume.open(lazy).sample(region, out)
    # Two neighbours of every fourth plane.
    assert lazy.read == 96 * 24 * 24
    chunked = Counting(noise((192, 24, 24)), chunks=(64, 24, 24))
    Volume.open(chunked).sample(region, out)
    # Every chunk once.
    assert chunked.reads == 3


def test_what_is_read_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_READ_BYTES", 6 * 24 * 24 * 4)
    lazy = Counting(noise((192, 24, 24)))
    Volume.open(lazy).sample(Box.of_shape((192, 24, 24)), (150, 20, 20))
    assert lazy.most <= 6 * 24 * 24


def test_a_pyramid_is_read_at_the_coarsest_level_that_has_the_resolution() -> None:
    image = noise((8, 64, 64))
    levels = [Counting(image), Counting(image[:, ::2, ::2]), Counting(image[:, ::4, ::4])]
    volume = Volume.open(levels)
    region = Box.of_shape((8, 64, 64))
    for shape, finest_bytes, used in (
        ((8, 16, 16), 0, 2),
        ((8, 17, 16), 0, 1),
        ((8, 32, 32), 0, 1),
        ((8, 33, 32), 0, 0),
        ((8, 16, 16), image.nbytes, 0),
        ((8, 16, 16), image.nbytes - 1, 2),
    ):
        for level in levels:
            level.read = 0
        volume.sample(region, shape, finest_bytes)
        assert [bool(level.read) for level in levels] == [i == used for i in range(3)]
        assert levels[used].read <= levels[used].array.size


def test_a_slice_between_the_samples_is_seen_by_those_next_to_it() -> None:
    seen = Volume.open(np.ones((64, 64))).sample(Box((-8, 0, 0), (8, 64, 64)), (4, 16, 16))
    np.testing.assert_array_equal(seen.any(axis=(1, 2)), [False, True, True, False])
    assert set(np.unique(seen)) == {0, 1}
