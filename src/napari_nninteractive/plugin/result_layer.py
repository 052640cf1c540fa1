"""The Labels layer of objects: written by us, painted by the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_nninteractive.plugin.looks import aligned, tag
from napari_nninteractive.plugin.result import difference, dtype_for
from napari_nninteractive.plugin.strokes import Stroke, read_stroke

__all__ = ["ResultLayer"]


class ResultLayer:
    """Target of the controller.

    Parameters
    ----------
    layer : Labels
        From `make`, or any editable one that lies on the image.
    painted : callable
        Told each stroke of the user, and the voxels that labels won and lost by it.
    """

    role = "objects"

    def __init__(self, layer: Any, painted: Callable[[Stroke, Counter[int]], None]) -> None:
        self.layer, self._painted = layer, painted
        self._listens = False
        self.listen()

    @staticmethod
    def make(image: Any, shape: tuple[int, ...]) -> Any:
        """Layer for an image layer of that shape."""
        return Labels(
            np.zeros(shape, np.uint8),
            name=f"{image.name}: objects",
            metadata=tag(ResultLayer.role, image),
            opacity=0.5,
            **aligned(image),
        )

    def listen(self) -> None:
        """Listen to the layer, again after `close`."""
        if not self._listens:
            self.layer.events.paint.connect(self._on_paint)
            self._listens = True

    def close(self) -> None:
        """Listen no more; the layer stays."""
        if self._listens:
            self.layer.events.paint.disconnect(self._on_paint)
            self._listens = False

    def labels(self, largest: int) -> NDArray[Any]:
        """Array of all labels, of a dtype that holds the largest."""
        data: NDArray[Any] = self.layer.data
        if largest > np.iinfo(data.dtype).max:
            self.layer.data = data = data.astype(dtype_for(largest))
        return data

    def redraw(self) -> None:
        """Show what was written."""
        self.layer.refresh(thumbnail=False, highlight=False, extent=False)

    def count(self) -> Counter[int]:
        """Voxels of each label; reads all of them."""
        return difference(np.zeros_like(self.layer.data), np.asarray(self.layer.data))

    def _on_paint(self, event: Any) -> None:
        stroke = read_stroke(event.value, self.layer.data)
        self._painted(stroke, difference(stroke.old, stroke.new))
        # Empties napari's own undo of strokes, which says nothing when used; ours takes its place.
        self.layer.data = self.layer.data
