"""An optional layer that shows how sure the network is."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.plugin.layers.style import aligned, role_of, tag

__all__ = ["ProbabilityLayer"]


class ProbabilityLayer:
    """Makes the layer when there is something to show.

    Parameters
    ----------
    viewer : napari.Viewer
        Where.
    """

    role = "probability"

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer

    def clear(self, image: Any) -> None:
        """Show nothing: the object changed without the network."""
        layer = self._layer(image)
        if layer is not None:
            layer.data[...] = 0
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def set_visible(self, image: Any, visible: bool) -> None:
        """Show or hide the layer, where there is one."""
        layer = self._layer(image)
        if layer is not None:
            layer.visible = visible

    def align(self, image: Any) -> None:
        """Lie on the image again, which was moved or got other voxels."""
        layer = self._layer(image)
        if layer is not None:
            for name, value in aligned(image).items():
                setattr(layer, name, value)

    def _layer(self, image: Any) -> Any:
        return next((x for x in self._viewer.layers if role_of(x, image) == self.role), None)

    def show(self, image: Any, frame: Frame, prediction: Prediction) -> None:
        """Show what a prediction said of the part that it changed."""
        if prediction.probability is None or prediction.changed is None:
            return
        layer = self._layer(image)
        if layer is not None and tuple(layer.data.shape) != frame.shape:
            self._viewer.layers.remove(
                layer
            )  # of an image of another shape; nothing in it is the user's
            layer = None
        if layer is None:
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
        frame.write(layer.data, prediction.changed, prediction.probability)
        layer.refresh(thumbnail=False, highlight=False, extent=False)
