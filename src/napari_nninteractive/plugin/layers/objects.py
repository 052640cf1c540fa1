"""The Labels layer of objects: written by us, painted and picked by the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_nninteractive.plugin.layers.paint_events import on_all, read_stroke
from napari_nninteractive.plugin.layers.style import KEY, aligned, tag
from napari_nninteractive.workspace.labels.label_map import Key, LabelMap
from napari_nninteractive.workspace.labels.numbers import dtype_for
from napari_nninteractive.workspace.values.placed import Stroke

__all__ = ["ObjectsLayer", "PaintListener"]


class PaintListener(Protocol):
    """Told what the user does in the layer."""

    def painted(self, stroke: Stroke) -> None:
        """Objects won and lost voxels by a stroke, in labels of objects; the label map holds it."""

    def recount(self) -> None:
        """Voxels may have to be counted anew."""

    def select_object(self, label: int) -> None:
        """An object was picked: go on with it."""

    def owner(self, number: int) -> int:
        """Label of the object that voxels painted with a number of the layer go to."""


class ObjectsLayer:
    """Shows a label map in a Labels layer.

    The layer's data are the map's array as long as objects are shown with their labels, else an array of the numbers
    that the user gave to objects, of which several may share one.

    Parameters
    ----------
    layer : Labels
        From `make`, or any editable one that lies on the image.
    listener : PaintListener
        Told what the user does.

    Attributes
    ----------
    labels : LabelMap
        The objects. It is left with the layer, for a panel that is opened later.
    """

    role = "objects"

    def __init__(self, layer: Any, listener: PaintListener) -> None:
        self.layer, self._listener = layer, listener
        entry = layer.metadata.get(KEY, {})
        kept = entry.get("labels")
        fits = isinstance(kept, LabelMap) and kept.array.shape == np.shape(layer.data)
        self.labels: LabelMap = kept if fits and kept.numbers else LabelMap(layer.data)
        self._numbered = bool(self.labels.numbers)
        if isinstance(entry, dict):
            entry["labels"] = self.labels
        self._version = self._pressed = 0
        self._listens = False
        self.listen()

    @staticmethod
    def make(image: Any, shape: tuple[int, ...]) -> Any:
        """Layer for an image layer of that shape."""
        return Labels(
            np.zeros(shape, np.uint8),
            name=f"{image.name}: objects",
            metadata=tag(ObjectsLayer.role, image),
            opacity=0.5,
            **aligned(image),
        )

    def listen(self) -> None:
        """Listen to the layer, again after `close`."""
        if not self._listens:
            self.layer.events.paint.connect(self._on_paint)
            self.layer.mouse_drag_callbacks.append(self._on_press)
            self._listens = True

    def close(self) -> None:
        """Listen no more; the layer stays."""
        if self._listens:
            self.layer.events.paint.disconnect(self._on_paint)
            self.layer.mouse_drag_callbacks.remove(self._on_press)
            self._listens = False

    def redraw(self, parts: Sequence[Key]) -> None:
        """Show what was written into parts of the label map."""
        self._version += 1
        if self._numbered:
            for key in parts:
                shown = self.labels.shown(key)
                self._widen(shown.dtype)
                self.layer.data[key] = shown
        elif self.layer.data is not self.labels.array:  # of a wider type
            self.layer.data = self.labels.array
        self.layer.refresh(thumbnail=False, highlight=False, extent=False)

    def renumber(self) -> tuple[Callable[[], NDArray[Any]], Callable[[NDArray[Any]], None]]:
        """Show the map's numbers: what to compute on another thread, and what then to do with it here."""
        labels, version, wanted = self.labels, self._version, dict(self.labels.numbers)

        def compute() -> NDArray[Any]:
            return labels.shown((...,)) if wanted else labels.array

        def show(shown: NDArray[Any]) -> None:
            if (version, wanted) != (self._version, labels.numbers):  # written or painted meanwhile
                shown = labels.shown((...,)) if labels.numbers else labels.array
            self._numbered = bool(labels.numbers)
            self.layer.data = shown if self._numbered else labels.array

        return compute, show

    def count(self) -> Counter[int]:
        """Voxels of each label; reads all of them."""
        return self.labels.recount()

    def choose(self, number: int) -> None:
        """Paint with a number from now on."""
        if self._numbered:
            self._widen(dtype_for(number))
        else:
            self.labels.reserve(number)
            self._widen(self.labels.array.dtype)
        if self.layer.selected_label != number:
            self.layer.selected_label = number

    def _widen(self, dtype: np.dtype[Any]) -> None:
        """Show an array whose type holds more, where it is needed."""
        if dtype.itemsize <= self.layer.data.dtype.itemsize:
            return
        self.layer.data = self.layer.data.astype(dtype) if self._numbered else self.labels.array

    def _on_press(self, layer: Any, event: Any) -> None:
        """In napari's pick mode: go on with the object under the cursor."""
        self._pressed = self._version
        if layer.mode != "pick" or len(event.dims_displayed) != 2:
            return
        voxel = tuple(round(float(v)) for v in layer.world_to_data(event.position))
        labels = self.labels.array
        if all(0 <= v < n for v, n in zip(voxel, labels.shape, strict=True)) and labels[voxel]:
            self._listener.select_object(int(labels[voxel]))

    def _on_paint(self, event: Any) -> None:
        disturbed = (
            self._pressed != self._version
        )  # an object was written while the button was down
        self._version += 1
        self._pressed = self._version
        stroke = read_stroke(event.value, self.layer.data)
        axis = self.labels.channel_axis
        if axis is not None:
            stroke = on_all(stroke, axis, self.layer.data.shape[axis])
            self.layer.data[stroke.key][stroke.touched] = stroke.new[stroke.touched]
        if self._numbered:
            stroke = self._in_labels(stroke)
        self._listener.painted(stroke)
        if disturbed:
            self._listener.recount()
        # Assigning the data empties napari's own undo of strokes; ours takes its place.
        self.layer.data = self.layer.data

    def _in_labels(self, stroke: Stroke) -> Stroke:
        """Write a stroke of numbers into the labels; return it as one of labels."""
        owners = {
            n: self._listener.owner(n) for n in np.unique(stroke.new[stroke.touched]).tolist()
        }
        self.labels.reserve(max([1, *owners.values()]))
        labels = self.labels.array
        where = stroke.key
        old = labels[where].copy()
        for number, owner in owners.items():
            labels[where][stroke.touched & (stroke.new == number)] = owner
        new = labels[where].copy()
        return Stroke(stroke.start, old != new, old, new)
