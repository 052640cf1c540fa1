"""The separable matrices against torch, which the published engine resamples with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_nninteractive.core import resample

SIZES = [1, 2, 3, 5, 7, 8, 16, 31, 48, 64, 97, 112, 128, 192, 200, 288, 432]


def impulses(n_in: int) -> torch.Tensor:
    """One channel per input voxel, each an impulse: what comes out of torch is the transposed matrix."""
    return torch.eye(n_in)[None]


@pytest.mark.parametrize("n_in", SIZES)
def test_area_matrix_is_torch_s(n_in: int) -> None:
    for n_out in SIZES:
        expected = F.interpolate(impulses(n_in), size=n_out, mode="area")[0].numpy().T
        np.testing.assert_allclose(resample.area_matrix(n_in, n_out), expected, atol=1e-7)


@pytest.mark.parametrize("n_in", SIZES)
def test_linear_matrix_is_torch_s(n_in: int) -> None:
    for n_out in SIZES:
        expected = F.interpolate(impulses(n_in), size=n_out, mode="linear")[0].numpy().T
        # torch computes positions of up to n_in voxels in single precision
        matrix = resample.linear_matrix(n_in, n_out)
        np.testing.assert_allclose(matrix, expected, atol=1.5e-7 * max(n_in, 2))


@pytest.mark.parametrize("n_in", [*range(1, 80), *range(80, 460, 7), 112, 200, 208, 224, 400, 448])
def test_nearest_indices_are_torch_s(n_in: int) -> None:
    voxels = torch.arange(n_in, dtype=torch.float32)[None, None]
    for n_out in (1, 2, 3, 7, 41, 64, 82, 94, 96, 112, 128, 160, 192):
        expected = F.interpolate(voxels, size=n_out, mode="nearest")[0, 0].numpy()
        np.testing.assert_array_equal(resample.nearest_indices(n_in, n_out), expected)


@pytest.mark.parametrize(
    ("n_in", "n_out", "expected"),
    [
        pytest.param(3, 3, np.eye(3), id="same"),
        pytest.param(4, 2, [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]], id="half"),
        pytest.param(3, 2, [[0.5, 0.5, 0], [0, 0.5, 0.5]], id="three to two share a voxel"),
        pytest.param(2, 3, [[1, 0], [0.5, 0.5], [0, 1]], id="two to three"),
        pytest.param(3, 1, [[1 / 3] * 3], id="to one"),
    ],
)
def test_area_matrix_by_hand(n_in: int, n_out: int, expected: object) -> None:
    np.testing.assert_allclose(resample.area_matrix(n_in, n_out), expected, rtol=1e-7)


@pytest.mark.parametrize(
    ("n_in", "n_out", "expected"),
    [
        pytest.param(3, 3, np.eye(3), id="same"),
        pytest.param(4, 2, [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]], id="half"),
        pytest.param(2, 4, [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], id="double"),
        pytest.param(5, 1, [[0, 0, 1, 0, 0]], id="to one: the middle, no low-pass filter"),
        pytest.param(1, 3, [[1]] * 3, id="from one"),
    ],
)
def test_linear_matrix_by_hand(n_in: int, n_out: int, expected: object) -> None:
    np.testing.assert_allclose(resample.linear_matrix(n_in, n_out), expected, rtol=1e-7)


@pytest.mark.parametrize("make", [resample.area_matrix, resample.linear_matrix])
@pytest.mark.parametrize("n_in", SIZES)
def test_rows_are_averages(n_in: int, make: Callable[[int, int], NDArray[np.float32]]) -> None:
    for n_out in SIZES:
        matrix = make(n_in, n_out)
        assert matrix.shape == (n_out, n_in)
        assert matrix.dtype == np.float32
        assert matrix.min() >= 0
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("n_in", SIZES)
def test_area_bins_bound_the_rows_of_the_area_matrix(n_in: int) -> None:
    for n_out in SIZES:
        start, stop = resample.area_bins(n_in, n_out)
        used = resample.area_matrix(n_in, n_out) > 0
        np.testing.assert_array_equal(used.argmax(axis=1), start)
        np.testing.assert_array_equal(used.sum(axis=1), stop - start)
        assert (start[0], stop[-1]) == (0, n_in)


def test_cached_arrays_are_read_only() -> None:
    arrays = (
        resample.area_matrix(6, 4),
        resample.linear_matrix(6, 4),
        *resample.area_bins(6, 4),
    )
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("mode", ["area", "trilinear"])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param((24, 18, 30), (16, 12, 20), id="zoom 1.5"),
        pytest.param((13, 40, 7), (5, 11, 7), id="odd"),
        pytest.param((5, 6, 7), (12, 10, 16), id="up"),
        pytest.param((1, 9, 9), (1, 4, 4), id="one slice"),
    ],
)
def test_apply_is_interpolation_in_3d(
    mode: str, source: tuple[int, ...], target: tuple[int, ...]
) -> None:
    block = np.random.default_rng(0).random(source, dtype=np.float32)
    make = resample.area_matrix if mode == "area" else resample.linear_matrix
    out = resample.apply(block, [make(a, b) for a, b in zip(source, target, strict=True)])
    expected = F.interpolate(torch.from_numpy(block)[None, None], size=target, mode=mode)[0, 0]
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected.numpy(), atol=1e-5)


def test_apply_reads_blocks_of_any_layout() -> None:
    block = np.random.default_rng(0).random((6, 8, 10), dtype=np.float32)
    matrices = [resample.area_matrix(n, 3) for n in block.shape]
    expected = resample.apply(block, matrices)
    for other in (np.asfortranarray(block), block[::-1, ::-1].copy()[::-1, ::-1]):
        np.testing.assert_allclose(resample.apply(other, matrices), expected, rtol=1e-6)
