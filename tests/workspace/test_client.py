"""What the user does, without a window: prompts, undo, objects, results, errors."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import torch
from fixtures.held_worker import HeldWorker
from fixtures.label_targets import PlainTarget
from fixtures.oracles import BOX, NO_POINT, POINT, SCRIBBLE, call_at, decide, make_model, raise_at

import napari_nninteractive as nni
from napari_nninteractive.core.frame import Frame, frame_of
from napari_nninteractive.core.prompts import BoxPrompt, MaskEdit, Point, Scribble
from napari_nninteractive.engine.engine import Engine
from napari_nninteractive.engine.history import Step
from napari_nninteractive.errors import Cancelled, PromptError, SessionError
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.values.placed import (
    ImageSource,
    ModelChoice,
    PlacedPrompt,
    Stroke,
)
from napari_nninteractive.workspace.workspace import Workspace

SHAPE = (16, 16, 16)
IMAGE = np.random.default_rng(0).random(SHAPE).astype(np.float32)


def drawn(inputs: torch.Tensor) -> torch.Tensor:
    """The object is what was drawn as positive, but not what was drawn as negative."""
    inside = inputs[:, [BOX, POINT, SCRIBBLE]].amax(1, keepdim=True) > 0
    outside = inputs[:, [NO_POINT]] > 0
    return decide((inside & ~outside).float() - 0.5)


class Bench:
    """A client with all that it needs, and what it said."""

    def __init__(self, network: Any = drawn, image: Any = IMAGE, **frame: Any) -> None:
        self.worker = HeldWorker()
        self.loaded: list[ModelChoice] = []

        def load(choice: ModelChoice) -> Engine:
            self.loaded.append(choice)
            if choice.name == "missing":
                raise nni.ModelError("There is no such model; choose another.")
            model = make_model(SHAPE)
            return Engine.of(model, precision="fp32", network=network)

        self.client = WorkspaceClient(self.worker, Workspace(load))
        self.errors: list[BaseException] = []
        self.shown: list[tuple[PlacedPrompt, ...]] = []
        self.client.failed.connect(self.errors.append)
        self.client.prompts_changed.connect(self.shown.append)
        self.result = PlainTarget(np.shape(image))
        self.image = image
        self.open(**frame)

    def open(self, **frame: Any) -> None:
        chosen = frame_of(np.shape(self.image), **frame)
        self.client.open(ImageSource(str(id(self.image)), self.image, chosen), self.result)

    def paint(self, start: tuple[int, ...], old: list[int], new: list[int]) -> None:
        """Paint labels in a row along the last axis, as the layer does."""
        shape = (1,) * (len(start) - 1) + (len(new),)
        before, after = (np.array(labels).reshape(shape) for labels in (old, new))
        stroke = Stroke(start, before != after, before, after)
        np.testing.assert_array_equal(self.result.array[stroke.key], before)
        self.result.array[stroke.key] = after
        self.client.painted(stroke)

    @property
    def voxels(self) -> dict[int, int]:
        values, counts = np.unique(self.result.array, return_counts=True)
        return {int(v): int(n) for v, n in zip(values, counts, strict=True) if v}

    @property
    def prompts(self) -> list[Any]:
        placed = self.client.placed
        assert placed is not None
        return [m.prompt for m in placed]


def box(z: int, low: int = 4, high: int = 8) -> BoxPrompt:
    return BoxPrompt((z, low, low), (z + 1, high, high))


def test_a_mark_becomes_an_object() -> None:
    bench = Bench()
    bench.client.add(box(3))
    assert bench.voxels == {1: 16}
    assert (bench.result.array[3, 4:8, 4:8] == 1).all()
    assert bench.result.drawings == 1
    (row,) = bench.client.objects()
    assert (row.label, row.voxels, row.prompts, row.current) == (1, 16, 1, True)
    assert not bench.client.busy
    assert bench.client.device == "cpu, fp32"


def test_the_volume_is_physical() -> None:
    bench = Bench()
    frame = frame_of(SHAPE)
    bench.client.open(ImageSource("spaced", IMAGE, frame, (2.0, 0.5, 0.5)), bench.result)
    bench.client.add(box(3))
    assert bench.client.objects()[0].volume == 16 * 0.5


def test_undo_and_redo_to_any_depth() -> None:
    bench = Bench()
    prompts = [box(z) for z in range(6)]
    for prompt in prompts:
        bench.client.add(prompt)
    assert bench.voxels == {1: 96}
    for left in range(5, -1, -1):
        bench.client.undo()
        assert bench.prompts == prompts[:left]
        assert bench.voxels == ({1: 16 * left} if left else {})
    assert not bench.client.can_undo
    for more in range(1, 7):
        bench.client.redo()
        assert bench.prompts == prompts[:more]
        assert bench.voxels == {1: 16 * more}
    assert not bench.client.can_redo


def test_moving_deleting_and_flipping_are_as_if_drawn_so() -> None:
    bench = Bench()
    first = bench.client.add(box(3))
    second = bench.client.add(box(9))
    bench.client.move(first, box(5))
    assert bench.prompts == [box(5), box(9)]
    assert sorted(set(np.nonzero(bench.result.array)[0].tolist())) == [5, 9]
    bench.client.remove(first)
    assert bench.prompts == [box(9)]
    assert bench.voxels == {1: 16}
    bench.client.undo()
    assert bench.prompts == [box(5), box(9)]
    bench.client.flip([second])
    assert bench.prompts == [box(5), BoxPrompt((9, 4, 4), (10, 8, 8), False)]
    assert bench.voxels == {1: 16}
    bench.client.undo()
    assert bench.voxels == {1: 32}


def test_next_object_keeps_the_first_and_undo_returns_to_it() -> None:
    bench = Bench()
    bench.client.next_object()
    assert bench.client.label == 1, "an empty object is not finished"
    bench.client.add(box(3))
    bench.client.next_object()
    assert (bench.client.label, bench.prompts) == (2, [])
    bench.client.add(box(5))
    assert bench.voxels == {1: 16, 2: 16}
    bench.client.undo()
    assert (bench.client.label, bench.prompts, bench.voxels) == (2, [], {1: 16})
    bench.client.undo()
    assert (bench.client.label, bench.prompts) == (1, [box(3)])
    bench.client.undo()
    assert bench.voxels == {}
    for _ in range(3):
        bench.client.redo()
    assert (bench.client.label, bench.prompts) == (2, [box(5)])
    assert bench.voxels == {1: 16, 2: 16}


def test_finished_objects_are_not_overwritten_unless_wanted() -> None:
    bench = Bench()
    bench.client.add(box(3, 4, 8))
    bench.client.next_object()
    bench.client.add(box(3, 6, 10))
    assert bench.voxels == {1: 16, 2: 12}
    bench.client.undo()
    assert bench.voxels == {1: 16}
    bench.client.overwrite = True
    bench.client.add(box(3, 6, 10))
    assert bench.voxels == {1: 12, 2: 16}
    assert [o.voxels for o in bench.client.objects()] == [12, 16]
    bench.client.undo()
    assert bench.voxels == {1: 16}, "what was covered comes back"


def test_an_object_is_edited_again_with_its_prompts() -> None:
    bench = Bench()
    bench.client.add(box(3))
    bench.client.next_object()
    bench.client.add(box(5))
    bench.client.select_object(1)
    assert (bench.client.label, bench.prompts) == (1, [box(3)])
    bench.client.add(Point((3, 4, 4), False))
    assert bench.voxels[1] < 16
    assert bench.voxels[2] == 16


def test_an_object_from_elsewhere_starts_from_its_mask() -> None:
    bench = Bench()
    bench.result = fresh = PlainTarget(SHAPE)
    fresh.array[7, 2:5, 2:5] = 9
    frame = frame_of(SHAPE)
    bench.client.open(ImageSource("again", IMAGE, frame), fresh, fresh.labels.recount)
    bench.client.select_object(9)
    assert bench.client.label == 9
    assert [type(p).__name__ for p in bench.prompts] == ["InitialMask"]
    assert bench.voxels == {9: 9}
    bench.client.delete_object(9)
    assert bench.voxels == {}
    bench.client.undo()
    assert bench.voxels == {9: 9}
    assert [type(p).__name__ for p in bench.prompts] == ["InitialMask"]
    bench.client.undo()
    assert (bench.client.label, bench.voxels) == (10, {9: 9})
    assert not bench.client.can_undo, "it was found as it is, which is no action"
    bench.client.delete_object(9)  # not the current one
    assert bench.voxels == {}
    bench.client.undo()
    assert bench.voxels == {9: 9}


def test_deleting_an_object_can_be_undone() -> None:
    bench = Bench()
    bench.client.add(box(3))
    bench.client.next_object()
    bench.client.add(box(5))
    bench.client.delete_object(1)
    assert bench.voxels == {2: 16}
    assert [o.label for o in bench.client.objects()] == [2]
    bench.client.undo()
    assert bench.voxels == {1: 16, 2: 16}
    assert [o.label for o in bench.client.objects()] == [1, 2]


def test_reset_begins_the_object_again() -> None:
    bench = Bench()
    bench.client.add(box(3))
    bench.client.reset()
    assert (bench.voxels, bench.prompts) == ({}, [])
    bench.client.undo()
    assert (bench.voxels, bench.prompts) == ({1: 16}, [box(3)])


def test_what_is_painted_by_hand_is_kept_by_the_next_prompt() -> None:
    bench = Bench()
    bench.client.add(box(3))
    bench.result.array[3, 4, 4] = 0
    bench.client.add(MaskEdit(np.ones((1, 1, 1), bool), (3, 4, 4), False))
    bench.result.array[10, 10, 10] = 1
    bench.client.add(MaskEdit(np.ones((1, 1, 1), bool), (10, 10, 10), True))
    bench.client.add(box(5))
    assert bench.voxels == {1: 32}
    assert bench.result.array[3, 4, 4] == 0
    assert bench.result.array[10, 10, 10] == 1


def test_what_is_painted_into_a_finished_object_is_kept_when_it_is_edited_again() -> None:
    bench = Bench()
    bench.client.add(box(3))
    bench.client.next_object()
    bench.client.add(box(5))
    bench.paint((3, 4, 4), [1, 1], [0, 0])
    bench.paint((10, 10, 10), [0], [1])
    bench.client.select_object(1)
    bench.client.add(box(7))
    assert bench.result.array[3, 4, 4:8].tolist() == [0, 0, 1, 1]
    assert bench.result.array[10, 10, 10] == 1
    assert bench.voxels == {1: 31, 2: 16}
    assert bench.client.objects()[0].voxels == 31


def test_without_auto_run_marks_wait_for_run() -> None:
    bench = Bench()
    bench.client.auto_run = False
    bench.client.add(box(3))
    bench.client.add(box(5))
    assert bench.voxels == {}
    bench.client.run()
    assert bench.voxels == {1: 32}
    bench.client.undo()
    bench.client.undo()
    assert bench.prompts == [box(3)]


def test_marks_made_while_it_computes_are_queued_and_shown() -> None:
    bench = Bench()
    bench.worker.held = True
    first = bench.client.add(box(3))
    bench.client.add(box(5))
    bench.client.move(first, box(4))
    assert bench.prompts == [box(4), box(5)]
    assert bench.client.busy
    bench.worker.step()
    assert bench.prompts == [box(4), box(5)], "what has run does not take back what waits"
    bench.worker.release()
    assert bench.prompts == [box(4), box(5)]
    assert bench.voxels == {1: 32}
    assert not bench.client.busy


def test_next_object_while_it_computes() -> None:
    bench = Bench()
    bench.worker.held = True
    bench.client.add(box(3))
    bench.client.next_object()
    assert (bench.client.label, bench.prompts) == (2, [])
    bench.client.add(box(5))
    assert bench.prompts == [box(5)]
    bench.worker.release()
    assert bench.voxels == {1: 16, 2: 16}
    assert bench.prompts == [box(5)]


def test_a_cancelled_prediction_keeps_its_mark() -> None:
    bench: Bench

    def stop(_: torch.Tensor) -> None:
        bench.client.cancel()

    bench = Bench(call_at(2, stop, drawn))
    bench.client.add(box(3))
    bench.client.add(box(5))
    assert isinstance(bench.errors[0], Cancelled)
    assert bench.prompts == [box(3), box(5)]
    assert bench.voxels == {1: 16}
    bench.client.run()
    assert bench.voxels == {1: 32}


def test_a_rejected_mark_vanishes_and_says_why() -> None:
    bench = Bench()
    bench.client.add(box(3))
    bench.client.add(Point((99, 0, 0)))
    assert isinstance(bench.errors[0], PromptError)
    assert bench.prompts == [box(3)]
    assert [m.prompt for m in bench.shown[-1]] == [box(3)]
    assert bench.voxels == {1: 16}


def test_a_failing_network_leaves_all_as_it_was() -> None:
    bench = Bench(raise_at(2, nni.SessionError("it failed"), drawn))
    bench.client.add(box(3))
    bench.client.add(box(5))
    assert isinstance(bench.errors[0], SessionError)
    assert bench.prompts == [box(3)]
    bench.client.add(box(5))
    assert bench.voxels == {1: 32}


def test_a_model_that_is_missing_is_said_and_another_goes_on() -> None:
    bench = Bench()
    bench.client.add(box(3))
    bench.client.choose_model(ModelChoice("missing"))
    assert isinstance(bench.errors[0], nni.ModelError)
    assert (bench.prompts, bench.voxels) == ([box(3)], {1: 16})
    bench.client.choose_model(ModelChoice("other"))
    assert bench.prompts == [box(3)]
    bench.client.add(box(5))
    assert bench.voxels == {1: 32}
    bench.client.undo()
    assert bench.voxels == {1: 16}
    assert [c.name for c in bench.loaded] == ["builtin", "missing", "other"]


def test_without_an_image_it_says_what_to_do() -> None:
    client = WorkspaceClient(HeldWorker(), Workspace())
    errors: list[BaseException] = []
    client.failed.connect(errors.append)
    client.add(box(3))
    assert "open one" in str(errors[0])


def test_a_constant_image_is_said_and_prompts_vanish() -> None:
    bench = Bench(image=np.ones(SHAPE, np.uint8))
    assert isinstance(bench.errors[0], nni.ImageError)
    bench.client.add(box(3))
    assert bench.prompts == []


def test_time_points_have_objects_of_their_own() -> None:
    bench = Bench(image=np.stack([IMAGE, IMAGE + 1, IMAGE + 2]))
    bench.open(position=(2, 0, 0, 0))
    bench.client.add(box(3))
    assert bench.client.label == 1
    assert np.flatnonzero(bench.result.array.any((1, 2, 3))).tolist() == [2]
    bench.open(position=(0, 0, 0, 0))
    assert (bench.client.label, bench.prompts) == (2, [])
    bench.client.add(box(5))
    bench.open(position=(2, 0, 0, 0))
    assert (bench.client.label, bench.prompts) == (1, [box(3)])
    wanted: list[Frame] = []
    bench.client.frame_wanted.connect(wanted.append)
    bench.client.undo()  # the last action, at the other time point: the viewer is asked to go there
    assert bench.voxels == {1: 16}
    assert [frame.index for frame in wanted] == [(0, 0, 0, 0)]
    bench.client.undo()
    assert (bench.voxels, bench.prompts) == ({}, [])
    assert len(wanted) == 1, "this one was here"
    bench.client.redo()
    bench.client.redo()
    assert bench.voxels == {1: 16, 2: 16}
    assert [frame.index for frame in wanted[1:]] == [(0, 0, 0, 0)]


def test_what_was_computed_for_another_time_point_is_written_there() -> None:
    bench = Bench(image=np.stack([IMAGE, IMAGE + 1]))
    bench.worker.held = True
    bench.client.add(box(3))
    bench.open(position=(1, 0, 0, 0))
    bench.worker.release()
    assert np.flatnonzero(bench.result.array.any((1, 2, 3))).tolist() == [0]
    assert bench.prompts == []
    assert bench.client.label == 2


def test_a_closed_image_drops_what_runs_for_it() -> None:
    bench = Bench()
    bench.worker.held = True
    bench.client.add(box(3))
    bench.client.close_image()
    bench.worker.release()
    assert bench.voxels == {}
    assert not bench.client.busy
    bench.open()
    bench.worker.release()
    bench.client.add(box(5))
    bench.worker.release()
    assert bench.voxels == {1: 16}


def test_close_ends_the_worker() -> None:
    bench = Bench()
    bench.client.close()
    assert bench.worker.closed
    assert not bench.client.busy


def test_a_prompt_is_kept_where_memory_runs_out() -> None:
    bench = Bench(raise_at(2, RuntimeError("CUDA out of memory"), drawn))
    bench.client.add(box(3))
    bench.client.add(box(5))
    (error,) = bench.errors
    assert isinstance(error, nni.DeviceMemoryError)
    assert bench.prompts == [box(3), box(5)]
    assert bench.voxels == {1: 16}
    bench.client.run()
    assert bench.voxels == {1: 32}


def test_what_is_drawn_while_a_model_is_refused_is_not_lost() -> None:
    bench = Bench()
    bench.client.add(box(2))
    bench.worker.held = True
    bench.client.choose_model(ModelChoice("missing"))
    for z in (3, 4):
        bench.client.add(box(z))
    bench.worker.release()
    assert bench.prompts == [box(2), box(3), box(4)]
    assert bench.voxels == {1: 48}
    assert any("no such model" in str(error) for error in bench.errors)
    assert bench.client.choice == ModelChoice()


def steps_alive() -> int:
    """Count the steps that anything holds."""
    gc.collect()
    return sum(type(one) is Step for one in gc.get_objects())


def test_undone_steps_are_freed_when_another_way_is_taken() -> None:
    before = steps_alive()
    bench = Bench()
    for z in range(6):
        bench.client.add(box(z))
    for _ in range(20):
        bench.client.undo()
        bench.client.redo()
    for _ in range(5):
        bench.client.undo()
    bench.client.add(box(9))
    assert steps_alive() - before == 2, "the first step and the new one"


def test_undo_to_the_start_frees_memory() -> None:
    before = steps_alive()
    bench = Bench()
    scribble = Scribble(np.ones((1, 2, 2), bool), (3, 4, 4))
    alive = weakref.ref(scribble.mask)
    bench.client.add(scribble)
    del scribble
    bench.client.next_object()
    bench.client.add(box(5))
    while bench.client.can_undo:
        bench.client.undo()
    assert steps_alive() - before == 2, "redo needs them"
    bench.client.add(box(7))
    assert steps_alive() - before == 1
    bench.shown.clear()
    gc.collect()
    assert alive() is None


def test_painting_is_one_action_whatever_was_touched() -> None:
    bench = Bench()
    bench.client.add(box(3))
    bench.client.next_object()
    bench.client.add(box(5))
    bench.paint((3, 4, 6), [1, 1, 0], [2, 2, 2])  # over the first object, and beyond it
    assert bench.voxels == {1: 14, 2: 19}
    assert [o.voxels for o in bench.client.objects()] == [14, 19]
    bench.client.undo()
    assert bench.voxels == {1: 16, 2: 16}
    assert bench.result.array[3, 4, 6:9].tolist() == [1, 1, 0]
    assert [o.voxels for o in bench.client.objects()] == [16, 16]
    bench.client.redo()
    assert bench.result.array[3, 4, 6:9].tolist() == [2, 2, 2]
    bench.client.select_object(1)
    assert [type(p).__name__ for p in bench.prompts] == ["BoxPrompt", "MaskEdit"]
    bench.client.add(Point((9, 9, 9)))
    assert bench.result.array[3, 4, 6:9].tolist() == [2, 2, 2]


def test_a_found_object_is_painted_and_comes_back() -> None:
    bench = Bench()
    bench.result.array[7, 2:5, 2:5] = 9
    bench.result.labels.recount()
    bench.worker.held = True  # both strokes are there before the first is run
    bench.paint((7, 2, 2), [9, 9], [0, 0])
    bench.paint((7, 2, 4), [9, 0], [0, 9])
    bench.worker.held = False
    bench.worker.release()
    bench.client.undo()
    assert bench.result.array[7, 2, 2:6].tolist() == [0, 0, 9, 0]
    bench.client.undo()
    assert bench.result.array[7, 2, 2:6].tolist() == [9, 9, 9, 0]
    assert bench.voxels == {9: 9}
    bench.client.redo()
    bench.client.redo()
    assert bench.result.array[7, 2, 2:6].tolist() == [0, 0, 0, 9]
    assert bench.client.objects()[0].voxels == 7


def test_data_of_another_shape_have_objects_of_their_own() -> None:
    bench = Bench()
    bench.client.add(box(3))
    first = bench.result
    bench.result = PlainTarget((8, 16, 16))
    small = frame_of((8, 16, 16))
    bench.client.open(ImageSource(str(id(IMAGE)), IMAGE[:8], small, version=1), bench.result)
    assert (bench.prompts, bench.voxels) == ([], {})
    assert not bench.client.can_undo
    bench.client.add(box(5))
    assert (bench.client.label, bench.voxels) == (1, {1: 16})
    bench.result = first
    bench.open()
    assert (bench.prompts, bench.voxels) == ([box(3)], {1: 16})
    assert bench.errors == []
