"""The session, by networks with a known answer: what the network sees, what becomes of its answer, and what may not
happen whatever the caller, the network or the user does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import oracles
from fixtures.oracles import (
    IMAGE,
    PREVIOUS,
    Counting,
    bright,
    call_at,
    everything,
    make_model,
    make_session,
    nothing,
    opinionated,
    passthrough,
    positive_points,
    raise_at,
    sphere,
)
from fixtures.sessions import previous_of, snapshot

import napari_nninteractive as nni
from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.core.rasterize import paint, support

SHAPE, PATCH = (12, 20, 24), (8, 16, 16)
# At patches this small whole faces have fewer voxels than the published thresholds.
EAGER = nni.EngineConfig(border_voxels_many=60, border_voxels_few=10)


def noise(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def zscore(image: np.ndarray) -> np.ndarray:
    return (image - image.mean(dtype="f8")) / image.std(dtype="f8")


def solid(*shape: int) -> np.ndarray:
    return np.ones(shape, bool)


def scattered(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.2


def dice(a: Any, b: Any) -> float:
    a, b = np.asarray(a) != 0, np.asarray(b) != 0
    return float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))


# One of each kind, all inside SHAPE.
EVERY_KIND: list[Any] = [
    pytest.param(nni.Point((6, 10, 12)), id="point"),
    pytest.param(nni.Point((0, 19, 23), positive=False), id="point in the corner, negative"),
    pytest.param(nni.BoxPrompt((6, 4, 4), (7, 12, 15)), id="box 2D"),
    pytest.param(nni.BoxPrompt((2, 4, 4), (9, 12, 15), positive=False), id="box 3D, negative"),
    pytest.param(nni.Scribble(scattered((1, 8, 9), 1), (5, 6, 7)), id="scribble"),
    pytest.param(nni.Lasso(solid(6, 1, 5), (3, 9, 10)), id="lasso"),
    pytest.param(nni.InitialMask(sphere(SHAPE, (6, 10, 12), 5)), id="initial mask"),
    pytest.param(nni.MaskEdit(solid(2, 3, 4), (5, 9, 10), value=False), id="edit"),
]


def played(session: nni.InferenceSession) -> nni.InferenceSession:
    """With a few prompts, something to undo and something to redo."""
    session.add(nni.Point((6, 10, 12)))
    session.add(nni.MaskEdit(solid(2, 2, 2), (5, 5, 5)))
    session.add(nni.Scribble(solid(1, 2, 5), (4, 8, 8), positive=False))
    session.add(nni.Point((3, 3, 3)))
    session.undo()
    return session


class TestInputTable:
    """Row by row what the published engine does silently wrong: here an error before anything changes, or the right
    result."""

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            pytest.param(np.full(SHAPE, 3.0), "constant", id="constant"),
            pytest.param(np.zeros(SHAPE), "constant", id="all zero"),
            pytest.param(np.full(SHAPE, np.nan), "NaN", id="all NaN"),
            pytest.param(np.zeros((2, *SHAPE)), r"one 3D stack \(z, y, x\)", id="two channels"),
            pytest.param(np.zeros(5), "axes", id="1D"),
            pytest.param(np.zeros((0, 5, 5)), "no voxels", id="no voxels"),
            pytest.param(noise().astype(complex), "real numbers", id="complex"),
            pytest.param(np.full(SHAPE, "a"), "real numbers", id="text"),
            pytest.param(None, "real numbers|axes", id="none"),
            pytest.param([[1, 2], [3]], "not an array", id="ragged"),
        ],
    )
    def test_images_that_cannot_be_segmented(self, image: Any, message: str) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        before = snapshot(session)
        with pytest.raises(nni.ImageError, match=message):
            session.set_image(image)
        assert snapshot(session) == before
        session.add(nni.Point((6, 10, 12)))

    @pytest.mark.parametrize("spacing", [(1, 2), (0, 1, 1), "abc", (1, 1, np.nan)])
    def test_senseless_spacing(self, spacing: Any) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        before = snapshot(session)
        with pytest.raises(nni.ImageError, match="spacing"):
            session.set_image(noise(), spacing)
        assert snapshot(session) == before

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_one_voxel_that_is_not_finite(self, value: float) -> None:
        image = noise()
        image[3, 4, 5] = value
        session = make_session(image, bright(0.5), (16, 32, 32))
        session.add(nni.Point((6, 10, 12)))
        finite = np.isfinite(image)
        expected = (image - image[finite].mean(dtype="f8")) / image[finite].std(dtype="f8") > 0.5
        np.testing.assert_array_equal(session.mask[finite], expected[finite])
        assert session.mask[3, 4, 5] == 0

    OUTSIDE = (
        ("point beyond z", nni.Point((12, 0, 0)), r"point at \(12, 0, 0\) lies outside the image"),
        ("point before y", nni.Point((0, -1, 0)), "outside"),
        ("point rounded out", nni.Point((0, 0, 23.6)), "outside"),  # type: ignore[arg-type]
        ("box beyond", nni.BoxPrompt((12, 0, 0), (13, 5, 5)), "bbox2d at .* outside"),
        ("box before", nni.BoxPrompt((-5, -5, -5), (0, 5, 5)), "bbox3d at .* outside"),
        ("scribble beyond", nni.Scribble(solid(1, 2, 2), (5, 20, 5)), "scribble at .* outside"),
        (
            "scribble of which only the box is inside",
            nni.Scribble(np.array([[[0, 1], [1, 1]]]), (5, 19, 23)),
            "outside",
        ),
        ("lasso beyond", nni.Lasso(solid(1, 2, 2), (-1, 0, 0)), "lasso at .* outside"),
        ("edit beyond", nni.MaskEdit(solid(1, 2, 2), (99, 0, 0)), "mask_edit at .* outside"),
        ("mask of another shape", nni.InitialMask(solid(12, 20, 25)), r"shape \(12, 20, 25\)"),
        ("mask of another order", nni.InitialMask(solid(24, 20, 12)), r"shape \(24, 20, 12\)"),
        ("no prompt", None, "Not a prompt: None"),
        ("a tuple", (1, 2, 3), r"Not a prompt: \(1, 2, 3\)"),
    )

    @pytest.mark.parametrize(
        ("prompt", "message"),
        [pytest.param(p, m, id=name) for name, p, m in OUTSIDE],
    )
    @pytest.mark.parametrize("how", ["add", "queue", "replace", "with a prediction"])
    def test_prompts_outside_change_nothing(self, prompt: Any, message: str, how: str) -> None:
        network = Counting(opinionated)
        session = played(make_session(noise(), network, PATCH))
        before, calls = snapshot(session), network.calls
        calls_by_name: dict[str, Callable[[], Any]] = {
            "add": lambda: session.add(prompt),
            "queue": lambda: session.add(prompt, predict=False),
            "replace": lambda: session.replace(0, prompt),
            "with a prediction": lambda: session.add(prompt, predict=True),
        }
        with pytest.raises(nni.PromptError, match=message):
            calls_by_name[how]()
        assert snapshot(session) == before
        assert network.calls == calls

    def test_a_kind_that_the_model_lacks(self) -> None:
        session = make_session(noise(), everything, PATCH, kinds=frozenset({"point", "bbox2d"}))
        before = snapshot(session)
        for prompt, kind in (
            (nni.BoxPrompt((2, 2, 2), (5, 5, 5)), "bbox3d"),
            (nni.Scribble(solid(1, 2, 2)), "scribble"),
            (nni.Lasso(solid(1, 2, 2)), "lasso"),
        ):
            with pytest.raises(nni.PromptError, match=f"kind {kind}, .*bbox2d, point"):
                session.add(prompt)
        assert snapshot(session) == before
        session.add(nni.BoxPrompt((2, 2, 2), (3, 5, 5)))
        session.add(nni.MaskEdit(solid(1, 2, 2)))
        session.add(nni.InitialMask(sphere(SHAPE, (6, 10, 12), 5)))

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda: nni.BoxPrompt((5, 9, 9), (6, 4, 12)), id="reversed box"),
            pytest.param(lambda: nni.BoxPrompt((5, 9, 9), (5, 12, 12)), id="empty box"),
            pytest.param(lambda: nni.InitialMask(np.ones((20, 24))), id="flat initial mask"),
            pytest.param(lambda: nni.InitialMask(np.arange(5760).reshape(SHAPE)), id="labels"),
            pytest.param(lambda: nni.Scribble(np.zeros(SHAPE)), id="empty scribble"),
            pytest.param(lambda: nni.Point((np.nan, 0, 0)), id="NaN"),
        ],
    )
    def test_senseless_prompts_cannot_be_built(self, make: Callable[[], Prompt]) -> None:
        with pytest.raises(nni.PromptError):
            make()

    def test_a_scribble_of_255_is_a_scribble_of_1(self) -> None:
        seen = []
        for mask in (scattered((1, 8, 9), 4), scattered((1, 8, 9), 4) * np.uint8(255)):
            network = Counting(opinionated)
            make_session(noise(), network, PATCH).add(nni.Scribble(mask, (5, 6, 7)))
            seen.append(network.inputs)
        np.testing.assert_array_equal(*seen)
        assert seen[1][0][oracles.SCRIBBLE].max() == 1

    def test_an_initial_mask_of_label_3_is_one_of_1(self) -> None:
        labels = sphere(SHAPE, (6, 10, 12), 5) * np.int32(3)
        network = Counting(passthrough)
        session = make_session(noise(), network, (16, 32, 32))
        session.add(nni.InitialMask(labels), predict=True)
        np.testing.assert_array_equal(session.mask[...], labels // 3)
        assert network.inputs[0][PREVIOUS].max() == 1

    def test_the_image_is_never_written_to(self) -> None:
        image = noise()
        image.flags.writeable = False
        before = image.copy()
        session = played(make_session(image, opinionated, PATCH, config=EAGER))
        session.reset()
        np.testing.assert_array_equal(image, before)

    def test_an_image_that_was_edited_is_set_again(self) -> None:
        image = noise()
        session = played(make_session(image, opinionated, PATCH))
        image[2:9] *= 3
        session.set_image(image)
        played(session)
        fresh = played(make_session(image.copy(), opinionated, PATCH))
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])

    @pytest.mark.parametrize("how", ["reset", "set_image"])
    def test_queued_prompts_do_not_survive(self, how: str) -> None:
        network = Counting(opinionated)
        session = make_session(noise(), network, PATCH)
        session.add(nni.Point((6, 10, 12)), predict=False)
        session.reset() if how == "reset" else session.set_image(noise(seed=1))
        assert session.prompts == ()
        with pytest.raises(nni.SessionError, match="no prompt to predict from"):
            session.predict()
        session.add(nni.Point((2, 2, 2)))
        assert session.prompts == (nni.Point((2, 2, 2)),)
        image = noise() if how == "reset" else noise(seed=1)
        fresh = make_session(image, opinionated, PATCH)
        fresh.add(nni.Point((2, 2, 2)))
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])

    def test_two_images_in_quick_succession(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        images = [noise(seed=i) for i in range(6)]
        threads = [threading.Thread(target=session.set_image, args=(i,)) for i in images]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        played(session)
        image = session.volume.data
        fresh = played(make_session(np.asarray(image), opinionated, PATCH))
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])

    def test_before_there_is_an_image(self) -> None:
        session = nni.InferenceSession(make_model(), precision="fp32", network=everything)
        for call in (
            lambda: session.add(nni.Point((0, 0, 0))),
            lambda: session.predict(),
            lambda: session.remove(0),
            lambda: session.replace(0, nni.Point((0, 0, 0))),
            lambda: session.reset(),
            lambda: session.export(),
            lambda: session.save("never.json"),
            lambda: session.volume,
        ):
            with pytest.raises(nni.SessionError, match="no image yet; call set_image first"):
                call()
        assert not session.undo()
        assert not session.redo()
        assert session.prompts == ()


class TestWhatTheNetworkSees:
    """Golden rules of the input, one by one."""

    def test_the_image_is_normalised_over_all_of_it(self) -> None:
        image = noise()
        network = Counting(nothing)
        make_session(image, network, PATCH).add(nni.Point((6, 10, 12)))
        (inputs,) = network.inputs
        assert inputs.shape == (8, *PATCH)
        np.testing.assert_allclose(
            inputs[IMAGE], zscore(image)[2:10, 2:18, 4:20], rtol=1e-5, atol=1e-6
        )
        assert not inputs[PREVIOUS].any()

    def test_outside_the_image_everything_is_zero(self) -> None:
        image = noise() + 100
        network = Counting(nothing)
        make_session(image, network, PATCH).add(nni.Point((0, 0, 23)))
        (inputs,) = network.inputs
        inside = (slice(4, None), slice(8, None), slice(None, 9))
        np.testing.assert_allclose(
            inputs[IMAGE][inside], zscore(image)[:4, :8, 15:], rtol=1e-4, atol=1e-4
        )
        inputs[(slice(None), *inside)] = 0
        assert not inputs.any()

    @pytest.mark.parametrize("decay", [0.98, 0.5])
    def test_earlier_prompts_fade_channel_by_channel(self, decay: float) -> None:
        prompts: list[Prompt] = [
            nni.Point((6, 10, 12)),
            nni.BoxPrompt((6, 6, 8), (7, 12, 14), positive=False),
            nni.Scribble(solid(1, 1, 6), (5, 7, 8)),
            nni.Lasso(solid(1, 4, 4), (6, 9, 10)),
            nni.Scribble(solid(1, 1, 6), (7, 7, 8), positive=False),
            nni.Point((6, 9, 11), positive=False),
            nni.Point((6, 10, 12)),
        ]
        channels = [oracles.POINT, oracles.NO_BOX, oracles.SCRIBBLE, oracles.BOX]
        channels += [oracles.NO_SCRIBBLE, oracles.NO_POINT, oracles.POINT]
        network = Counting(nothing)
        session = make_session(noise(), network, PATCH, decay=decay)
        for n, prompt in enumerate(prompts, 1):
            session.add(prompt)
            region = Box((2, 2, 4), (10, 18, 20))
            box = prompt.bounds
            region = Box.around(
                prompt.position if isinstance(prompt, nni.Point) else box.centre, PATCH
            )
            expected = np.zeros((8, *PATCH))
            for age, (other, channel) in enumerate(
                zip(reversed(prompts[:n]), reversed(channels[:n]), strict=True)
            ):
                part = support(other, 4).intersect(region).clip(SHAPE)
                at = (channel, *part.relative_to(region).slices)
                expected[at] = np.maximum(expected[at], decay**age * paint(other, part, 4))
            np.testing.assert_allclose(network.inputs[-1][2:], expected[2:], rtol=1e-6, atol=1e-7)
            assert expected[channels[n - 1]].max() == 1

    def test_the_previous_segmentation_is_the_mask_and_never_fades(self) -> None:
        network = Counting(bright(0.3))
        session = make_session(noise(), network, (16, 32, 32))
        for i in range(4):
            before = np.asarray(session.mask)
            session.add(nni.Point((6, 10, 12 + i)))
            region = Box.around((6, 10, 12 + i), (16, 32, 32))
            inside = Box.of_shape(SHAPE).relative_to(region).slices
            np.testing.assert_array_equal(network.inputs[-1][PREVIOUS][inside], before)
            assert network.inputs[-1][PREVIOUS].sum() == before.sum()
        assert before.any()

    def test_an_initial_mask_becomes_the_previous_segmentation_and_drops_what_was_before(
        self,
    ) -> None:
        network = Counting(passthrough)
        session = make_session(noise(), network, (16, 32, 32))
        session.add(nni.MaskEdit(solid(2, 2, 2), (0, 0, 0)))
        session.add(nni.Point((3, 3, 3)))
        session.add(nni.BoxPrompt((3, 3, 3), (4, 8, 8)))
        start = sphere(SHAPE, (6, 10, 12), 5)
        out = session.add(nni.InitialMask(start))
        assert (out.forwards, network.calls) == (0, 2)
        np.testing.assert_array_equal(session.mask[...], start)
        assert session.prompts == (nni.InitialMask(start),)
        assert out.changed == Box((0, 0, 0), (12, 16, 18))
        session.add(nni.Point((6, 10, 12), positive=False))
        seen = network.inputs[-1]
        inside = Box.of_shape(SHAPE).relative_to(Box.around((6, 10, 12), (16, 32, 32))).slices
        np.testing.assert_array_equal(seen[PREVIOUS][inside], start)
        used = {int(c) for c in np.flatnonzero(seen.any(axis=(1, 2, 3)))}
        assert used == {IMAGE, PREVIOUS, oracles.NO_POINT}
        assert seen[oracles.NO_POINT].max() == 1
        np.testing.assert_array_equal(session.mask[...], start)

    def test_an_initial_mask_that_predicts_is_alone_too(self) -> None:
        network = Counting(passthrough)
        session = make_session(noise(), network, (16, 32, 32))
        session.add(nni.MaskEdit(solid(2, 2, 2), (0, 0, 0)))
        session.add(nni.Point((6, 10, 12)))
        start = sphere(SHAPE, (6, 10, 12), 5)
        session.add(nni.InitialMask(start), predict=True)
        assert not network.inputs[-1][2:].any()
        np.testing.assert_array_equal(session.mask[...], start)

    def test_a_mask_edit_is_no_prompt_for_the_network(self) -> None:
        network = Counting(nothing)
        session = make_session(noise(), network, PATCH)
        session.add(nni.Point((6, 10, 12)))
        out = session.add(nni.MaskEdit(solid(2, 2, 2), (6, 10, 12)))
        assert (out.forwards, out.zoom, network.calls) == (0, 1.0, 1)
        session.add(nni.Point((6, 10, 12), positive=False))
        first, second = network.inputs
        np.testing.assert_allclose(
            second[oracles.POINT], 0.98 * first[oracles.POINT], rtol=1e-6
        )  # one later prompt, not two
        assert second[PREVIOUS].sum() == 8
        assert not second[[oracles.BOX, oracles.SCRIBBLE, oracles.NO_BOX]].any()

    @pytest.mark.parametrize(
        "layout",
        [
            pytest.param(lambda a: a, id="as it is"),
            pytest.param(np.asfortranarray, id="Fortran"),
            pytest.param(lambda a: a.astype(">u2"), id="big-endian"),
            pytest.param(lambda a: a.astype("i8"), id="int64"),
            pytest.param(lambda a: a.astype("f4"), id="float32"),
            pytest.param(lambda a: a.astype("f8"), id="float64"),
            pytest.param(lambda a: a[::-1].copy()[::-1], id="reversed strides"),
            pytest.param(lambda a: a.tolist(), id="lists"),
            pytest.param(lambda a: [a, a[::2]], id="pyramid"),
        ],
    )
    def test_type_and_layout_of_the_image_do_not_matter(self, layout: Any) -> None:
        # Few values, none of which the network sees near a threshold.
        image = (np.random.default_rng(5).integers(1, 9, SHAPE) * 500).astype(np.uint16)
        expected = played(make_session(image.astype(np.float32), bright(0.1), PATCH, config=EAGER))
        given = layout(image)
        if isinstance(given, np.ndarray):
            given.flags.writeable = False
        got = played(make_session(given, bright(0.1), PATCH, config=EAGER))
        np.testing.assert_array_equal(got.mask[...], expected.mask[...])
        assert expected.mask.count() > 100

    @pytest.mark.parametrize("shape", [(20, 24), (1, 20, 24)])
    def test_a_2d_image_is_one_slice(self, shape: tuple[int, ...]) -> None:
        image = noise(shape)
        network = Counting(bright(0.2))
        session = make_session(
            image,
            network,
            (8, 64, 64),
            spacing=(0.5, 0.25)[: len(shape)] if len(shape) == 2 else None,
        )
        session.add(nni.Point((0, 10, 12)))
        assert session.mask.shape == (1, 20, 24)
        np.testing.assert_array_equal(session.mask[...].reshape(shape), zscore(image) > 0.2)
        assert session.volume.spacing == ((1, 0.5, 0.25) if len(shape) == 2 else (1, 1, 1))
        with pytest.raises(nni.PromptError, match="outside"):
            session.add(nni.Point((1, 10, 12)))
        session.add(nni.BoxPrompt((0, 3, 3), (1, 9, 9)))  # one axis of 1: a 2D box
        session.add(nni.Lasso(solid(1, 4, 5), (0, 3, 3)))

    @pytest.mark.parametrize(
        "shape",
        [(1, 1, 50), (3, 70, 5), (40, 2, 2), (2, 3, 100)],
    )
    def test_any_shape(self, shape: tuple[int, int, int]) -> None:
        image = noise(shape)
        session = make_session(image, bright(0.2), (8, 8, 8), config=EAGER)
        for point in np.argwhere(np.ones(shape, bool))[::17].tolist():
            session.add(nni.Point(point))
        mask = session.mask[...]
        assert not (mask & ~(zscore(image) > 0.2)).any()
        assert mask.any()


class TestAutoZoom:
    """How far away it looks, and what it refines."""

    def test_the_view_widens_as_long_as_the_object_fills_it(self) -> None:
        config = nni.EngineConfig(border_voxels_many=60, border_voxels_few=10, margin_fraction=0)
        session = make_session(noise((70, 70, 70)), everything, config=config)
        out = session.add(nni.Point((35, 35, 35)))
        looks = [p for p in out.passes if p.stage == "look"]
        assert [p.zoom for p in looks] == [1.0, 1.5, 2.25, 3.375, 4.0]
        assert [p.region for p in looks] == [
            Box.around((35, 35, 35), (n, n, n)) for n in (16, 24, 36, 54, 64)
        ]
        assert out.zoom == 4.0
        assert out.forwards == len(out.passes)
        assert {p.zoom for p in out.passes if p.stage == "refine"} == {1.0}

    def test_it_stops_when_the_object_fits(self) -> None:
        image = sphere((64, 64, 64), (32, 32, 32), 14).astype(np.float32)
        session = make_session(image, bright(0.0), config=EAGER)
        out = session.add(nni.Point((32, 32, 32)))
        assert [p.zoom for p in out.passes if p.stage == "look"] == [1.0, 1.5, 2.25]
        assert dice(session.mask, image) >= 0.99

    def test_a_small_object_takes_one_pass(self) -> None:
        image = sphere((64, 64, 64), (32, 32, 32), 5).astype(np.float32)
        session = make_session(image, bright(0.0), config=EAGER)
        out = session.add(nni.Point((32, 32, 32)))
        assert (out.forwards, out.zoom) == (1, 1.0)
        np.testing.assert_array_equal(session.mask[...], image)
        assert out.changed == Box((27, 27, 27), (38, 38, 38))

    @pytest.mark.parametrize("centre", [(40, 40, 40), (32, 44, 40)])
    def test_refinement_completes_an_object_of_many_patches(
        self, centre: tuple[int, int, int]
    ) -> None:
        image = sphere((80, 80, 80), (40, 40, 40), 28).astype(np.float32)
        session = make_session(image, bright(0.0), config=EAGER)
        out = session.add(nni.Point(centre))
        assert dice(session.mask, image) >= 0.97
        assert sum(p.stage == "refine" for p in out.passes) > 27
        again = session.add(nni.Point(centre))  # nothing left to change
        assert again.changed is None or dice(session.mask, image) >= 0.97

    def test_thin_changes_are_seen_from_far_away_but_change_nothing_outside_the_patches(
        self,
    ) -> None:
        image = sphere((64, 64, 64), (20, 32, 32), 12).astype(np.float32)
        image[57:59, 4:60, 4:60] = 1  # a sheet that the coarse view shows and the opening drops
        network = Counting(bright(0.0))
        session = make_session(image, network, config=EAGER)
        out = session.add(nni.BoxPrompt((32, 4, 4), (33, 63, 63)))
        assert out.zoom == 4.0
        refined = np.zeros(image.shape, bool)
        for p in out.passes:
            if p.stage == "refine":
                refined[p.region.clip(image.shape).slices] = True
        mask, previous = session.mask[...] != 0, previous_of(session) != 0
        assert not (mask & ~refined).any()
        assert not mask[57:59, 30:34, 30:34].any()
        assert previous[57:59, 30:34, 30:34].all()
        np.testing.assert_array_equal(mask[refined], image[refined] != 0)
        np.testing.assert_array_equal(previous[refined], mask[refined])

    def test_voxels_that_only_the_coarse_view_changes_keep_their_value(self) -> None:
        start = solid(64, 64, 64)
        session = make_session(noise((64, 64, 64)), nothing, config=EAGER)
        session.add(nni.InitialMask(start))
        out = session.add(nni.BoxPrompt((10, 4, 4), (11, 20, 30)))
        refined = np.zeros(start.shape, bool)
        for p in out.passes:
            if p.stage == "refine":
                refined[p.region.clip(start.shape).slices] = True
        np.testing.assert_array_equal(session.mask[...], ~refined)
        assert 0 < refined.sum() < refined.size

    def test_each_patch_sees_the_ones_before(self) -> None:
        image = sphere((80, 80, 80), (40, 40, 40), 28).astype(np.float32)
        network = Counting(bright(0.0))
        session = make_session(image, network, config=EAGER)
        out = session.add(nni.Point((40, 40, 40)))
        done = np.zeros(image.shape, bool)
        for p, inputs in zip(out.passes, network.inputs, strict=True):
            if p.stage == "refine":
                part = p.region.clip(image.shape)
                seen = inputs[PREVIOUS][part.relative_to(p.region).slices]
                known = done[part.slices]
                np.testing.assert_array_equal(seen[known], image[part.slices][known])
                done[part.slices] = True

    def test_what_lies_in_the_core_of_an_earlier_patch_stays(self) -> None:
        calls = 0

        def changes_its_mind(inputs: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return everything(inputs) if calls <= 2 else nothing(inputs)

        session = make_session(noise((40, 40, 40)), changes_its_mind, autozoom=False)
        out = session.add(nni.BoxPrompt((20, 4, 4), (21, 36, 36)))
        first, *others = [p.region for p in out.passes if p.stage == "refine"]
        expected = np.zeros((40, 40, 40), np.uint8)
        expected[first.clip(expected.shape).slices] = 1
        for region in others:
            expected[region.clip(expected.shape).slices] = 0
        expected[first.pad(-2).slices] = 1  # margin: an eighth of 16
        np.testing.assert_array_equal(session.mask[...], expected)
        assert len(others) > 10

    def test_no_change_from_far_away_refines_one_patch_at_the_prompt(self) -> None:
        session = make_session(noise((64, 64, 64)), nothing, config=EAGER)
        out = session.add(nni.BoxPrompt((30, 4, 4), (31, 44, 34)))
        assert [(p.stage, p.zoom) for p in out.passes] == [
            ("look", (40 + 5) / 16),
            ("refine", 1.0),
        ]
        assert out.passes[1].region == Box.around((30, 24, 19), (16, 16, 16))
        assert out.changed is None
        assert out.mask.shape == (0, 0, 0)

    def test_without_autozoom_the_start_zoom_still_applies(self) -> None:
        session = make_session(noise((64, 64, 64)), everything, config=EAGER, autozoom=False)
        out = session.add(nni.Point((32, 32, 32)))
        assert [(p.stage, p.zoom) for p in out.passes] == [("look", 1.0)]
        assert session.mask.bounds == Box((24, 24, 24), (40, 40, 40))
        out = session.add(nni.BoxPrompt((32, 4, 4), (33, 44, 34)))
        assert [p.zoom for p in out.passes if p.stage == "look"] == [(40 + 5) / 16]
        assert out.zoom == (40 + 5) / 16
        assert any(p.stage == "refine" for p in out.passes)

    def test_an_initial_mask_with_prediction_is_refined_as_a_whole(self) -> None:
        start = sphere((64, 64, 64), (32, 32, 32), 20)
        session = make_session(noise((64, 64, 64)), passthrough, config=EAGER)
        out = session.add(nni.InitialMask(start), predict=True)
        cover = np.zeros(start.shape, bool)
        for p in out.passes:
            if p.stage == "refine":
                cover[p.region.clip(start.shape).slices] = True
        assert cover[start].all()
        assert out.zoom > 1
        assert dice(session.mask, start) > 0.95  # once down and up again

    def test_the_last_queued_prompt_decides_where_to_look(self) -> None:
        network = Counting(nothing)
        session = make_session(noise((40, 40, 40)), network, config=EAGER)
        session.add(nni.BoxPrompt((5, 1, 1), (6, 39, 39)), predict=False)
        session.add(nni.Point((30, 31, 32)), predict=False)
        out = session.predict()
        assert [p.region for p in out.passes] == [Box.around((30, 31, 32), (16, 16, 16))]

    def test_an_anisotropic_patch(self) -> None:
        image = sphere((30, 80, 80), (15, 40, 40), 14).astype(np.float32)
        config = nni.EngineConfig(border_voxels_many=60, border_voxels_few=0)
        session = make_session(image, bright(0.0), (8, 16, 12), config=config)
        out = session.add(nni.Point((15, 40, 40)))
        assert dice(session.mask, image) >= 0.97
        assert {p.region.shape for p in out.passes if p.stage == "refine"} == {(8, 16, 12)}

    def test_the_same_input_gives_the_same_plan_and_mask(self) -> None:
        plans, masks = [], []
        for _ in range(2):
            session = make_session(noise((48, 48, 48)), opinionated, config=EAGER)
            outs = [session.add(nni.Point((24, 24, 24))), session.add(nni.Point((10, 20, 30)))]
            plans.append([out.passes for out in outs])
            masks.append(session.mask[...])
        assert plans[0] == plans[1]
        np.testing.assert_array_equal(*masks)


class TestPrediction:
    """What a call gives back."""

    @pytest.mark.parametrize("prompt", EVERY_KIND)
    @pytest.mark.parametrize("predict", [True, False, None])
    def test_changed_and_mask_are_the_difference(
        self, prompt: Prompt, predict: bool | None
    ) -> None:
        session = make_session(noise(), opinionated, PATCH, config=EAGER)
        session.add(nni.Point((4, 8, 8)))
        before = session.mask[...]
        out = session.add(prompt, predict=predict)
        after = session.mask[...]
        found = np.argwhere(before != after)
        if not len(found):
            assert out.changed is None
            assert out.mask.shape == (0, 0, 0)
            return
        assert out.changed is not None
        assert out.changed.start == tuple(found.min(0))
        assert out.changed.stop == tuple(found.max(0) + 1)
        np.testing.assert_array_equal(out.mask, after[out.changed.slices])
        assert out.mask.dtype == np.uint8
        assert out.seconds >= 0
        assert out.probability is None

    def test_the_callers_copy_is_his_own(self) -> None:
        session = make_session(noise(), everything, PATCH)
        out = session.add(nni.Point((6, 10, 12)))
        before = session.mask[...]
        out.mask[...] = 0
        np.testing.assert_array_equal(session.mask[...], before)

    def test_a_mask_held_by_the_caller_does_not_change(self) -> None:
        session = make_session(noise(), everything, PATCH, autozoom=False)
        held = session.mask
        session.add(nni.Point((6, 10, 12)))
        assert held.count() == 0
        assert session.mask.count() == 8 * 16 * 16

    def test_probability_is_the_softmax_of_the_logits(self) -> None:
        image = noise()
        session = make_session(image, bright(0.3), (16, 32, 32))
        out = session.add(nni.Point((6, 10, 12)), probability=True)
        assert out.changed is not None
        assert out.probability is not None
        assert out.probability.dtype == np.float32
        expected = 1 / (1 + np.exp(-2 * (zscore(image) - 0.3)))
        np.testing.assert_allclose(
            out.probability, expected[out.changed.slices], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_array_equal(out.probability > 0.5, out.mask != 0)

    def test_probability_after_refinement(self) -> None:
        image = sphere((64, 64, 64), (32, 32, 32), 20).astype(np.float32)
        session = make_session(image, bright(0.0), config=EAGER)
        out = session.add(nni.Point((32, 32, 32)), probability=True)
        assert out.changed is not None
        assert out.probability is not None
        scores = zscore_of_box(image)[out.changed.slices]
        refined = np.zeros(image.shape, bool)
        for p in out.passes:
            if p.stage == "refine":
                refined[p.region.clip(image.shape).slices] = True
        part = refined[out.changed.slices]
        np.testing.assert_allclose(
            out.probability[part], 1 / (1 + np.exp(-2 * scores[part])), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_array_equal(out.probability[~part], out.mask[~part])

    def test_probability_where_nothing_changed_or_ran(self) -> None:
        session = make_session(noise(), nothing, PATCH)
        nothing_changed = session.add(nni.Point((6, 10, 12)), probability=True)
        assert nothing_changed.probability is not None
        assert nothing_changed.probability.shape == (0, 0, 0)
        edit = session.add(nni.MaskEdit(solid(1, 1, 2), (5, 5, 5)), probability=True)
        np.testing.assert_array_equal(edit.probability, np.ones((1, 1, 2), np.float32))

    def test_progress_counts_passes(self) -> None:
        events: list[nni.Progress] = []
        session = make_session(noise((40, 40, 40)), everything, config=EAGER)
        out = session.add(nni.Point((20, 20, 20)), progress=events.append)
        looks, refines = ([e for e in events if e.stage == stage] for stage in ("look", "refine"))
        assert events == looks + refines
        assert [(e.done, e.total) for e in looks] == [(i, None) for i in range(1, len(looks) + 1)]
        total = sum(p.stage == "refine" for p in out.passes)
        assert [(e.done, e.total) for e in refines] == [(i, total) for i in range(1, total + 1)]
        assert len(events) == out.forwards
        quiet: list[nni.Progress] = []
        session.add(nni.MaskEdit(solid(1, 1, 1)), progress=quiet.append)
        assert quiet == []


def zscore_of_box(image: np.ndarray) -> np.ndarray:
    """Z-scores by mean and deviation over the bounding box of what is not zero."""
    found = np.argwhere(image)
    part = image[tuple(slice(a, b) for a, b in zip(found.min(0), found.max(0) + 1, strict=True))]
    return (image - part.mean(dtype="f8")) / part.std(dtype="f8")


class TestEdits:
    """Painted or erased by hand: kept on top."""

    def test_edits_stay_through_later_predictions(self) -> None:
        session = make_session(noise(), everything, PATCH, autozoom=False)
        session.add(nni.Point((6, 10, 12)))
        session.add(nni.MaskEdit(solid(2, 2, 2), (6, 10, 12), value=False))
        session.add(nni.MaskEdit(solid(1, 1, 3), (0, 0, 0)))
        for _ in range(3):
            out = session.add(nni.Point((6, 10, 12)))
            assert out.changed is None
            assert not session.mask[6:8, 10:12, 12:14].any()
            assert session.mask[0, 0, :4].tolist() == [1, 1, 1, 0]
            assert session.mask.count() == 8 * 16 * 16 - 8 + 3
        np.testing.assert_array_equal(previous_of(session), session.mask[...])

    def test_the_later_edit_counts(self) -> None:
        session = make_session(noise(), everything, PATCH)
        session.add(nni.MaskEdit(solid(4, 4, 4), (4, 8, 8), value=False))
        session.add(nni.MaskEdit(solid(2, 4, 4), (4, 8, 8), value=True))
        session.add(nni.MaskEdit(solid(1, 4, 4), (4, 8, 8), value=False))
        session.add(nni.Point((6, 10, 12)))
        assert session.mask[4:8, 9, 9].tolist() == [0, 1, 0, 0]

    def test_edits_stay_while_the_object_is_refined(self) -> None:
        image = sphere((64, 64, 64), (32, 32, 32), 20).astype(np.float32)
        session = make_session(image, bright(0.0), config=EAGER)
        hole = nni.MaskEdit(solid(8, 8, 8), (28, 28, 28), value=False)
        session.add(hole)
        out = session.add(nni.Point((32, 32, 45)))
        assert out.zoom > 1
        expected = image.copy()
        expected[28:36, 28:36, 28:36] = 0
        assert not session.mask[28:36, 28:36, 28:36].any()
        assert dice(session.mask, expected) >= 0.97

    def test_an_edit_beyond_the_border_is_clipped(self) -> None:
        session = make_session(noise(), nothing, PATCH)
        out = session.add(nni.MaskEdit(solid(4, 4, 4), (-2, 18, 22)))
        assert out.changed == Box((0, 18, 22), (2, 20, 24))
        assert session.mask.count() == 8

    def test_an_edit_can_predict(self) -> None:
        network = Counting(everything)
        session = make_session(noise(), network, PATCH, autozoom=False)
        out = session.add(nni.MaskEdit(solid(2, 2, 2), (6, 10, 12), value=False), predict=True)
        assert out.forwards == network.calls == 1
        assert session.mask.count() == 8 * 16 * 16 - 8


class TestHistory:
    """Undo, redo, remove, replace, reset, export."""

    SCRIPT = tuple(p.values[0] for p in EVERY_KIND)

    def test_undo_and_redo_to_any_depth(self) -> None:
        network = Counting(opinionated)
        session = make_session(noise(), network, PATCH, config=EAGER)
        masks, previous, prompts = [session.mask[...]], [previous_of(session)], [session.prompts]
        for prompt in (*self.SCRIPT, *self.SCRIPT):
            session.add(prompt)
            masks.append(session.mask[...])
            previous.append(previous_of(session))
            prompts.append(session.prompts)
        calls = network.calls
        for _ in range(2):
            for i in reversed(range(len(masks) - 1)):
                assert session.can_undo
                assert session.undo()
                np.testing.assert_array_equal(session.mask[...], masks[i])
                np.testing.assert_array_equal(previous_of(session), previous[i])
                assert session.prompts == prompts[i]
            assert not session.can_undo
            assert not session.undo()
            for i in range(1, len(masks)):
                assert session.can_redo
                assert session.redo()
                np.testing.assert_array_equal(session.mask[...], masks[i])
                np.testing.assert_array_equal(previous_of(session), previous[i])
                assert session.prompts == prompts[i]
            assert not session.can_redo
            assert not session.redo()
        assert network.calls == calls

    def test_a_new_action_forgets_what_was_undone(self) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        assert session.can_redo
        session.add(nni.Point((7, 7, 7)))
        assert not session.can_redo

    def test_after_undo_it_goes_on_as_if_it_had_not_been(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        fresh = make_session(noise(), opinionated, PATCH)
        session.add(nni.Point((6, 10, 12)))
        session.add(nni.Point((2, 2, 2), positive=False))
        session.undo()
        session.add(nni.Point((5, 5, 5)))
        fresh.add(nni.Point((6, 10, 12)))
        fresh.add(nni.Point((5, 5, 5)))
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])

    def test_queued_prompts_are_one_prediction_and_one_undo(self) -> None:
        network = Counting(opinionated)
        session = make_session(noise(), network, PATCH, autozoom=False)
        session.add(nni.Point((2, 2, 2)))
        before, calls = session.mask[...], network.calls
        queue = [
            nni.Point((6, 10, 12)),
            nni.Scribble(solid(1, 1, 5), (5, 9, 9)),
            nni.Point((5, 9, 13), positive=False),
        ]
        for prompt in queue:
            out = session.add(prompt, predict=False)
            assert (out.changed, out.forwards) == (None, 0)
        assert network.calls == calls
        session.predict()
        assert network.calls == calls + 1
        seen = network.inputs[-1]
        assert seen[oracles.NO_POINT].max() == 1
        assert seen[oracles.SCRIBBLE].max() == np.float32(0.98)
        assert session.prompts == (nni.Point((2, 2, 2)), *queue)
        after = session.mask[...]
        assert session.undo()
        np.testing.assert_array_equal(session.mask[...], before)
        assert session.prompts == (nni.Point((2, 2, 2)),)
        assert session.redo()
        np.testing.assert_array_equal(session.mask[...], after)
        assert len(session.prompts) == 4

    def test_a_prompt_takes_the_queued_ones_with_it(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        session.add(nni.Point((2, 2, 2)), predict=False)
        session.add(nni.Point((6, 10, 12)))
        assert session.undo()
        assert session.prompts == ()
        assert not session.can_undo

    def test_a_queued_prompt_alone_can_be_undone(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        session.add(nni.Point((2, 2, 2)), predict=False)
        session.add(nni.Point((3, 3, 3)), predict=False)
        assert session.undo()
        assert session.prompts == (nni.Point((2, 2, 2)),)
        session.predict()
        assert session.undo()
        assert session.prompts == ()

    def test_predict_again_is_a_step_of_its_own(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        session.add(nni.Point((6, 10, 12)))
        first = session.mask[...]
        session.predict()
        session.undo()
        np.testing.assert_array_equal(session.mask[...], first)
        assert session.prompts == (nni.Point((6, 10, 12)),)

    @pytest.mark.parametrize("index", range(8))
    def test_remove_is_as_if_it_had_never_been(self, index: int) -> None:
        script = self.SCRIPT[:6] + self.SCRIPT[7:] + self.SCRIPT[:1]
        session = make_session(noise(), opinionated, PATCH, config=EAGER)
        fresh = make_session(noise(), opinionated, PATCH, config=EAGER)
        for i, prompt in enumerate(script):
            session.add(prompt)
            if i != index:
                fresh.add(prompt)
        with_it, steps = session.mask[...], session.prompts
        out = session.remove(index)
        assert session.prompts == fresh.prompts
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])
        np.testing.assert_array_equal(previous_of(session), previous_of(fresh))
        changed = with_it != session.mask[...]
        assert (out.changed is None) == (not changed.any())
        if out.changed is not None:
            np.testing.assert_array_equal(out.mask, session.mask[out.changed.slices])
        session.undo()
        np.testing.assert_array_equal(session.mask[...], with_it)
        assert session.prompts == steps
        session.redo()
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])

    @pytest.mark.parametrize("index", [0, 2, -1])
    @pytest.mark.parametrize("prompt", EVERY_KIND)
    def test_replace_is_as_if_it_had_been_so_from_the_start(
        self, index: int, prompt: Prompt
    ) -> None:
        script: list[Prompt] = [*self.SCRIPT[:4], nni.Point((4, 4, 4))]
        session = make_session(noise(), opinionated, PATCH)
        fresh = make_session(noise(), opinionated, PATCH)
        for p in script:
            session.add(p)
        script[index] = prompt
        for p in script:
            fresh.add(p, predict=True)
        session.replace(index, prompt)
        assert session.prompts == fresh.prompts
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])

    def test_remove_of_an_initial_mask_brings_back_what_it_dropped(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        fresh = make_session(noise(), opinionated, PATCH)
        for prompt in (nni.Point((6, 10, 12)), self.SCRIPT[6], nni.Point((2, 2, 2))):
            session.add(prompt)
            if not isinstance(prompt, nni.InitialMask):
                fresh.add(prompt)
        assert len(session.prompts) == 2
        session.remove(0)
        assert session.prompts == fresh.prompts
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])

    def test_remove_of_the_only_prompt_leaves_nothing(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        session.add(nni.Point((6, 10, 12)))
        session.predict()
        session.remove(0)
        assert (session.prompts, session.mask.count()) == ((), 0)
        assert session.undo()
        assert session.mask.count() > 0

    def test_removed_prompts_that_wait_leave_the_others_waiting(self) -> None:
        network = Counting(opinionated)
        session = make_session(noise(), network, PATCH)
        session.add(nni.Point((6, 10, 12)), predict=False)
        session.add(nni.Point((2, 2, 2)), predict=False)
        session.remove(0)
        assert network.calls == 0
        session.predict()
        fresh = make_session(noise(), opinionated, PATCH)
        fresh.add(nni.Point((2, 2, 2)))
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])

    def test_a_removal_is_a_step_of_its_own(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        prompts = [nni.Point((6, 10, 12)), nni.Point((2, 2, 2)), nni.Point((9, 9, 9))]
        for prompt in prompts:
            session.add(prompt, predict=prompt is not prompts[-1])
        assert session.remove(0).forwards > 0
        session.undo()
        assert session.prompts == tuple(prompts)

    @pytest.mark.parametrize("index", [3, -4, 99, 10**30])
    def test_no_such_prompt(self, index: int) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        before = snapshot(session)
        with pytest.raises(nni.PromptError, match=r"no prompt .*; 3 are in force"):
            session.remove(index)
        with pytest.raises(nni.PromptError, match="no prompt"):
            session.replace(index, nni.Point((1, 1, 1)))
        assert snapshot(session) == before

    def test_reset_is_undoable(self) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        mask, prompts = session.mask[...], session.prompts
        session.reset()
        assert (session.prompts, session.mask.count()) == ((), 0)
        assert not previous_of(session).any()
        session.add(nni.Point((3, 3, 3)))
        fresh = make_session(noise(), opinionated, PATCH)
        fresh.add(nni.Point((3, 3, 3)))
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])
        session.undo()
        session.undo()
        np.testing.assert_array_equal(session.mask[...], mask)
        assert session.prompts == prompts

    def test_reset_of_nothing_is_no_step(self) -> None:
        session = make_session(noise(), opinionated, PATCH)
        session.reset()
        assert not session.can_undo

    def test_export_and_restore_go_from_object_to_object(self) -> None:
        session = make_session(noise(), opinionated, PATCH, config=EAGER)
        kept = []
        for position in ((6, 10, 12), (2, 2, 2), (9, 15, 20)):
            session.add(nni.Point(position))
            session.add(nni.MaskEdit(solid(1, 1, 2), (0, 0, 0)))
            kept.append((session.export(), session.mask[...], session.prompts))
            session.reset()
        for state, mask, prompts in (*kept, *reversed(kept)):
            session.restore(state)
            np.testing.assert_array_equal(session.mask[...], mask)
            assert session.prompts == prompts == state.prompts
        state, mask, prompts = kept[0]
        session.restore(state)
        session.add(nni.Point((6, 11, 12)))  # goes on as if there had been no other object
        fresh = make_session(noise(), opinionated, PATCH, config=EAGER)
        for prompt in session.prompts:
            fresh.add(prompt)
        np.testing.assert_array_equal(session.mask[...], fresh.mask[...])
        session.remove(0)
        session.undo()
        session.undo()
        np.testing.assert_array_equal(session.mask[...], mask)
        np.testing.assert_array_equal(np.asarray(kept[0][1]), mask)
        session.undo()
        np.testing.assert_array_equal(session.mask[...], kept[0][1])  # what was restored before

    def test_restore_refuses_what_does_not_fit(self) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        state, before = session.export(), snapshot(session)
        for wrong in (None, state.state, {"prompts": []}):
            with pytest.raises(nni.SessionError, match="what export gave"):
                session.restore(wrong)  # type: ignore[arg-type]
        assert snapshot(session) == before
        session.set_image(noise((5, 6, 7)))
        before = snapshot(session)
        with pytest.raises(nni.SessionError, match=r"shape \(12, 20, 24\).*\(5, 6, 7\)"):
            session.restore(state)
        assert snapshot(session) == before

    def test_a_new_image_clears_everything(self) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        session.set_image(noise((9, 9, 9)))
        assert (session.prompts, session.mask.shape, session.mask.count()) == ((), (9, 9, 9), 0)
        assert not session.can_undo
        assert not session.can_redo
        assert not session.undo()


class Interrupted(BaseException):
    """Stands for KeyboardInterrupt, which pytest takes for itself where it is not caught."""


def _cancel_at(n: int) -> tuple[Any, dict[str, Any]]:
    token = nni.CancelToken()
    return call_at(n, lambda _: token.cancel(), opinionated), {"cancel": token}


def _event_at(n: int) -> tuple[Any, dict[str, Any]]:
    token = threading.Event()
    return call_at(n, lambda _: token.set(), opinionated), {"cancel": token}


def _raise(error: BaseException) -> Callable[[int], tuple[Any, dict[str, Any]]]:
    return lambda n: (raise_at(n, error, opinionated), {})


def _returns(make: Callable[[torch.Tensor], Any]) -> Callable[[int], tuple[Any, dict[str, Any]]]:
    return lambda n: (call_at(n, make, opinionated), {})


def _callback(n: int) -> tuple[Any, dict[str, Any]]:
    seen: list[Any] = []

    def fail(event: Any) -> None:
        seen.append(event)
        if len(seen) == n:
            raise ZeroDivisionError

    return opinionated, {"progress": fail}


FAILURES = [
    pytest.param(_raise(ValueError("broken")), ValueError, id="error"),
    pytest.param(_raise(KeyboardInterrupt()), KeyboardInterrupt, id="interrupt"),
    pytest.param(_raise(Interrupted()), Interrupted, id="any other"),
    pytest.param(_raise(torch.OutOfMemoryError("no")), nni.SessionError, id="out of memory"),
    pytest.param(_returns(lambda x: torch.zeros(1)), nni.SessionError, id="wrong shape"),
    pytest.param(_returns(lambda x: opinionated(x) * torch.nan), nni.SessionError, id="NaN"),
    pytest.param(_cancel_at, nni.Cancelled, id="cancelled"),
    pytest.param(_event_at, nni.Cancelled, id="cancelled by an event"),
    pytest.param(_callback, ZeroDivisionError, id="callback"),
]
CALLS: list[Any] = [
    pytest.param(lambda s, **k: s.add(nni.Point((6, 10, 12)), **k), id="add"),
    pytest.param(
        lambda s, **k: s.add(nni.InitialMask(sphere(SHAPE, (6, 10, 12), 5)), predict=True, **k),
        id="initial mask",
    ),
    pytest.param(lambda s, **k: s.predict(**k), id="predict"),
    pytest.param(lambda s, **k: s.remove(0, **k), id="remove"),
    pytest.param(lambda s, **k: s.replace(0, nni.Point((9, 9, 9)), **k), id="replace"),
]


class TestAllOrNothing:
    """Whatever fails in whatever pass leaves the session as it was, and usable."""

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize(("failure", "error"), FAILURES)
    @pytest.mark.parametrize("n", [1, 2])
    def test_failure_in_pass(
        self, failure: Any, error: type[BaseException], call: Any, n: int
    ) -> None:
        network, options = failure(n)
        inner: list[Any] = [opinionated]
        session = make_session(noise(), lambda x: inner[0](x), PATCH, config=EAGER)
        played(session)
        session.add(nni.Point((8, 12, 4)), predict=False)  # waits
        before = snapshot(session)
        inner[0] = network
        expected = make_session(noise(), opinionated, PATCH, config=EAGER)
        played(expected)
        expected.add(nni.Point((8, 12, 4)), predict=False)
        outcome = call(expected)
        if outcome.forwards < n:
            pytest.skip("takes fewer passes")
        with pytest.raises(error):
            call(session, **options)
        assert snapshot(session) == before
        inner[0] = opinionated
        again = call(session)
        assert (again.changed, again.forwards) == (outcome.changed, outcome.forwards)
        np.testing.assert_array_equal(session.mask[...], expected.mask[...])
        assert session.prompts == expected.prompts

    def test_cancel_in_every_pass_of_a_refinement(self) -> None:
        image = sphere((48, 48, 48), (24, 24, 24), 16).astype(np.float32)
        full = make_session(image, bright(0.0), config=EAGER).add(nni.Point((24, 24, 24)))
        session = make_session(image, bright(0.0), config=EAGER)
        before = snapshot(session)
        for n in (*range(1, full.forwards, 5), full.forwards):
            token, seen = nni.CancelToken(), []

            def stop(event: Any, n: int = n, token: Any = token, seen: list[Any] = seen) -> None:
                seen.append(event)
                if len(seen) == n:
                    token.set()

            with pytest.raises(nni.Cancelled, match="nothing has changed"):
                session.add(nni.Point((24, 24, 24)), progress=stop, cancel=token)
            assert len(seen) == n  # at once, not at the end
            assert snapshot(session) == before
        out = session.add(nni.Point((24, 24, 24)), cancel=nni.CancelToken())
        assert out.forwards == full.forwards

    def test_a_token_that_is_set_stops_before_the_first_pass(self) -> None:
        network = Counting(opinionated)
        session = make_session(noise(), network, PATCH)
        token = nni.CancelToken()
        token.cancel()
        before = snapshot(session)
        with pytest.raises(nni.Cancelled):
            session.add(nni.Point((6, 10, 12)), cancel=token)
        assert (snapshot(session), network.calls) == (before, 0)

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(lambda s: s.add(nni.Point((1, 1, 1))), id="add"),
            pytest.param(lambda s: s.add(nni.MaskEdit(solid(1, 1, 1))), id="edit"),
            pytest.param(lambda s: s.predict(), id="predict"),
            pytest.param(lambda s: s.remove(0), id="remove"),
            pytest.param(lambda s: s.replace(0, nni.Point((1, 1, 1))), id="replace"),
            pytest.param(lambda s: s.undo(), id="undo"),
            pytest.param(lambda s: s.redo(), id="redo"),
            pytest.param(lambda s: s.reset(), id="reset"),
            pytest.param(lambda s: s.export(), id="export"),
            pytest.param(lambda s: s.set_image(noise()), id="set_image"),
            pytest.param(lambda s: s.save("never.json"), id="save"),
        ],
    )
    def test_a_callback_must_not_call_back(self, call: Any) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        before = snapshot(session)
        with pytest.raises(nni.SessionError, match="a progress callback must not call it"):
            session.add(nni.Point((6, 10, 12)), progress=lambda _: call(session))
        assert snapshot(session) == before
        session.add(nni.Point((6, 10, 12)))

    def test_a_callback_may_look(self) -> None:
        session = played(make_session(noise(), opinionated, PATCH))
        before, seen = (session.mask[...], session.prompts), []
        session.add(
            nni.Point((6, 10, 12)),
            progress=lambda _: seen.append((session.mask[...], session.prompts)),
        )
        for mask, prompts in seen:
            np.testing.assert_array_equal(mask, before[0])
            assert prompts == before[1]

    def test_a_network_that_ruins_its_input_ruins_nothing(self) -> None:
        def vandal(inputs: torch.Tensor) -> torch.Tensor:
            logits = opinionated(inputs)
            inputs.fill_(99)
            return logits

        one, two = (played(make_session(noise(), n, PATCH)) for n in (opinionated, vandal))
        np.testing.assert_array_equal(one.mask[...], two.mask[...])

    def test_a_network_may_keep_its_input(self) -> None:
        held: list[tuple[torch.Tensor, torch.Tensor]] = []

        def keep(inputs: torch.Tensor) -> torch.Tensor:
            held.append((inputs, inputs.clone()))
            return opinionated(inputs)

        played(make_session(noise(), keep, PATCH))
        assert len(held) > 2
        for tensor, then in held:
            assert torch.equal(tensor, then)


class TestThreads:
    """Calls from several threads run one after the other."""

    def test_two_threads_give_the_result_of_some_order(self) -> None:
        prompts = [nni.Point((6, 10, 12)), nni.Scribble(solid(1, 3, 6), (5, 8, 8), positive=False)]
        orders = []
        for order in (prompts, prompts[::-1]):
            serial = make_session(noise(), opinionated, PATCH, config=EAGER)
            for prompt in order:
                serial.add(prompt)
            orders.append((serial.prompts, serial.mask[...].tobytes()))
        assert orders[0][1] != orders[1][1]
        for _ in range(5):
            session = make_session(noise(), opinionated, PATCH, config=EAGER)
            barrier = threading.Barrier(2)
            failures: list[BaseException] = []

            def work(
                prompt: Prompt,
                session: nni.InferenceSession = session,
                barrier: threading.Barrier = barrier,
                failures: list[BaseException] = failures,
            ) -> None:
                try:
                    barrier.wait(60)
                    session.add(prompt)
                except BaseException as error:  # noqa: BLE001 - told to the main thread
                    failures.append(error)

            threads = [threading.Thread(target=work, args=(p,)) for p in prompts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert failures == []
            assert (session.prompts, session.mask[...].tobytes()) in orders

    def test_a_second_thread_waits_for_the_first(self) -> None:
        inside, go = threading.Event(), threading.Event()

        def wait(_inputs: torch.Tensor) -> None:
            inside.set()
            assert go.wait(60)

        session = make_session(noise(), call_at(1, wait, everything), PATCH)
        first = threading.Thread(target=session.add, args=(nni.Point((6, 10, 12)),))
        first.start()
        assert inside.wait(60)
        assert session.mask.count() == 0  # looking does not wait
        undone: list[bool] = []
        second = threading.Thread(target=lambda: undone.append(session.undo()))
        second.start()
        second.join(0.05)
        assert second.is_alive()
        go.set()
        first.join(60)
        second.join(60)
        assert undone == [True]
        assert session.mask.count() == 0
        assert session.can_redo

    def test_cancel_from_another_thread(self) -> None:
        inside = threading.Event()
        token = nni.CancelToken()

        def wait(_inputs: torch.Tensor) -> None:
            inside.set()
            assert token.wait(60)

        session = make_session(noise(), call_at(1, wait, everything), PATCH)
        stopper = threading.Thread(target=lambda: (inside.wait(60), token.cancel()))
        stopper.start()
        with pytest.raises(nni.Cancelled):
            session.add(nni.Point((6, 10, 12)), cancel=token)
        stopper.join(60)
        assert session.prompts == ()


class TestConstruction:
    """What is asked for is what is there."""

    def test_properties(self) -> None:
        model = make_model(PATCH)
        config = nni.EngineConfig(max_zoom=2)
        session = nni.InferenceSession(
            model, precision="bf16", network=nothing, autozoom=False, config=config
        )
        assert (session.model, session.precision) == (model, "bf16")
        assert (session.config, session.autozoom) == (config, False)

    def test_the_models_own_network_is_the_default(self) -> None:
        class Own(torch.nn.Module):
            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                return positive_points(inputs)

        session = nni.InferenceSession(make_model(PATCH, network=Own()), precision="fp32")
        session.set_image(noise())
        session.add(nni.Point((6, 10, 12)))
        assert session.mask.count() == 256  # a ball of radius 4, cut off at z = 10
        assert session.mask.bounds == Box((2, 6, 8), (10, 15, 17))

    def test_precision_that_is_not_there(self) -> None:
        with pytest.raises(nni.SessionError, match="fp16"):
            nni.InferenceSession(make_model(), precision="fp16")
