"""Scribbles in a plain Labels layer, kept in step with the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import Scribble
from napari_nninteractive.plugin.layers import drawings
from napari_nninteractive.plugin.layers.drawings import Drawing, DrawingListener
from napari_nninteractive.plugin.layers.paint_events import read_stroke
from napari_nninteractive.plugin.layers.style import SignColours, aligned, tag
from napari_nninteractive.workspace.values.placed import PlacedPrompt

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.utils.events import Event

__all__ = ["ScribblePrompts"]


@dataclass(slots=True, eq=False)
class _Painted:
    """A stroke as the layer holds it."""

    number: int
    start: tuple[int, ...]
    mask: NDArray[np.bool_]

    @property
    def positive(self) -> bool:
        return _is_positive(self.number)


class ScribblePrompts:
    """Scribbles in a Labels layer: each stroke has a number of its own, odd where it is positive and even where not.

    So two colours that take turns show every sign, and the layer's colormap is made once: napari computes a table of
    all numbers for each new one, which takes longer than a key press may.
    """

    role = "scribbles"

    def __init__(self, layer: Labels, listener: DrawingListener, colours: SignColours) -> None:
        self.layer, self._listener = layer, listener
        self._known: dict[int, _Painted] = {}
        self._colormap = _two_colours(colours)
        self._positive = True
        # What a closed panel left.
        if layer.data.any():
            layer.data[...] = 0
            layer.refresh()
        layer.events.paint.connect(self._on_paint)
        self.arm(positive=True)

    @staticmethod
    def make(image: Image, shape: tuple[int, ...], extent: float) -> Labels:
        """Layer for an image layer of that shape. Its memory is taken page by page, where it is painted."""
        layer = Labels(
            np.zeros(shape, np.uint16),
            name=f"{image.name}: scribbles",
            metadata=tag(ScribblePrompts.role, image),
            opacity=0.8,
            **aligned(image),
        )
        layer.brush_size = max(2, round(extent / 100))
        return layer

    def close(self) -> None:
        """Listen no more; the layer stays."""
        self.layer.events.paint.disconnect(self._on_paint)

    def arm(self, *, positive: bool) -> None:
        """Paint the next stroke with this sign."""
        self._positive = positive
        if self.layer.colormap is not self._colormap:
            self.layer.colormap = self._colormap
        number = self._free_number(positive)
        if self.layer.selected_label != number:
            self.layer.selected_label = number

    def show(self, placed: Sequence[PlacedPrompt], frame: Frame) -> None:
        """Show these scribbles, and no others; does nothing where they are there already."""
        wanted = {m.uid: m.prompt for m in placed if isinstance(m.prompt, Scribble)}
        changed = False
        for uid, painted in list(self._known.items()):
            prompt = wanted.get(uid)
            if prompt is None or not _same(painted, prompt, frame):
                self._clear(painted)
                del self._known[uid]
                changed = True
        for uid, prompt in wanted.items():
            if uid not in self._known:
                self._put(uid, prompt, frame)
                changed = True
            elif self._known[uid].positive != prompt.positive:
                self._renumber(self._known[uid], self._free_number(prompt.positive))
                changed = True
        if changed:
            self.arm(positive=self._positive)
            self._settle()

    def _on_paint(self, event: Event) -> None:
        stroke = read_stroke(event.value, self.layer.data)
        numbers = {p.number: uid for uid, p in self._known.items()}
        erased = stroke.touched & (stroke.new == 0)
        for number in np.unique(stroke.old[erased]).tolist():
            if number in numbers:
                self._erase(numbers[number], stroke.start, erased & (stroke.old == number))
        for number in np.unique(stroke.new[stroke.touched & (stroke.new != 0)]).tolist():
            mask = stroke.touched & (stroke.new == number)
            if number in numbers:
                self._extend(numbers[number], stroke.start, mask)
            else:
                self._begin(number, stroke.start, mask)
        self.arm(positive=self._positive)
        self._settle()

    def _begin(self, number: int, start: tuple[int, ...], mask: NDArray[np.bool_]) -> None:
        painted = _Painted(number, start, mask)
        # Painted with a number that the user chose.
        if painted.positive != self._positive:
            self._renumber(painted, self._free_number(self._positive))
        uid = self._listener.add(_drawing(painted))
        if uid is None:
            self._clear(painted)
        else:
            self._known[uid] = painted

    def _erase(self, uid: int, start: tuple[int, ...], erased: NDArray[np.bool_]) -> None:
        painted = self._known[uid]
        low, mask = _joined(painted, start, erased.shape)
        mask[_part(start, low, erased.shape)][erased] = False
        if mask.any():
            self._change(uid, replace(painted, start=low, mask=mask))
        else:
            del self._known[uid]
            self._listener.remove(uid)

    def _extend(self, uid: int, start: tuple[int, ...], more: NDArray[np.bool_]) -> None:
        painted = self._known[uid]
        low, mask = _joined(painted, start, more.shape)
        mask[_part(start, low, more.shape)] |= more
        self._change(uid, replace(painted, start=low, mask=mask))

    def _change(self, uid: int, painted: _Painted) -> None:
        if self._listener.move(uid, _drawing(painted)):
            self._known[uid] = painted

    def _put(self, uid: int, prompt: Scribble, frame: Frame) -> None:
        start, mask = frame.mask_in_layer(prompt.mask, prompt.bounds.start)
        painted = _Painted(self._free_number(prompt.positive), start, mask)
        part = self.layer.data[_box(painted)]
        part[painted.mask] = painted.number
        self._known[uid] = painted

    def _clear(self, painted: _Painted) -> None:
        part = self.layer.data[_box(painted)]
        part[part == painted.number] = 0

    def _renumber(self, painted: _Painted, number: int) -> None:
        """Give a stroke another number, and so another sign, where it is seen."""
        part = self.layer.data[_box(painted)]
        part[part == painted.number] = number
        painted.number = number

    def _free_number(self, positive: bool) -> int:
        """Lowest number of a sign that no stroke has."""
        used = {p.number for p in self._known.values()}
        return next(n for n in count(1 if positive else 2, 2) if n not in used)

    def _settle(self) -> None:
        """Redraw. Assigning the data clears napari's own undo stack, for which it has no public call."""
        self.layer.data = self.layer.data


