"""The Labels layer of objects: written by us, painted and picked by the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_nninteractive.plugin.layers.paint_events import on_all, read_stroke
from napari_nninteractive.plugin.layers.style import KEY, aligned, tag
from napari_nninteractive.workspace.commands import Stroke
from napari_nninteractive.workspace.label_map import count, difference, dtype_for, numbered

__all__ = ["ObjectsLayer", "PaintListener"]


class PaintListener(Protocol):
    """Told what the user does in the layer."""

    def painted(self, stroke: Stroke, counts: Counter[int]) -> None:
        """Objects won and lost voxels by a stroke; `stroke` is in labels of objects."""

    def counted(self, counts: Counter[int]) -> None:
        """All voxels were counted anew."""

    def picked(self, label: int) -> None:
        """An object was picked."""

    def owner(self, number: int) -> int:
        """Label of the object that voxels painted with a number of the layer go to."""


@dataclass(slots=True, eq=False)
class _Split:
    """Labels of the objects, where the layer shows other numbers."""

    labels: NDArray[Any]
    numbers: dict[int, int]


class ObjectsLayer:
    """LabelTarget of the client.

    Each object has a label of its own. The layer shows these, or the numbers that the user gave to objects, of which
    several may share one; the labels are then kept beside it.

    Parameters
    ----------
    layer : Labels
        From `make`, or any editable one that lies on the image.
    listener : PaintListener
        Told what the user does.

    Attributes
    ----------
    channels : int or None
        Axis of the channels, where the layer has one.
    """

    role = "objects"

    def __init__(self, layer: Any, listener: PaintListener) -> None:
        self.layer, self._listener = layer, listener
        entry = layer.metadata.get(KEY, {})
        kept = entry.get("split")
        fits = isinstance(kept, _Split) and kept.labels.shape == np.shape(layer.data)
        self._split: _Split | None = kept if fits else None
        self.channels: int | None = None
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

    @property
    def numbers(self) -> dict[int, int]:
        """Numbers of the objects that are not shown with their label."""
        return {} if self._split is None else dict(self._split.numbers)

    def labels(self, largest: int) -> NDArray[Any]:
        """Array of all labels, of a dtype that holds the largest."""
        data: NDArray[Any] = self.layer.data if self._split is None else self._split.labels
        if largest > np.iinfo(data.dtype).max:
            data = data.astype(dtype_for(largest))
            if self._split is None:
                self.layer.data = data
            else:
                self._split.labels = data
        return data

    def redraw(self, parts: Sequence[tuple[int | slice, ...]]) -> None:
        """Show what was written into parts of the array."""
        self._version += 1
        if self._split is not None:
            numbers = self._split.numbers
            for key in parts:
                shown = numbered(np.asarray(self._split.labels[key]), numbers)
                if shown.dtype.itemsize > self.layer.data.dtype.itemsize:
                    self.layer.data = self.layer.data.astype(shown.dtype)
                self.layer.data[key] = shown
        self.layer.refresh(thumbnail=False, highlight=False, extent=False)

    def announce(self, numbers: Mapping[int, int]) -> None:
        """Numbers of objects that have no voxels yet, where others have numbers already."""
        if self._split is not None:
            self._split.numbers = dict(numbers)

    def renumber(
        self, numbers: Mapping[int, int]
    ) -> tuple[Callable[[], NDArray[Any]], Callable[[NDArray[Any]], None]]:
        """Show objects with other numbers: what to compute on another thread, and what then to do with it here.

        Parameters
        ----------
        numbers : mapping of int to int
            Number by label, where it is not the label itself.
        """
        labels, version, wanted = self.labels(1), self._version, dict(numbers)

        def show(shown: NDArray[Any]) -> None:
            now = self.labels(1)
            if version != self._version:  # written or painted meanwhile
                shown = numbered(now, wanted)
            self._split = _Split(now, wanted) if wanted else None
            self._keep()
            self.layer.data = shown if wanted else now

        return lambda: numbered(labels, wanted) if wanted else labels, show

    def count(self) -> Counter[int]:
        """Voxels of each label; reads all of them. Channels hold the same: the first one counts."""
        labels = self.labels(1)
        if self.channels is not None:
            labels = labels[(slice(None),) * self.channels + (0,)]
        return count(labels)

    def choose(self, number: int) -> None:
        """Paint with a number from now on."""
        if number > np.iinfo(self.layer.data.dtype).max:
            if self._split is None:
                self.labels(number)
            else:
                self.layer.data = self.layer.data.astype(dtype_for(number))
        if self.layer.selected_label != number:
            self.layer.selected_label = number

    def _keep(self) -> None:
        """Leave the labels with the layer, for a panel that is opened later."""
        entry = self.layer.metadata.get(KEY)
        if isinstance(entry, dict):
            entry["split"] = self._split

    def _on_press(self, layer: Any, event: Any) -> None:
        """In napari's pick mode: go on with the object under the cursor."""
        self._pressed = self._version
        if layer.mode != "pick" or len(event.dims_displayed) != 2:
            return
        voxel = tuple(round(float(v)) for v in layer.world_to_data(event.position))
        labels = self.labels(1)
        if all(0 <= v < n for v, n in zip(voxel, labels.shape, strict=True)) and labels[voxel]:
            self._listener.picked(int(labels[voxel]))

    def _on_paint(self, event: Any) -> None:
        disturbed = (
            self._pressed != self._version
        )  # an object was written while the button was down
        self._version += 1
        self._pressed = self._version
        stroke = read_stroke(event.value, self.layer.data)
        if self.channels is not None:
            stroke = on_all(stroke, self.channels, self.layer.data.shape[self.channels])
            self.layer.data[stroke.key][stroke.touched] = stroke.new[stroke.touched]
        if self._split is not None:
            stroke = self._in_labels(stroke)
        first = (slice(None),) * (self.channels or 0) + (
            slice(None) if self.channels is None else 0,
        )
        self._listener.painted(stroke, difference(stroke.old[first], stroke.new[first]))
        if disturbed:
            self._listener.counted(self.count())
        # Empties napari's own undo of strokes, which says nothing when used; ours takes its place.
        self.layer.data = self.layer.data

    def _in_labels(self, stroke: Stroke) -> Stroke:
        """Write a stroke of numbers into the labels; return it as one of labels."""
        owners = {
            n: self._listener.owner(n) for n in np.unique(stroke.new[stroke.touched]).tolist()
        }
        labels = self.labels(max([1, *owners.values()]))
        where = stroke.key
        old = labels[where].copy()
        for number, owner in owners.items():
            labels[where][stroke.touched & (stroke.new == number)] = owner
        new = labels[where].copy()
        return Stroke(stroke.start, old != new, old, new)
