"""An optional layer that shows how sure the network is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.plugin.layers.style import align, aligned, role_of, tag

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ProbabilityLayer"]


class ProbabilityLayer:
    """Makes the layer when there is something to show.

    Parameters
    ----------
    viewer : ViewerModel
        Where.
    """

    role = "probability"

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer

    def clear(self, image: Image) -> None:
        """Show nothing: the object changed without the network."""
        layer = self._layer(image)
        if layer is not None:
            layer.data[...] = 0
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def set_visible(self, image: Image, visible: bool) -> None:
        """Show or hide the layer, where there is one."""
        layer = self._layer(image)
        if layer is not None:
            layer.visible = visible

    def align(self, image: Image) -> None:
        """Lie on the image again, which was moved or got another voxel size."""
        layer = self._layer(image)
        if layer is not None:
            align(layer, image)

    def show(self, image: Image, frame: Frame, prediction: Prediction) -> None:
        """Show what a prediction said of the part that it changed."""
        if prediction.probability is None or prediction.changed is None:
            return
        layer = self._layer(image)
        # Of an image of another shape; nothing in it is the user's.
        if layer is not None and tuple(layer.data.shape) != frame.shape:
            self._viewer.layers.remove(layer)
            layer = None
        if layer is None:
            layer = self._add(image, frame)
        frame.write(layer.data, prediction.changed, prediction.probability)
        layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _layer(self, image: Image) -> Image | None:
        return next((x for x in self._viewer.layers if role_of(x, image) == self.role), None)

    def _add(self, image: Image, frame: Frame) -> Image:
        """Make the layer, and leave the active one active."""
        layer = Image(
            np.zeros(frame.shape, np.float32),
            name=f"{image.name}: probability",
            metadata=tag(self.role, image),
            contrast_limits=(0, 1),
            colormap="magma",
            blending="additive",
            opacity=0.6,
            **aligned(image),
        )
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active
        return layer
