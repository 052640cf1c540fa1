"""Random actions in the window: no exception, what is shown is what there is, and undo leads back to nothing.

100 actions here; `tox -e monkey` does 1,000 of them with each of three seeds (NNI_MONKEY_ACTIONS, NNI_MONKEY_SEEDS).
"""

from __future__ import annotations

import gc
import os
import random
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fixtures.mouse import spin

from napari_nninteractive.core.box import Box

ACTIONS = int(os.environ.get("NNI_MONKEY_ACTIONS", "100"))
SEEDS = range(int(os.environ.get("NNI_MONKEY_SEEDS", "1")))
SHAPE = (8, 20, 24)
IMAGE = np.random.default_rng(0).random(SHAPE).astype(np.float32)

Open = Callable[..., Any]


class Monkey:
    """Does to a panel what a user in a hurry does.

    Parameters
    ----------
    shown : WindowlessUser
        With the panel.
    seed : int
        Of what it does.
    """

    def __init__(self, shown: Any, seed: int) -> None:
        self.shown, self.random, self.done = shown, random.Random(seed), 0
        self.trace: list[str] = []
        self.original = IMAGE

    def act(self) -> None:
        """Do one thing; now and then wait for the answer."""
        names = [name for name in dir(self) if name.startswith("do_")]
        weights = [5 if name in ("do_draw", "do_key", "do_push") else 1 for name in names]
        (name,) = self.random.choices(names, weights)
        self.trace.append(name)
        getattr(self, name)()
        if self.random.random() < 0.7:
            self.shown.wait()

    def voxel(self) -> tuple[int, ...]:
        return tuple(self.random.randrange(n) for n in SHAPE)

    def pick(self, choices: Any) -> Any:
        return self.random.choice(list(choices))

    def do_draw(self) -> None:
        tool, positive = (
            self.pick(["point", "box", "scribble", "lasso"]),
            self.random.random() < 0.7,
        )
        self.trace.append(tool)
        self.shown.choose(tool, positive=positive)
        z = self.random.randrange(SHAPE[0])
        path = [(z, *self.voxel()[1:]) for _ in range(4)]
        if tool == "point":
            self.shown.click(path[0])
        else:
            self.shown.drag(path)

    def do_paint(self) -> None:
        labels = [row.label for row in self.shown.client.objects()]
        z = self.random.randrange(SHAPE[0])
        path = [(z, *self.voxel()[1:]) for _ in range(3)]
        self.shown.panel.link.restore_layers()
        self.shown.paint_objects(self.pick([*labels, self.shown.client.label, 0]), path)

    def do_key(self) -> None:
        key, shift = self.pick(
            [("N", 0), ("U", 0), ("U", 1), ("Q", 0), ("W", 0), ("G", 0), ("K", 0)]
        )
        active = self.shown.viewer.layers.selection.active
        self.trace.append(f"{key}{shift}")
        if active is not None and any(str(bound) == "N" for bound in active.keymap):
            self.shown.press(key, shift=bool(shift))

    def do_push(self) -> None:
        view = self.shown.panel.view
        buttons = (
            view.prompts.undo, view.prompts.redo, view.prompts.flip, view.prompts.delete, view.objects.next,
            view.objects.reset, view.objects.edit, view.objects.delete, view.objects.start, view.drawing.run,
            view.drawing.auto_run, view.drawing.cancel,
        )  # fmt: skip
        button = self.pick(buttons)
        self.trace.append(button.text())
        button.click()

    def do_choose(self) -> None:
        prompts, objects = self.shown.panel.view.prompts.list, self.shown.panel.view.objects.list
        if prompts.count():
            prompts.setCurrentRow(self.random.randrange(prompts.count()))
        if objects.rowCount():
            objects.selectRow(self.random.randrange(objects.rowCount()))

    def do_undo_storm(self) -> None:
        for _ in range(self.random.randrange(1, 12)):
            self.pick([self.shown.client.undo, self.shown.client.redo])()

    def do_option(self) -> None:
        name = self.pick(["overwrite", "probability"])
        self.shown.panel.view.objects.options[name].native.click()

    def do_model(self) -> None:
        models = self.shown.panel.parts.models
        self.pick([lambda: models.choose_folder("/nowhere/at/all"), lambda: models.choose("builtin"),
                   lambda: models.choose_device(self.pick(["cpu", "auto"]))])()  # fmt: skip

    def do_edit_layer(self) -> None:
        layers = self.shown.layers
        if layers is None:
            return
        points, shapes = layers.points.layer, layers.shapes.layer
        if len(points.data) and self.random.random() < 0.5:
            points.selected_data = {self.random.randrange(len(points.data))}
            points.remove_selected()
        elif len(shapes.data):
            shapes.selected_data = {self.random.randrange(len(shapes.data))}
            shapes.remove_selected()

    def do_hide(self) -> None:
        if self.shown.layers is not None:
            layer = self.pick(self.shown.layers.layers)
            layer.visible = not layer.visible

    def do_remove_layer(self) -> None:
        if self.shown.layers is not None:
            self.shown.wait()
            self.shown.viewer.layers.remove(self.pick(self.shown.layers.layers))
            self.shown.choose("point")

    def do_replace_data(self) -> None:
        constant = self.random.random() < 0.3
        self.shown.image.data = np.zeros_like(IMAGE) if constant else IMAGE.copy()
        self.shown.wait()
        if constant:
            self.shown.image.data = IMAGE.copy()
            self.shown.wait()
            self.shown.choose("point")

    def do_third_dimension(self) -> None:
        self.shown.viewer.dims.ndisplay = 3
        self.shown.click(self.voxel())
        self.shown.viewer.dims.ndisplay = 2

    def do_save(self) -> None:
        self.shown.panel.parts.files.autosave()

    def do_mask(self) -> None:
        mask = np.zeros(SHAPE, np.uint8)
        mask[2:4, 3:9, 3:9] = 1
        if not self.shown.panel.link.other_labels():
            self.shown.viewer.add_labels(mask, name="mask")


def check(shown: Any) -> None:
    """What is shown is the union of the objects, and the table tells of it."""
    shown.panel.link.restore_layers()
    shown.wait()
    voxels = shown.voxels()
    assert {label: n for label, n in shown.sizes.items() if n} == voxels
    source = shown.client.source
    objects = shown.client.workspace.objects(source.image, source.frame)
    union = np.zeros(SHAPE, bool)
    whole = {}
    for label, (_, edit) in objects.items():
        mask = np.zeros(SHAPE, bool)
        if edit is not None:
            assert Box.of_shape(SHAPE).contains(edit.bounds)
            mask[edit.bounds.slices] = edit.mask
        whole[label] = mask
        union |= mask
    np.testing.assert_array_equal(union, shown.labels > 0)
    for label in voxels:
        assert not ((shown.labels == label) & ~whole[label]).any(), label


@pytest.mark.parametrize("seed", SEEDS)
def test_random_actions(windowless: Open, seed: int) -> None:
    shown = windowless(IMAGE)
    monkey = Monkey(shown, seed)
    for n in range(ACTIONS):
        monkey.act()
        if n % 20 == 19:
            check(shown)
    check(shown)
    while shown.client.can_undo:
        shown.client.undo()
        shown.wait()
    assert shown.voxels() == {}, monkey.trace
    assert shown.client.objects() == []
    workspace = weakref.ref(shown.client.workspace)
    shown.close_panel()
    shown.panel = None
    spin(50)
    gc.collect()
    assert workspace() is None, "memory comes back"
