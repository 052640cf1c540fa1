"""Intensity statistics: against numpy in double precision, and what cannot be normalised."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from napari_nninteractive.core import volume as volume_module
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.normalize import Normalization, measure
from napari_nninteractive.errors import ImageError

SHAPE = (6, 7, 8)


def noise(dtype: str, low: float = 0, high: float = 200) -> np.ndarray:
    return np.random.default_rng(3).uniform(low, high, SHAPE).astype(dtype)


def framed(dtype: str) -> np.ndarray:
    """Zero around a part that itself holds zeros."""
    out = np.zeros(SHAPE, dtype)
    out[1:5, 2:7, 3:6] = noise(dtype)[1:5, 2:7, 3:6]
    out[2, 3, 4] = 0
    return out


def expected(image: np.ndarray) -> tuple[float, float]:
    """Mean and deviation over the bounding box of what is finite and not zero, by numpy."""
    values = image.reshape(Volume.open(image).shape).astype(np.longdouble)
    used = np.argwhere(np.isfinite(values) & (values != 0))
    low, high = used.min(0), used.max(0) + 1
    part = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    part = part[np.isfinite(part)]
    return float(part.mean()), float(part.std())


DTYPES = ["?", "i1", "u1", "i2", "u2", ">u2", "i4", "u4", "i8", "u8", "f2", "f4", ">f4", "f8"]
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "reversed": lambda a: a[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
    "every second": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
    "transposed": lambda a: a.transpose(2, 0, 1),
}


@pytest.mark.parametrize("make", [noise, framed])
@pytest.mark.parametrize("dtype", DTYPES)
def test_statistics_of_every_type(dtype: str, make: Callable[[str], np.ndarray]) -> None:
    image = make(dtype) if dtype != "?" else make("f8") > 100
    mean, std = expected(image)
    got = measure(Volume.open(image))
    assert got.mean == pytest.approx(mean, rel=1e-12)
    assert got.std == pytest.approx(std, rel=1e-12)
    assert got.n_ignored == 0
    scores = got(image)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(
        scores, (image.astype(np.float64) - mean) / std, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("slab", [1, 20, 300, 1 << 25])
def test_slabs_and_layouts_do_not_matter(
    layout: str, slab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume_module, "_SLAB_BYTES", slab)
    image = LAYOUTS[layout](framed("f4"))
    image.flags.writeable = False
    mean, std = expected(image)
    got = measure(Volume.open(image))
    assert (got.mean, got.std) == (pytest.approx(mean, rel=1e-12), pytest.approx(std, rel=1e-12))


def test_only_the_box_of_what_is_not_zero_counts() -> None:
    image = np.zeros((9, 9, 9), np.uint8)
    image[2, 3, 4] = 10
    image[4, 3, 4] = 40
    got = measure(Volume.open(image))
    assert got.mean == pytest.approx(50 / 3)
    assert got.std == pytest.approx(np.std([10, 0, 40]))


def test_a_2d_image() -> None:
    image = framed("u2")[2]
    mean, std = expected(image)
    got = measure(Volume.open(image))
    assert (got.mean, got.std) == (pytest.approx(mean), pytest.approx(std))


def test_a_constant_box_in_a_larger_image_is_seen_against_the_image() -> None:
    image = np.zeros((4, 5, 6), np.uint8)
    image[1:3, 1:3, 1:3] = 100
    got = measure(Volume.open(image))
    assert (got.mean, got.std) == (pytest.approx(image.mean()), pytest.approx(image.std()))
    one = np.zeros((4, 5, 6), np.uint8)
    one[1, 1, 1] = 1
    assert measure(Volume.open(one)).std == pytest.approx(one.std())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("make", [noise, framed])
def test_voxels_that_are_not_finite_are_left_out_and_become_zero(
    value: float, dtype: str, make: Callable[[str], np.ndarray]
) -> None:
    image = make(dtype)
    mean, std = expected(image)
    broken = image.copy()
    broken[0, 0, 0] = broken[2, 3, 5] = value
    rest = broken[np.isfinite(broken)] if make is noise else None
    mean, std = expected(broken) if rest is None else (rest.mean(dtype="f8"), rest.std(dtype="f8"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = measure(Volume.open(broken))
        scores = got(broken)
    assert got.n_ignored == 2
    assert (got.mean, got.std) == (pytest.approx(mean, rel=1e-9), pytest.approx(std, rel=1e-9))
    assert scores[0, 0, 0] == scores[2, 3, 5] == 0
    finite = np.isfinite(broken)
    np.testing.assert_allclose(
        scores[finite], (image.astype("f8")[finite] - mean) / std, rtol=1e-4, atol=1e-4
    )
    assert not np.isfinite(broken[0, 0, 0])  # the caller's array is as it was


def test_a_nan_frame_is_no_part_of_the_box() -> None:
    image = np.full(SHAPE, np.nan, np.float32)
    image[1:5, 2:6, 2:6] = noise("f4")[1:5, 2:6, 2:6]
    inner = image[1:5, 2:6, 2:6].astype("f8")
    got = measure(Volume.open(image))
    assert (got.mean, got.std) == (pytest.approx(inner.mean()), pytest.approx(inner.std()))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(np.zeros(SHAPE), "constant", id="all zero"),
        pytest.param(np.full(SHAPE, 7, np.uint8), "constant", id="constant"),
        pytest.param(np.full(SHAPE, 0.1, np.float32), "constant", id="constant, with rounding"),
        pytest.param(np.full((60, 60, 60), 1e5 / 3), "constant", id="constant, many voxels"),
        pytest.param(
            np.where(noise("f8") > 100, 0.1, np.nextafter(0.1, 1)),
            "constant",
            id="constant but for rounding",
        ),
        pytest.param(np.full(SHAPE, -1e300), "constant", id="constant, huge"),
        pytest.param(np.full(SHAPE, 2**63, np.uint64), "constant", id="constant uint64"),
        pytest.param(np.ones(SHAPE, bool), "constant", id="all True"),
        pytest.param(np.ones((1, 1, 1)), "constant", id="one voxel"),
        pytest.param(np.full(SHAPE, np.nan), "NaN and infinite", id="all NaN"),
        pytest.param(np.full(SHAPE, np.inf, np.float16), "NaN and infinite", id="all infinite"),
        pytest.param(
            np.where(noise("f4") > 100, np.nan, 5).astype("f4"), "constant", id="constant and NaN"
        ),
        pytest.param(np.where(noise("f8") > 100, 1e300, -1e300), "range", id="too large to square"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_normalised_is_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        measure(Volume.open(image))


@pytest.mark.parametrize(
    ("image", "rel"),
    [
        pytest.param(1e12 + noise("f8"), 1e-3, id="float64 at 1e12"),
        pytest.param(noise("f8").astype("u8") + np.uint64(2**50), 5e-3, id="uint64 at 2^50"),
        pytest.param(noise("f8").astype("i8") - 2**50, 5e-3, id="int64 at -2^50"),
        pytest.param(noise("f8").astype("u4") + np.uint32(4e9), 1e-6, id="uint32 at 4e9"),
        pytest.param(noise("f8").astype("i4") - 2_000_000_000, 1e-6, id="int32 at -2e9"),
        pytest.param(noise("f8", 0, 1e-30), 1e-6, id="tiny values"),
        pytest.param(noise("f8", -1e30, 1e30), 1e-6, id="large values"),
        pytest.param(
            (noise("f8") > 199).astype("u2") + np.uint16(65000), 1e-3, id="uint16 at 65000"
        ),
        pytest.param((4e6 + noise("f8", 0, 4)).astype("f4"), 1e-3, id="float32 at 4e6"),
    ],
)
def test_a_large_offset_costs_little_precision(image: np.ndarray, rel: float) -> None:
    offset = image.flat[0]
    exact = (image.astype(np.longdouble) - np.longdouble(offset)).astype("f8")
    scores = measure(Volume.open(image))(image)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, (exact - exact.mean()) / exact.std(), rtol=rel, atol=rel)


def test_scores_of_a_part_are_a_part_of_the_scores() -> None:
    image = framed("u2")
    norm = measure(Volume.open(image))
    np.testing.assert_array_equal(norm(image[2:4, :, 1:]), norm(image)[2:4, :, 1:])
    assert norm(image[:0]).shape == (0, 7, 8)


def test_the_image_is_not_changed() -> None:
    image = framed("f4")
    before = image.copy()
    measure(Volume.open(image))(image)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(
        Normalization(0.0, 1.0)(image), before
    )  # a copy even where nothing changes
    assert not np.shares_memory(Normalization(0.0, 1.0)(image), image)
