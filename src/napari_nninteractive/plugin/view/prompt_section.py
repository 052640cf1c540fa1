"""The prompts of the current object, and what can be done to them."""

from __future__ import annotations

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_nninteractive.plugin.layers.style import SignColours
from napari_nninteractive.plugin.view.drawing_section import KEYS
from napari_nninteractive.plugin.view.state import PanelState, PromptRow
from napari_nninteractive.plugin.view.widgets import heading, make_button, make_row, make_section

__all__ = ["PromptSection"]

_UID = Qt.ItemDataRole.UserRole


class PromptSection(QWidget):
    """List of prompts; signals name the chosen one by its uid, or None where none is.

    Parameters
    ----------
    colours : SignColours
        Of the signs.
    """

    prompt_chosen = Signal(int)
    delete_wanted = Signal(object)
    flip_wanted = Signal(object)
    undo_wanted = Signal()
    redo_wanted = Signal()

    def __init__(self, colours: SignColours) -> None:
        super().__init__()
        self._icons = {positive: _swatch(colours.of(positive)) for positive in (True, False)}
        self._shown: tuple[PromptRow, ...] = ()
        column = make_section(self)
        self._title = heading("Prompts of this object")
        column.addWidget(self._title)
        self.list = QListWidget()
        self.list.setFixedHeight(52)
        self.list.setToolTip("Click to go to a prompt")
        self.list.itemClicked.connect(lambda item: self.prompt_chosen.emit(item.data(_UID)))
        column.addWidget(self.list)
        self.undo = make_button(
            f"Undo ({KEYS['undo']})",
            f"Take the last step back (key {KEYS['undo']})",
            self.undo_wanted.emit,
        )
        self.redo = make_button(
            "Redo (⇧U)",
            f"Do the undone step again (key {KEYS['redo']})",
            self.redo_wanted.emit,
        )
        self.flip = make_button(
            "± Flip",
            "Switch the sign of the chosen prompts",
            lambda: self.flip_wanted.emit(self.chosen()),
        )
        self.delete = make_button(
            "Delete",
            "Take the chosen prompt away, as if never drawn",
            lambda: self.delete_wanted.emit(self.chosen()),
        )
        row = make_row(column)
        for button in (self.undo, self.redo, self.flip, self.delete):
            row.addWidget(button)

    def chosen(self) -> int | None:
        """Uid of the chosen prompt, or None."""
        item = self.list.currentItem()
        return None if item is None else int(item.data(_UID))

    def show_state(self, state: PanelState) -> None:
        """Show the prompts."""
        self._title.setText(f"Prompts of {state.object_name}")
        self.undo.setEnabled(state.can_undo)
        self.redo.setEnabled(state.can_redo)
        if state.prompts is not None and state.prompts != self._shown:
            self._fill(state.prompts)

    def _fill(self, prompts: tuple[PromptRow, ...]) -> None:
        """Show these; a new one in sight, and else what was in sight."""
        grown = len(prompts) > len(self._shown)
        self._shown = prompts
        row, bar = self.list.currentRow(), self.list.verticalScrollBar()
        place = bar.value() if bar is not None else 0
        self.list.clear()
        for prompt in prompts:
            item = QListWidgetItem(self._icons[prompt.positive], prompt.text)
            item.setData(_UID, prompt.uid)
            self.list.addItem(item)
        self.list.setCurrentRow(min(row, len(prompts) - 1))
        if grown:
            self.list.scrollToBottom()
        elif bar is not None:
            bar.setValue(place)


def _swatch(colour: str) -> QIcon:
    picture = QPixmap(10, 10)
    picture.fill(QColor(colour))
    return QIcon(picture)
