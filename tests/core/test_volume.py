"""One reader for every image: layouts, lazy arrays, 2D, spacing, hash, and what is refused."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_nninteractive.core import volume as module
from napari_nninteractive.core.box import Box
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import ImageError, NNInteractiveError

IMAGE = np.arange(5 * 7 * 9, dtype=np.int16).reshape(5, 7, 9) * 100 - 3000
PART = Box((1, 2, 3), (4, 7, 8))


class Lazy:
    """An array that is computed where it is read, and remembers what was read."""

    def __init__(self, data: NDArray[Any]) -> None:
        self._data = data
        self.shape = data.shape
        self.dtype = data.dtype
        self.reads: list[tuple[slice, ...]] = []

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        self.reads.append(key)
        return self._data[key].copy()

    def __array__(self, *args: object, **kwargs: object) -> NDArray[Any]:
        raise AssertionError("the whole array was asked for")


def padded(image: NDArray[Any]) -> NDArray[Any]:
    """The same values as every second voxel of a larger array."""
    large = np.full([2 * n for n in image.shape], 77, image.dtype)
    large[::2, ::2, ::2] = image
    return large[::2, ::2, ::2]


def read_only(image: NDArray[Any]) -> NDArray[Any]:
    image = image.copy()
    image.flags.writeable = False
    return image


def unaligned(image: NDArray[Any]) -> NDArray[Any]:
    raw = np.zeros(image.nbytes + 1, np.uint8)
    view = raw[1:].view(image.dtype).reshape(image.shape)
    view[...] = image
    return view


LAYOUTS = [
    pytest.param(np.ascontiguousarray, id="C"),
    pytest.param(np.asfortranarray, id="Fortran"),
    pytest.param(padded, id="strided"),
    pytest.param(lambda a: a[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1], id="reversed"),
    pytest.param(lambda a: a.transpose(1, 2, 0).copy().transpose(2, 0, 1), id="transposed"),
    pytest.param(lambda a: a.astype(a.dtype.newbyteorder(">")), id="big-endian"),
    pytest.param(unaligned, id="unaligned"),
    pytest.param(read_only, id="read-only"),
    pytest.param(Lazy, id="lazy"),
    pytest.param(lambda a: [a, a[::2, ::2, ::2]], id="pyramid"),
    pytest.param(lambda a: (Lazy(a), Lazy(a[::2])), id="lazy pyramid"),
    pytest.param(list, id="list of slices"),
    pytest.param(lambda a: a.tolist(), id="nested lists"),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reads_the_same_from_every_layout(layout: Callable[[NDArray[Any]], Any]) -> None:
    volume = Volume.open(layout(IMAGE))
    assert volume.shape == (5, 7, 9)
    assert volume.box == Box((0, 0, 0), (5, 7, 9))
    np.testing.assert_array_equal(volume.read(PART), IMAGE[PART.slices])
    np.testing.assert_array_equal(volume.read(volume.box), IMAGE)
    assert volume.read(Box((1, 1, 1), (1, 2, 2))).shape == (0, 1, 1)


DTYPES = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">f4"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_keeps_every_real_dtype(dtype: str) -> None:
    image = (IMAGE % 3).astype(dtype)
    if image.dtype.kind in "iu":
        image[0, 0, 0] = np.iinfo(image.dtype).max
        image[0, 0, 1] = np.iinfo(image.dtype).min
    volume = Volume.open(image)
    assert volume.dtype == image.dtype
    assert volume.read(PART).dtype == image.dtype
    np.testing.assert_array_equal(volume.read(volume.box), image)
    assert volume.sha256() == Volume.open(np.asfortranarray(image)).sha256()


def test_a_memory_map_is_read_in_place(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", IMAGE)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    volume = Volume.open(mapped)
    assert volume.data is mapped
    part = volume.read(PART)
    assert type(part) is np.ndarray
    assert np.shares_memory(part, mapped)
    np.testing.assert_array_equal(part, IMAGE[PART.slices])
    assert volume.sha256() == Volume.open(IMAGE).sha256()


@pytest.mark.parametrize(
    "layout", [np.ascontiguousarray, np.asfortranarray, padded, read_only], ids=lambda f: f.__name__
)
def test_a_numpy_array_is_held_and_never_copied(layout: Callable[[Any], NDArray[Any]]) -> None:
    image = layout(IMAGE)
    volume = Volume.open(image)
    assert volume.data is image
    assert np.shares_memory(volume.read(PART), image)
    assert not volume.read(PART).flags.writeable or image.flags.writeable


def test_a_lazy_array_is_read_where_asked_and_only_there() -> None:
    lazy = Lazy(IMAGE)
    volume = Volume.open(lazy, spacing=(2, 1, 1))
    assert lazy.reads == []
    volume.read(PART)
    assert lazy.reads == [PART.slices]


def test_boxes_are_read_from_the_finest_level_of_a_pyramid() -> None:
    fine, coarse = Lazy(IMAGE), Lazy(IMAGE[::2, ::2, ::2])
    volume = Volume.open([fine, coarse])
    assert volume.shape == (5, 7, 9)
    volume.read(PART)
    volume.sha256()
    assert fine.reads
    assert coarse.reads == []


@pytest.mark.parametrize("make", [np.array, Lazy, np.ndarray.tolist], ids=["numpy", "lazy", "list"])
def test_2d_is_one_slice(make: Callable[[NDArray[Any]], Any]) -> None:
    volume = Volume.open(make(IMAGE[0]), spacing=(0.5, 0.25))
    assert volume.shape == (1, 7, 9)
    assert volume.spacing == (1, 0.5, 0.25)
    np.testing.assert_array_equal(volume.read(volume.box), IMAGE[:1])
    np.testing.assert_array_equal(volume.read(Box((0, 2, 3), (1, 7, 8))), IMAGE[:1, 2:7, 3:8])
    np.testing.assert_array_equal(np.concatenate([b for _, b in volume.slabs()]), IMAGE[:1])


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        pytest.param(None, (1.0, 1.0, 1.0), id="default"),
        pytest.param((2, 0.5, 0.25), (2.0, 0.5, 0.25), id="tuple"),
        pytest.param(np.array([2, 3, 4]), (2.0, 3.0, 4.0), id="array"),
    ],
)
def test_spacing(spacing: Any, expected: tuple[float, ...]) -> None:
    volume = Volume.open(IMAGE, spacing)
    assert volume.spacing == expected
    assert all(type(s) is float for s in volume.spacing)
    assert Volume.open(IMAGE[0], (3, 2, 1)).spacing == (3, 2, 1)


@pytest.mark.parametrize("budget", [1, 18, 40, 18 * 7, 18 * 7 * 2, 18 * 7 * 2 + 1, 1 << 25])
@pytest.mark.parametrize("make", [np.array, np.asfortranarray, Lazy])
def test_slabs_pass_over_every_voxel_once(
    monkeypatch: pytest.MonkeyPatch, budget: int, make: Callable[[NDArray[Any]], Any]
) -> None:
    monkeypatch.setattr(module, "_SLAB_BYTES", budget)
    volume = Volume.open(make(IMAGE))
    times, copy = np.zeros(IMAGE.shape, int), np.zeros_like(IMAGE)
    for box, block in volume.slabs():
        times[box.slices] += 1
        copy[box.slices] = block
        assert block.nbytes <= max(budget, 18)  # a row of 9 is the least
    np.testing.assert_array_equal(times, 1)
    np.testing.assert_array_equal(copy, IMAGE)


@pytest.mark.parametrize("layout", LAYOUTS[:-1])
@pytest.mark.parametrize("budget", [1, 40, 200, 1 << 25])
def test_sha256_depends_on_the_voxels_only(
    monkeypatch: pytest.MonkeyPatch, layout: Callable[[NDArray[Any]], Any], budget: int
) -> None:
    monkeypatch.setattr(module, "_SLAB_BYTES", budget)
    little = IMAGE.astype("<i2").tobytes()
    expected = hashlib.sha256(b"(5, 7, 9) <i2" + little).hexdigest()
    assert Volume.open(layout(IMAGE)).sha256() == expected


def test_sha256_tells_images_apart() -> None:
    changed = IMAGE.copy()
    changed[4, 6, 8] += 1
    images = [IMAGE, changed, IMAGE[::-1], IMAGE.transpose(2, 1, 0), IMAGE.reshape(7, 5, 9)]
    images += [IMAGE.view(np.uint16), IMAGE.astype(np.int32)]
    assert len({Volume.open(image).sha256() for image in images}) == len(images)


def test_sha256_of_a_lazy_array_reads_each_voxel_once() -> None:
    lazy = Lazy(IMAGE)
    Volume.open(lazy).sha256()
    assert lazy.reads == [Box.of_shape(IMAGE.shape).slices]


def test_sha256_holds_one_slab_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLAB_BYTES", 1 << 18)
    image = np.zeros((64, 128, 128), np.float32, order="F")
    tracemalloc.start()
    Volume.open(image).sha256()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 18 < image.nbytes


def opened(data: object) -> Callable[[], Volume]:
    return lambda: Volume.open(data)


def spaced(spacing: Any, data: NDArray[Any] = IMAGE) -> Callable[[], Volume]:
    return lambda: Volume.open(data, spacing)


class Foreign:
    """Shape and dtype as other libraries give them."""

    def __init__(self, shape: tuple[float, ...], dtype: str) -> None:
        self.shape, self.dtype = shape, dtype

    def __getitem__(self, key: object) -> None: ...


REFUSED: list[tuple[str, Callable[[], Volume], str]] = [
    (
        "two channels",
        opened(np.zeros((2, 4, 4, 4))),
        r"\(2, 4, 4, 4\); choose a channel .*image\[0",
    ),
    ("1D", opened(np.zeros(9)), r"\(z, y, x\) or \(y, x\), but its shape is \(9,\)"),
    ("scalar", opened(np.float32(3)), r"its shape is \(\)"),
    ("None", opened(None), r"its shape is \(\)"),
    ("text", opened("image.tif"), r"its shape is \(\)"),
    ("empty list", opened([]), r"its shape is \(0,\)"),
    ("ragged lists", opened([[1, 2], [3]]), "not an array"),
    ("list of numbers", opened([np.float32(1), np.float32(2)]), r"its shape is \(2,\)"),
    ("no voxels", opened(np.zeros((4, 0, 4))), r"no voxels: its shape is \(4, 0, 4\)"),
    ("no voxels, 2D", opened(np.zeros((0, 4))), "no voxels"),
    ("complex", opened(IMAGE * 1j), "real numbers, not complex128; convert"),
    ("objects", opened(IMAGE.astype(object)), "real numbers, not object"),
    ("texts", opened(IMAGE.astype(str)), "real numbers, not <U"),
    ("times", opened(IMAGE.astype("m8[s]")), "real numbers, not timedelta"),
    ("records", opened(np.zeros((4, 4), "f4, f4")), "real numbers, not"),
    ("pyramid of 4D", opened([np.zeros((2, 4, 4, 4))]), "choose a channel"),
    (
        "pyramid upside down",
        opened([np.zeros((4, 4)), np.zeros((8, 8))]),
        "Level 1 .* finest first",
    ),
    ("pyramid of two kinds", opened([np.zeros((4, 4)), np.zeros((2, 2, 2))]), "Level 1"),
    ("level without voxels", opened([np.zeros((4, 4)), np.zeros((0, 4))]), "Level 1"),
    ("level of text", opened([np.zeros((4, 4)), np.full((2, 2), "a")]), "Level 1"),
    ("foreign dtype", opened(Foreign((4, 4), "torch.half")), "Foreign .*torch.half.*numpy.asarray"),
    ("unknown shape", opened(Foreign((np.nan, 4), "f4")), "Foreign of shape .nan, 4.*convert it"),
    ("spacing of 2 for 3D", spaced((1, 1)), "three positive numbers"),
    ("spacing of 4", spaced((1, 1, 1, 1)), "three positive numbers"),
    ("spacing of 1 for 2D", spaced((1,), IMAGE[0]), "three positive numbers"),
    ("spacing 0", spaced((1, 0, 1)), "three positive numbers"),
    ("spacing negative", spaced((1, 1, -1)), "three positive numbers"),
    ("spacing NaN", spaced((1, np.nan, 1)), "three positive numbers"),
    ("spacing infinite", spaced((1, np.inf, 1)), "three positive numbers"),
    ("spacing scalar", spaced(2.0), "must be numbers, not 2.0"),
    ("spacing text", spaced("abc"), "must be numbers, not 'abc'"),
    ("spacing None", spaced((1, None, 1)), "must be numbers"),
    ("spacing endless", spaced((1, 10**400, 1)), "must be numbers"),
]


@pytest.mark.parametrize(
    ("make", "message"), [pytest.param(make, text, id=name) for name, make, text in REFUSED]
)
def test_what_is_no_image_is_refused(make: Callable[[], Volume], message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        make()
    assert isinstance(caught.value, NNInteractiveError)
    assert isinstance(caught.value, ValueError)


def test_a_torch_tensor_is_refused_by_name() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(ImageError, match=r"torch.Tensor .*numpy.asarray"):
        Volume.open(torch.zeros((4, 4, 4)))


def test_dask_and_zarr_are_read_in_parts() -> None:
    dask = pytest.importorskip("dask.array")
    zarr = pytest.importorskip("zarr")
    chunked = zarr.create_array({}, shape=IMAGE.shape, dtype=IMAGE.dtype, chunks=(2, 3, 4))
    chunked[...] = IMAGE
    for data in (dask.from_array(IMAGE, chunks=(2, 3, 4)), chunked):
        volume = Volume.open(data)
        np.testing.assert_array_equal(volume.read(PART), IMAGE[PART.slices])
        assert volume.sha256() == Volume.open(IMAGE).sha256()


def test_sha256_passes_over_the_image_once() -> None:
    lazy = Lazy(IMAGE)
    volume = Volume.open(lazy)
    first = volume.sha256()
    reads = len(lazy.reads)
    assert (volume.sha256(), len(lazy.reads)) == (first, reads)
    assert "sha256" not in repr(volume)
