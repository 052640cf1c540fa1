"""The workspace under any order of actions: the label map shows what the objects have, and undo is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from fixtures.held_worker import HeldWorker
from fixtures.label_targets import PlainTarget
from fixtures.windows import oracle_workspace
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from napari_nninteractive.core.frame import Frame, frame_of
from napari_nninteractive.core.prompts import BoxPrompt, Point
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.labels.numbers import count
from napari_nninteractive.workspace.values.placed import ImageSource, Stroke

SHAPE = (2, 1, 6, 6)  # two time points
IMAGE = np.random.default_rng(0).random(SHAPE).astype(np.float32)
SIDE = st.integers(0, 5)


class WorkspaceMachine(RuleBasedStateMachine):
    """Two time points of a small image, and a list of what the label map looked like after each action."""

    @initialize(found=st.booleans())
    def begin(self, found: bool) -> None:
        self.worker = HeldWorker()
        self.client = WorkspaceClient(self.worker, oracle_workspace(patch=(16, 16, 16)))
        self.client.failed.connect(self.raise_)
        self.target = PlainTarget(SHAPE)
        if found:  # objects from elsewhere
            self.target.array[0, 0, 1:3, 1:4] = 2
            self.target.array[1, 0, 0, :] = 1
        self.time = 0
        self.open()
        self.client.frame_wanted.connect(self.go_to)
        self.past: list[Any] = []
        self.future: list[Any] = []

    def raise_(self, error: BaseException) -> None:
        if "mark the object too" not in str(error):
            raise error

    def open(self) -> None:
        frame = frame_of(SHAPE, position=(self.time, 0, 0, 0))
        recount = self.target.labels.recount
        self.client.open(ImageSource("image", IMAGE, frame), self.target, recount)

    def go_to(self, frame: Frame) -> None:
        self.time = frame.index[0]
        self.open()

    def act(self, do: Any) -> None:
        """Do something, and note what there was before if it was an action."""
        before, depth = self.target.array.copy(), self.depth()
        do()
        if self.depth() > depth:
            self.past.append(before)
            self.future.clear()

    def depth(self) -> int:
        return len(self.client.workspace._history_of("image", self.client.source.frame).past)

    @rule(low=st.tuples(SIDE, SIDE), size=st.tuples(SIDE, SIDE), positive=st.booleans())
    def box(self, low: Any, size: Any, positive: bool) -> None:
        high = [min(a + n + 1, 6) for a, n in zip(low, size, strict=True)]
        prompt = BoxPrompt((0, *low), (1, *high), positive)
        self.act(lambda: self.client.add(prompt))

    @rule(at=st.tuples(SIDE, SIDE), positive=st.booleans())
    def point(self, at: Any, positive: bool) -> None:
        self.act(lambda: self.client.add(Point((0, *at), positive)))

    @rule(overwrite=st.booleans())
    def choose_overwrite(self, overwrite: bool) -> None:
        self.client.overwrite = overwrite

    @precondition(lambda self: self.client.placed)
    @rule(which=st.integers(0, 9), flip=st.booleans())
    def change(self, which: int, flip: bool) -> None:
        drawn = [
            p for p in self.client.placed if p.prompt.kind not in ("initial_mask", "mask_edit")
        ]
        if drawn:
            uid = drawn[which % len(drawn)].uid
            self.act(lambda: self.client.flip([uid]) if flip else self.client.remove(uid))

    @rule()
    def next_object(self) -> None:
        self.act(self.client.next_object)

    @rule()
    def reset(self) -> None:
        self.act(self.client.reset)

    @precondition(lambda self: self.client.objects())
    @rule(which=st.integers(0, 9), delete=st.booleans())
    def choose(self, which: int, delete: bool) -> None:
        objects = self.client.objects()
        label = objects[which % len(objects)].label
        self.act(
            lambda: self.client.delete_object(label) if delete else self.client.select_object(label)
        )

    @rule(row=SIDE, start=SIDE, labels=st.lists(st.integers(0, 4), min_size=1, max_size=6))
    def paint(self, row: int, start: int, labels: list[int]) -> None:
        labels = labels[: 6 - start]
        key = (slice(self.time, self.time + 1), slice(0, 1), slice(row, row + 1))
        key = (*key, slice(start, start + len(labels)))
        old = self.target.array[key].copy()
        new = np.array(labels, old.dtype).reshape(old.shape)
        before, depth = self.target.array.copy(), self.depth()
        self.target.array[key] = new
        self.client.painted(Stroke((self.time, 0, row, start), old != new, old, new))
        if self.depth() > depth:
            self.past.append(before)
            self.future.clear()

    @rule()
    def other_time(self) -> None:
        self.time = 1 - self.time
        self.open()

    @rule()
    def undo(self) -> None:
        now = self.target.array.copy()
        self.client.undo()
        if self.past:
            self.future.append(now)
            np.testing.assert_array_equal(self.target.array, self.past.pop())

    @rule()
    def redo(self) -> None:
        now = self.target.array.copy()
        self.client.redo()
        if self.future:
            self.past.append(now)
            np.testing.assert_array_equal(self.target.array, self.future.pop())

    @invariant()
    def sizes_are_counted(self) -> None:
        assert +self.target.labels.voxels == count(self.target.array)

    @invariant()
    def what_is_shown_belongs_to_an_object(self) -> None:
        """Each voxel of an object that was made here lies in that object's mask."""
        workspace = self.client.workspace
        for time in range(2):
            frame = frame_of(SHAPE, position=(time, 0, 0, 0))
            made = workspace.objects("image", frame)
            history = workspace._history_of("image", frame)
            for label in np.unique(self.target.array[time]).tolist():
                known = (frame, label) in history.now.objects
                if label and known:
                    mask = made[label][1] if label in made else None
                    shown = self.target.array[time] == label
                    inside = np.zeros(shown.shape, bool)
                    if mask is not None:
                        inside[mask.bounds.slices] = mask.mask
                    assert not (shown & ~inside).any(), f"{label} shows what it does not have"

    def teardown(self) -> None:
        if hasattr(self, "client"):
            while self.past:
                self.undo()
            assert not self.client.can_undo


TestWorkspaceMachine = WorkspaceMachine.TestCase
TestWorkspaceMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
