"""Top of the panel: which image, which channel of it, which model, and where it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QWidget

from napari_nninteractive.plugin.view.state import PanelState
from napari_nninteractive.plugin.view.widgets import ChoiceBox, make_section, plain, wrapped

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["ImageSection"]


class ImageSection(QWidget):
    """Boxes of choices, and what the image is."""

    def __init__(self) -> None:
        super().__init__()
        self.image: ChoiceBox[Image] = ChoiceBox("The image to segment")
        self.channel: ChoiceBox[int | None] = ChoiceBox("Which channel; the mean of all shows most")
        self.model: ChoiceBox[str] = ChoiceBox(
            "What finds the objects; the built-in model needs no download"
        )
        self.device: ChoiceBox[str] = ChoiceBox("Where it computes")
        self._channel_name = plain("Channel")
        self._fact = wrapped()
        column, grid = make_section(self), QGridLayout()
        grid.setSpacing(4)
        grid.setColumnStretch(1, 1)
        names = (plain("Image"), self._channel_name, plain("Model"), plain("Compute on"))
        boxes = [box.native for box in (self.image, self.channel)]
        boxes += [box.native for box in (self.model, self.device)]
        for row, (name, box) in enumerate(zip(names, boxes, strict=True)):
            grid.addWidget(name, row, 0)
            grid.addWidget(box, row, 1)
        column.addLayout(grid)
        column.addWidget(self._fact)

    def show_state(self, state: PanelState) -> None:
        """Show the choices; a box of channels only where there are some."""
        self.image.show(state.images)
        self.channel.show(state.channels)
        self.channel.native.setVisible(bool(state.channels.items))
        self._channel_name.setVisible(bool(state.channels.items))
        self.model.show(state.models)
        self.device.show(state.devices)
        self._fact.setText(state.fact)