def _is_positive(number: int) -> bool:
    return number % 2 == 1


def _two_colours(colours: SignColours) -> CyclicLabelColormap:
    """Nothing for 0, then the colours of positive and negative in turn."""
    table = [transform_color(c)[0] for c in ("transparent", colours.positive, colours.negative)]
    return CyclicLabelColormap(colors=np.array(table), name="scribbles")


def _box(painted: _Painted) -> tuple[slice, ...]:
    return tuple(slice(a, a + n) for a, n in zip(painted.start, painted.mask.shape, strict=True))


def _part(start: Sequence[int], low: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(a - b, a - b + n) for a, b, n in zip(start, low, shape, strict=True))


def _joined(
    painted: _Painted, start: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
    """A stroke's mask in a box that holds another part too."""
    low = np.minimum(painted.start, start)
    high = np.maximum(np.add(painted.start, painted.mask.shape), np.add(start, shape))
    mask = np.zeros(tuple(high - low), bool)
    first = tuple(int(v) for v in low)
    mask[_part(painted.start, first, painted.mask.shape)] = painted.mask
    return first, mask


def _drawing(painted: _Painted) -> Drawing:
    return Drawing(
        "scribble", painted.positive, np.array([painted.start], np.float64), painted.mask
    )


def _same(painted: _Painted, prompt: Scribble, frame: Frame) -> bool:
    """Whether the layer shows this scribble, whatever its sign."""
    shown = drawings.scribble(painted.mask, painted.start, frame, positive=prompt.positive)
    return shown == prompt
