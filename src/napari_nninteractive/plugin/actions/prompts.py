"""Tools and signs to draw with, and what is done to prompts that were drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.errors import PromptError
from napari_nninteractive.plugin.layers import image_layer
from napari_nninteractive.plugin.layers.style import Tool
from napari_nninteractive.plugin.viewer_link import FlatOnlyError, ViewerLink
from napari_nninteractive.workspace.client import WorkspaceClient

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from napari.utils.events import Event

__all__ = ["PromptActions"]

_ELSEWHERE = "Another layer is selected, so clicks draw nothing: press a tool to go on."


class PromptActions:
    """Knows which tool and sign are chosen, and arms the layers with them.

    Parameters
    ----------
    viewer : ViewerModel
        Where is drawn.
    client : WorkspaceClient
        Has the prompts.
    link : ViewerLink
        Has the image and its layers.
    """

    tool_chosen = Signal()
    changed = Signal()  # tool or sign, or whether what is drawn becomes a prompt
    flattened = Signal()  # the viewer shows slices again
    failed = Signal(object)  # the exception
    hinted = Signal(str)

    def __init__(self, viewer: ViewerModel, client: WorkspaceClient, link: ViewerLink) -> None:
        self._viewer, self._client, self._link = viewer, client, link
        self._tool: Tool = "point"
        self._positive = True

    # Tools

    @property
    def positive(self) -> bool:
        """Sign of what is drawn next."""
        return self._positive

    @property
    def armed(self) -> Tool | None:
        """Tool that draws now; None where another layer is active, so that what is drawn is no prompt."""
        layers, active = self._link.layers, self._viewer.layers.selection.active
        if layers is None or any(active == layer for layer in layers.drawn):
            return self._tool
        return None

    def choose_tool(self, tool: Tool) -> None:
        """Draw with a tool from now on."""
        self.tool_chosen.emit()
        if self._viewer.dims.ndisplay == 3:
            self.failed.emit(FlatOnlyError())
        if self._link.image is not None:
            self._tool = tool
        self.arm()

    def choose_sign(self, positive: bool) -> None:
        """Draw with a sign from now on."""
        self._positive = positive
        self.arm()

    def switch_sign(self) -> None:
        """Draw with the other sign from now on."""
        self.choose_sign(not self._positive)

    def arm(self) -> None:
        """Let the next thing drawn be a prompt of the tool and the sign; layers that were removed are made again."""
        self._link.restore_layers()
        if self._link.layers is not None:
            self._link.layers.arm(self._tool, positive=self._positive)
        self.changed.emit()

    def follow_active(self, event: Event) -> None:
        """Draw with the sign in whatever layer of prompts the user goes to."""
        if self._link.layers is not None and event.value is not None:
            self._link.layers.set_sign(event.value, positive=self._positive)

    def tell_active(self) -> None:
        """Tell whether clicks draw, after the user went to another layer."""
        layers, active = self._link.layers, self._viewer.layers.selection.active
        if layers is not None:
            self.changed.emit()
            if active is not None and not layers.owns(active):
                self.hinted.emit(_ELSEWHERE)

    def follow_display(self) -> None:
        """Back in slices, the tool is armed again, which napari forgot."""
        if self._viewer.dims.ndisplay == 2 and self._link.layers is not None:
            self.flattened.emit()
            self.arm()

    # Prompts

    def flip(self, uid: int | None = None) -> None:
        """Flip the sign of the prompts that are selected in their layers; where there are none, that of `uid`."""
        layers = self._link.layers
        uids = layers.selected() if layers is not None else []
        uids = uids or ([] if uid is None else [uid])
        if uids:
            self._client.flip(uids)
        else:
            self.failed.emit(
                PromptError("Choose a prompt in the list, or select some in the canvas, first.")
            )

    def go_to(self, uid: int) -> None:
        """Bring the viewer to a prompt of the current object, and select it in its layer."""
        source, image = self._client.source, self._link.image
        placed = next((p for p in self._client.placed or () if p.uid == uid), None)
        if placed is None or source is None or image is None:
            return
        if self._link.layers is not None:
            self._link.layers.select(uid)
        box = placed.prompt.bounds
        middle = [(a + b - 1) // 2 for a, b in zip(box.start, box.stop, strict=True)]
        position = source.frame.to_layer(middle)[0].tolist()
        image_layer.go_to(self._viewer.dims, image, position, range(source.frame.ndim))

    def start_from(self, layer: Labels | None) -> None:
        """Start the current object from the selected label of a Labels layer."""
        source, image = self._client.source, self._link.image
        if source is None or image is None:
            return
        problem = _unusable(layer, image, source.frame)
        if problem or layer is None:
            self.failed.emit(PromptError(problem))
            return
        data, label, frame = layer.data, int(layer.selected_label), source.frame
        if tuple(data.shape) == frame.shape:
            box = Box.of_shape(frame.volume_shape)
            self._client.start_from(lambda: frame.read(data, box) == label)
        else:
            shape = frame.volume_shape
            self._client.start_from(lambda: (np.asarray(data) == label).reshape(shape))
        # The layer that was taken is the active one: a click there would draw nothing.
        self.arm()


def _unusable(layer: Labels | None, image: Image, frame: Frame) -> str:
    """Why an object cannot start from a Labels layer; "" where it can."""
    if layer is None:
        return "There is no other Labels layer to start from."
    if not image_layer.lies_on(layer, image):
        return (
            f"{layer.name} lies elsewhere than the image, or has other voxels: save it on the voxels of the image "
            "first, or give both the same scale and place."
        )
    volume = frame.volume_shape[3 - len(frame.spatial) :]
    if tuple(layer.data.shape) not in (frame.shape, volume):
        return f"{layer.name} has {layer.data.shape} voxels, but the image has {frame.shape}; choose another."
    return ""
