"""Between napari's viewer and the client: which image, where in it, and what was drawn there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame, frame_of, voxel_size
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.errors import ImageError, NNInteractiveError, PromptError
from napari_nninteractive.plugin.layers import drawings
from napari_nninteractive.plugin.layers.layer_set import LayerSet
from napari_nninteractive.plugin.layers.objects import ObjectsLayer
from napari_nninteractive.plugin.layers.prompts import Drawing
from napari_nninteractive.plugin.layers.style import KEY, Tool
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.commands import ImageSource, PlacedPrompt, Stroke

__all__ = ["FLAT_ONLY", "ViewerLink"]

FLAT_ONLY = "Prompts are drawn in slices: go back to the 2D view with the second button below the list of layers."
_HIDDEN = "The prompts' layer is hidden, so clicks draw nothing: show it again, or press a tool."
_UNSEEN = "The layer of objects is hidden: what is found does not show."
_SIDE = 64  # corners of the polygon that stands for an ellipse
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


class ViewerLink:
    """Follows the viewer, and is told by the layers what is drawn.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, or napari's public proxy of it.
    client : WorkspaceClient
        Gets the prompts.
    keys : callable
        Gives what our layers' keys do.
    """

    image_changed = Signal()
    failed = Signal(object)
    hinted = Signal(str)

    def __init__(
        self,
        viewer: Any,
        client: WorkspaceClient,
        keys: Callable[[], dict[str, Callable[[], object]]] = dict,
    ) -> None:
        self._viewer, self._client, self._keys = viewer, client, keys
        self._set: LayerSet | None = None
        self._image: Any = None
        self._channel: int | None = None
        self._version = 0
        self._painting = (
            0  # number of the object that was the current one when its layer was last told
        )
        self._results: dict[str, ObjectsLayer] = {}
        self.tool: Tool = "point"
        self.positive = True
        client.prompts_changed.connect(self._show)
        client.frame_wanted.connect(self._go_to_frame)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._on_active)

    # Images

    @property
    def image(self) -> Any:
        """Image layer that is segmented, or None."""
        return self._image

    @property
    def set(self) -> LayerSet | None:
        """Its layers."""
        return self._set

    def images(self) -> list[Any]:
        """Image layers of the viewer that can be segmented."""
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and KEY not in layer.metadata
        ]

    def choose(self, image: Any | None, channel: int | None = None) -> None:
        """Segment an image layer, or one channel of it; None for no image. One that cannot be: the last stays."""
        before = (None, None) if self._image is image else (self._image, self._channel)
        if self._set is not None and (image is None or self._set.image is not image):
            left = self._set
            self._close_set()
            left.set_visible(False)
        self._listen(on=False)
        self._image, self._channel = image, channel
        self._listen(on=True)
        if image is None:
            self._client.close_image()
        elif not self._try_open(*before):
            return
        self.image_changed.emit()

    def follow(self) -> None:
        """Go to the time point that the viewer shows."""
        source = self._client.source
        if (
            self._image is not None
            and source is not None
            and self._frame(self._position()) != source.frame
            and self._try_open()
        ):
            self.image_changed.emit()

    # Tools

    def arm(self, tool: Tool | None = None, *, positive: bool | None = None) -> None:
        """Draw with a tool and a sign from now on; those of before by default."""
        self.tool = self.tool if tool is None else tool
        self.positive = self.positive if positive is None else positive
        if self._image is not None and self._set is None:
            self._try_open()
        if self._set is not None:
            self._set.arm(self._viewer, self.tool, positive=self.positive)

    def flip_selected(self) -> bool:
        """Flip the sign of the selected prompts. Returns whether there were any."""
        uids = self._set.selected() if self._set is not None else []
        self._client.flip(uids)
        return bool(uids)

    def go_to(self, placed: PlacedPrompt) -> None:
        """Bring the viewer to a prompt, and select it in its layer."""
        if self._set is not None:
            self._set.select(placed.uid)
        source = self._client.source
        if source is None or self._image is None:
            return
        box = placed.prompt.bounds
        middle = [(a + b - 1) // 2 for a, b in zip(box.start, box.stop, strict=True)]
        centre = source.frame.to_layer(middle)[0]
        world = self._image.data_to_world(centre)
        ndim = self._viewer.dims.ndim
        for axis, value in enumerate(world, start=ndim - len(world)):
            self._viewer.dims.set_point(axis, value)

    def start_from(self, layer: Any) -> None:
        """Start the current object from the selected label of a Labels layer."""
        source = self._client.source
        if source is None:
            return
        data, label, frame = layer.data, int(layer.selected_label), source.frame
        if not self._lies_on_image(layer):
            self.failed.emit(
                PromptError(
                    f"{layer.name} lies elsewhere than the image, or has other voxels: save it on the voxels of the "
                    "image first, or give both the same scale and place."
                )
            )
            return
        if tuple(data.shape) == frame.shape:
            box = Box.of_shape(frame.volume_shape)
            self._client.start_from(lambda: frame.read(data, box) == label)
        elif tuple(data.shape) == frame.volume_shape[3 - len(frame.spatial) :]:
            shape = frame.volume_shape
            self._client.start_from(lambda: (np.asarray(data) == label).reshape(shape))
        else:
            self.failed.emit(
                PromptError(
                    f"{layer.name} has {data.shape} voxels, but the image has {frame.shape}; choose another."
                )
            )

    # DrawingListener: what the layers report

    def add(self, drawing: Drawing) -> int | None:
        """Something was drawn."""
        if self._viewer.dims.ndisplay == 3:
            self.failed.emit(PromptError(FLAT_ONLY))
            return None
        try:
            frame = self._frame_of(drawing)
            prompt = self._prompt(drawing, frame)
        except NNInteractiveError as error:
            self.failed.emit(error)
            return None
        source = self._client.source
        elsewhere = source is None or source.frame != frame  # drawn before the panel followed
        if elsewhere:
            self._open(frame)
        uid = self._client.add(prompt, _outline(drawing))
        if elsewhere:
            self.image_changed.emit()
        return uid

    def move(self, uid: int, drawing: Drawing) -> bool:
        """Something was moved or reshaped."""
        try:
            frame = self._frame_of(drawing)
            source = self._client.source
            if source is None or source.frame != frame:
                raise PromptError(
                    "A prompt cannot move to another time point; draw a new one there."
                )
            prompt = self._prompt(drawing, frame)
        except NNInteractiveError as error:
            self.failed.emit(error)
            return False
        self._client.move(uid, prompt, _outline(drawing))
        return True

    def remove(self, uid: int) -> None:
        """Something was deleted."""
        self._client.remove(uid)

    def painted(self, stroke: Stroke) -> None:
        """Something was painted into the objects."""
        self._client.painted(stroke)

    def recount(self) -> None:
        """Voxels may have to be counted anew."""
        self._client.recount()

    def picked(self, label: int) -> None:
        """An object was picked in the result: go on with it."""
        self._client.select_object(label)

    def owner(self, number: int) -> int:
        """Label of the object that voxels painted with a number go to."""
        return self._client.owner(number)

    def close(self) -> None:
        """Listen no more; the user's work stays in the viewer."""
        self._close_set()
        self._results.clear()
        self._listen(on=False)
        self._client.prompts_changed.disconnect(self._show)
        self._client.frame_wanted.disconnect(self._go_to_frame)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.layers.selection.events.active.disconnect(self._on_active)
        self._viewer = self._image = None

    # Inside

    def _position(self) -> Sequence[float]:
        """Where the viewer stands, in data coordinates of the image."""
        world = self._viewer.dims.point[-self._image.ndim :]
        return [float(v) for v in self._image.world_to_data(world)]

    def _frame(self, position: Sequence[float]) -> Frame:
        image = self._image
        data = image.data[0] if image.multiscale else image.data
        return frame_of(
            data.shape, image.axis_labels, rgb=image.rgb, position=position, channel=self._channel
        )

    def _frame_of(self, drawing: Drawing) -> Frame:
        if self._image is None:
            raise PromptError("There is no image to segment: open one, then choose it at the top.")
        return self._frame(drawing.vertices[0].tolist())

    def _try_open(self, instead: Any | None = None, channel: int | None = None) -> bool:
        """Open the image where the viewer stands; one that cannot be segmented is said, and another one taken."""
        try:
            self._open(self._frame(self._position()))
        except (NNInteractiveError, MemoryError) as error:
            self._listen(on=False)
            self._image = None  # nothing to go back to a second time
            self.choose(instead, channel)
            self.failed.emit(error)
            return False
        return True

    def _lies_on_image(self, layer: Any) -> bool:
        """Whether the voxels of a layer lie on those of the image, along the axes that it has."""
        n = min(layer.ndim, self._image.ndim)
        corners = np.vstack([np.zeros(n), np.diag(np.asarray(layer.data.shape[-n:], float))])

        def places(of: Any) -> Any:
            world = [of.data_to_world(np.pad(c, (of.ndim - n, 0)))[-n:] for c in corners]
            return np.asarray(world)

        at = np.asarray(self._image.data_to_world(np.zeros(self._image.ndim)))
        units = np.eye(self._image.ndim)[-n:]
        edge = min(np.linalg.norm(np.asarray(self._image.data_to_world(u)) - at) for u in units)
        return bool(np.abs(places(layer) - places(self._image)).max() <= 0.5 * edge)

    def _open(self, frame: Frame) -> None:
        """Make the layers of the image, where there are none, and tell the client."""
        image = self._image
        if self._set is None:
            self._set = LayerSet(self._viewer, image, frame, self, self, self._results)
            self._set.bind(self._keys())
            for layer in self._set.layers:
                layer.events.visible.connect(self._on_visible)
        data = image.data[0] if image.multiscale else image.data
        corners = np.vstack([np.zeros(frame.ndim), np.eye(frame.ndim)])
        world = [image.data_to_world(corner) for corner in corners]
        result = self._set.result
        existing = (
            None if self._set.is_new else result.count
        )  # takes a while: only where it is needed
        self._set.is_new = True
        size = voxel_size(world, frame)
        source = ImageSource(str(image.unique_id), data, frame, size, self._version)
        self._client.open(source, result, existing)

    def _prompt(self, drawing: Drawing, frame: Frame) -> Prompt:
        sign = {"positive": drawing.positive}
        match drawing.kind:
            case "point":
                return drawings.point(drawing.vertices[0].tolist(), frame, **sign)
            case "rectangle":
                return drawings.box_prompt(drawing.vertices, frame, self._depth(frame), **sign)
            case "ellipse":
                corners = _round(drawing.vertices)
                return drawings.lasso(corners, frame, self._depth(frame), **sign)
            case "polygon" | "path":
                return drawings.lasso(drawing.vertices, frame, self._depth(frame), **sign)
            case "scribble" if drawing.mask is not None:
                start = drawing.vertices[0].astype(int).tolist()
                return drawings.scribble(drawing.mask, start, frame, **sign)
        raise PromptError(
            f"A {drawing.kind} is no prompt: draw a box, a lasso, or paint with the scribble tool."
        )

    def _depth(self, frame: Frame) -> int | None:
        """Axis of the layer that the viewer looks along."""
        hidden = [
            a - (self._viewer.dims.ndim - frame.ndim) for a in self._viewer.dims.not_displayed
        ]
        return next((a for a in reversed(hidden) if a in frame.spatial), None)

    def _show(self, placed: tuple[PlacedPrompt, ...]) -> None:
        source = self._client.source
        if self._set is not None and source is not None:
            self._set.show(placed, source.frame)
            number = self._client.table.labels.number(self._client.label)
            if number != self._painting:  # else the user may paint with another
                self._set.result.choose(number)
                self._painting = number

    def _close_set(self) -> None:
        if self._set is not None:
            for layer in self._set.layers:
                layer.events.visible.disconnect(self._on_visible)
            self._set.close()
            self._set = None

    def _listen(self, *, on: bool) -> None:
        """Follow the data and the place in space of the image, or no longer."""
        if self._image is not None:
            events = self._image.events
            for event, slot in (
                (events.data, self._on_data),
                *((getattr(events, name), self._on_space) for name in _PLACE),
            ):
                (event.connect if on else event.disconnect)(slot)

    def _on_space(self, _event: Any) -> None:
        """The image lies elsewhere now: our layers follow, and volumes are counted with the new voxels."""
        if self._set is not None and self._image is not None:
            self._set.align(self._image)
            self._version += 1
            if self._try_open():
                self.image_changed.emit()

    def _go_to_frame(self, frame: Frame) -> None:
        """Show a time point and channel, and segment there."""
        if self._image is None:
            return
        self._channel = frame.channel
        world = self._image.data_to_world(frame.to_layer((0, 0, 0))[0])
        first = self._viewer.dims.ndim - frame.ndim
        for axis in range(frame.ndim):
            if axis not in frame.spatial and axis != frame.channels:
                self._viewer.dims.set_point(first + axis, world[axis])
        self._open(frame)
        self.image_changed.emit()

    def _on_data(self, _event: Any) -> None:
        """The image holds other data now: read it again, and make other layers if its shape is another."""
        source = self._client.source
        self._version += 1
        data = self._image.data[0] if self._image.multiscale else self._image.data
        shape = data.shape[:-1] if self._image.rgb else data.shape
        if source is not None and source.frame.shape != tuple(shape):
            self._close_set()
            self.arm()
        if self._image is not None and self._try_open():
            self.image_changed.emit()

    def _on_visible(self, event: Any) -> None:
        """Say why clicks do nothing where the user hid the layer that is drawn in, or why nothing shows."""
        layer = event.source
        if layer.visible or self._set is None:
            return
        if layer == self._set.result.layer:
            self.hinted.emit(_UNSEEN)
        elif self._viewer.layers.selection.active == layer:
            self.hinted.emit(_HIDDEN)

    def _on_active(self, event: Any) -> None:
        """Draw with the sign of the panel in whatever layer of ours the user goes to."""
        if self._set is not None:
            self._set.sign(event.value, positive=self.positive)

    def _on_removed(self, event: Any) -> None:
        if self._image is not None and event.value == self._image:
            self.choose(None)
            self.failed.emit(ImageError("The image was removed; its objects stay. Choose another."))
        elif self._set is not None and self._set.owns(event.value):
            self._close_set()
            self.failed.emit(
                ImageError("A layer of the panel was removed: press a tool to get a new one.")
            )


def _outline(drawing: Drawing) -> Any:
    """What to show again for a prompt; a scribble shows its own voxels."""
    return None if drawing.kind == "scribble" else drawing.vertices


def _round(corners: Any) -> Any:
    """Polygon of an ellipse, of which napari tells the corners of the box round it, in order."""
    first, second, _, last = np.asarray(corners, np.float64)
    middle = (second + last) / 2
    turn = np.linspace(0, 2 * np.pi, _SIDE, endpoint=False)[:, None]
    return middle + np.cos(turn) * (second - first) / 2 + np.sin(turn) * (last - first) / 2
