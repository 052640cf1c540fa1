"""The panel: one column in the order of the work. It knows neither layers nor the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_nninteractive.plugin.layers.style import COLOURS
from napari_nninteractive.plugin.view.object_list import ObjectList
from napari_nninteractive.plugin.view.widgets import (
    heading,
    item_data,
    make_button,
    make_choice,
    make_combo,
    wrapped,
)
from napari_nninteractive.workspace.objects import ObjectRow

__all__ = ["KEYS", "PanelView"]

KEYS = {
    "point": "G",
    "box": "H",
    "scribble": "J",
    "lasso": "K",
    "sign": "W",
    "next": "N",
    "undo": "U",
    "redo": "Shift-U",
    "run": "Q",
}
"""Keys on our own layers: letters that napari leaves free."""

_TOOLS = {
    "point": ("Point", "Click on the object"),
    "box": ("Box", "Drag a rectangle round the object, in this slice"),
    "scribble": ("Scribble", "Paint a line inside the object"),
    "lasso": ("Lasso", "Draw round the object with the button held down"),
}
_TALLEST = 96  # pixels of a message; longer ones are scrolled
_CHOICE = """
QToolButton {{border: 1px solid #808080; border-radius: 3px; padding: 3px;}}
QToolButton:checked {{background: {colour}; color: {text};}}
QToolButton:disabled {{background: transparent; color: #808080;}}
"""
_SIGNS = {
    True: (f"+ Object ({KEYS['sign']})", "What you draw belongs to the object"),
    False: (f"− Not object ({KEYS['sign']})", "What you draw does not belong to the object"),
}


class PanelView(QWidget):
    """Controls and what they say. Setters show a state; signals tell what the user wants."""

    image_chosen = Signal(object)
    channel_chosen = Signal(object)  # number, or None for the mean
    model_chosen = Signal(object)
    device_chosen = Signal(str)
    tool_chosen = Signal(str)
    sign_chosen = Signal(bool)
    flip_wanted = Signal()
    undo_wanted = Signal()
    redo_wanted = Signal()
    run_wanted = Signal()
    cancel_wanted = Signal()
    auto_run_chosen = Signal(bool)
    prompt_chosen = Signal(int)
    prompt_deleted = Signal(int)
    next_wanted = Signal()
    reset_wanted = Signal()
    start_wanted = Signal(object)
    object_chosen = Signal(int)
    object_deleted = Signal(int)
    same_number_chosen = Signal(bool)
    overwrite_chosen = Signal(bool)
    probability_chosen = Signal(bool)
    recovery_wanted = Signal()
    recovery_refused = Signal()
    table_wanted = Signal()
    objects_wanted = Signal()
    save_wanted = Signal()
    open_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("nninteractive")
        self._shown: dict[str, list[Any]] = {}  # what long lists show, so as not to fill them again
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        self._make_offer(column)
        self._make_image(column)
        self._make_tools(column)
        self._make_run(column)
        self._make_prompts(column)
        self._make_objects(column)
        self._make_files(column)

    # Parts, top to bottom

    def _make_offer(self, column: QVBoxLayout) -> None:
        self._offer = QWidget()
        rows = QVBoxLayout(self._offer)
        rows.setContentsMargins(0, 0, 0, 0)
        self._offered = wrapped()
        rows.addWidget(self._offered)
        row = QHBoxLayout()
        self.recover = make_button("Recover", "Bring the objects of this image back")
        self.forget = make_button("Delete them", "They are not wanted any more")
        row.addWidget(self.recover)
        row.addWidget(self.forget)
        rows.addLayout(row)
        column.addWidget(self._offer)
        self._offer.hide()
        self.recover.clicked.connect(lambda: self.recovery_wanted.emit())
        self.forget.clicked.connect(lambda: self.recovery_refused.emit())

    def _make_image(self, column: QVBoxLayout) -> None:
        grid = QGridLayout()
        grid.setSpacing(4)
        grid.setColumnStretch(1, 1)
        self.image = make_combo("The image to segment")
        self.channel = make_combo("Which channel; the mean of all shows most")
        self.model = make_combo("What finds the objects; the built-in model needs no download")
        self.device = make_combo("Where it computes")
        self._channel_name = QLabel("Channel")
        self._fact = wrapped()
        rows: list[tuple[QWidget, QWidget]] = [
            (QLabel("Image"), self.image),
            (self._channel_name, self.channel),
            (QLabel("Model"), self.model),
            (QLabel("Compute on"), self.device),
        ]
        for row, (name, control) in enumerate(rows):
            grid.addWidget(name, row, 0)
            grid.addWidget(control, row, 1)
        column.addLayout(grid)
        column.addWidget(self._fact)
        self.image.activated.connect(lambda _: self.image_chosen.emit(self.image.currentData()))
        self.channel.activated.connect(
            lambda _: self.channel_chosen.emit(self.channel.currentData())
        )
        self.model.activated.connect(lambda _: self.model_chosen.emit(self.model.currentData()))
        self.device.activated.connect(lambda _: self.device_chosen.emit(self.device.currentData()))

    def _make_tools(self, column: QVBoxLayout) -> None:
        column.addWidget(heading("Draw a prompt"))
        self.tools, self.signs = {}, {}
        row, group = QHBoxLayout(), QButtonGroup(self)
        row.setSpacing(3)
        for tool, (name, tip) in _TOOLS.items():
            button = make_choice(f"{name}\n{KEYS[tool]}", f"{tip} (key {KEYS[tool]})")
            button.clicked.connect(partial(self.tool_chosen.emit, tool))
            button.setStyleSheet(_CHOICE.format(colour="#0072b2", text="white"))
            group.addButton(button)
            row.addWidget(button)
            self.tools[tool] = button
        self._tool_group = group
        column.addLayout(row)
        row, group = QHBoxLayout(), QButtonGroup(self)
        row.setSpacing(3)
        for sign, (name, tip) in _SIGNS.items():
            button = make_choice(name, f"{tip} (key {KEYS['sign']} switches)")
            button.setStyleSheet(_CHOICE.format(colour=COLOURS[sign], text="black"))
            button.clicked.connect(partial(self.sign_chosen.emit, sign))
            group.addButton(button)
            row.addWidget(button)
            self.signs[sign] = button
        column.addLayout(row)
        self.tools["point"].setChecked(True)
        self.signs[True].setChecked(True)

    def _make_run(self, column: QVBoxLayout) -> None:
        row = QHBoxLayout()
        self.auto_run = QCheckBox("Run after each prompt")
        self.auto_run.setChecked(True)
        self.auto_run.setToolTip(
            "Without it, draw several and press Run; what is moved or deleted runs at once"
        )
        self.run = make_button(
            f"Run ({KEYS['run']})", f"Find the object from all prompts (key {KEYS['run']})"
        )
        row.addWidget(self.auto_run)
        row.addStretch()
        row.addWidget(self.run)
        column.addLayout(row)
        row = QHBoxLayout()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(12)
        self.progress.setRange(0, 1)
        self.cancel = make_button("Cancel", "Stop computing; the prompt is kept")
        row.addWidget(self.progress)
        row.addWidget(self.cancel)
        column.addLayout(row)
        self._status = wrapped()
        self._status.setText("Click on an object, or choose a tool.")
        column.addWidget(self._status)
        self._message = QTextBrowser()
        self._message.setObjectName("message")
        self._message.setStyleSheet("#message {border: 2px solid #d55e00; border-radius: 3px;}")
        self._message.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._message.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._message.hide()
        column.addWidget(self._message)
        self.action = make_button("", "")
        self.action.hide()
        self._act: Callable[[], object] | None = None
        self.action.clicked.connect(self._acted)
        column.addWidget(self.action)
        self.auto_run.toggled.connect(self.auto_run_chosen)
        self.run.clicked.connect(lambda: self.run_wanted.emit())
        self.cancel.clicked.connect(lambda: self.cancel_wanted.emit())

    def _make_prompts(self, column: QVBoxLayout) -> None:
        self._of = heading("Prompts of this object")
        column.addWidget(self._of)
        self.prompts = QListWidget()
        self.prompts.setFixedHeight(52)
        self.prompts.setToolTip("Click to go to a prompt")
        self.prompts.itemClicked.connect(lambda item: self.prompt_chosen.emit(item_data(item)))
        column.addWidget(self.prompts)
        row = QHBoxLayout()
        row.setSpacing(3)
        self.undo = make_button(
            f"Undo ({KEYS['undo']})", f"Take the last step back (key {KEYS['undo']})"
        )
        self.redo = make_button("Redo (⇧U)", f"Do the undone step again (key {KEYS['redo']})")
        self.flip = make_button("± Flip", "Switch the sign of the chosen prompts")
        self.delete = make_button("Delete", "Take the chosen prompt away, as if never drawn")
        for button in (self.undo, self.redo, self.flip, self.delete):
            row.addWidget(button)
        column.addLayout(row)
        self.undo.clicked.connect(lambda: self.undo_wanted.emit())
        self.redo.clicked.connect(lambda: self.redo_wanted.emit())
        self.flip.clicked.connect(lambda: self.flip_wanted.emit())
        self.delete.clicked.connect(self._delete_prompt)

    def _make_objects(self, column: QVBoxLayout) -> None:
        column.addWidget(heading("Objects"))
        row = QHBoxLayout()
        row.setSpacing(3)
        self.next = make_button(
            f"Next object ({KEYS['next']})", f"This one is done; begin another (key {KEYS['next']})"
        )
        self.reset = make_button("Start over", "Empty this object; undo brings it back")
        row.addWidget(self.next, 2)
        row.addWidget(self.reset, 1)
        column.addLayout(row)
        self.objects = ObjectList()
        column.addWidget(self.objects)
        row = QHBoxLayout()
        row.setSpacing(3)
        self.edit = make_button("Edit again", "Go on with the chosen object; its prompts come back")
        self.remove = make_button("Delete", "Take the chosen object away; undo brings it back")
        row.addWidget(self.edit)
        row.addWidget(self.remove)
        column.addLayout(row)
        row = QHBoxLayout()
        row.setSpacing(3)
        self.masks = make_combo("Start this object from the selected label of another layer")
        self.start = make_button("Start from", "Begin with the selected label of that layer")
        row.addWidget(self.start)
        row.addWidget(self.masks, 1)
        column.addLayout(row)
        self.same_number = QCheckBox("Next objects get the same number")
        self.same_number.setToolTip("For a map of one class; else each object has its own number")
        self.overwrite = QCheckBox("May cover others")
        self.overwrite.setToolTip(
            "This object may cover finished ones; they come back where it withdraws"
        )
        self.probability = QCheckBox("Show probability")
        column.addWidget(self.same_number)
        row = QHBoxLayout()
        row.addWidget(self.overwrite)
        row.addWidget(self.probability)
        column.addLayout(row)
        self.next.clicked.connect(lambda: self.next_wanted.emit())
        self.reset.clicked.connect(lambda: self.reset_wanted.emit())
        self.edit.clicked.connect(lambda: self._with_object(self.object_chosen.emit))
        self.remove.clicked.connect(lambda: self._with_object(self.object_deleted.emit))
        self.start.clicked.connect(lambda: self.start_wanted.emit(self.masks.currentData()))
        self.same_number.toggled.connect(self.same_number_chosen)
        self.overwrite.toggled.connect(self.overwrite_chosen)
        self.probability.toggled.connect(self.probability_chosen)

    def _make_files(self, column: QVBoxLayout) -> None:
        row = QHBoxLayout()
        row.setSpacing(3)
        self.table = make_button("Table…", "Volumes of all objects, as CSV")
        self.export = make_button(
            "Objects…", "The layer of objects, with the voxel size of the image"
        )
        self.save = make_button("Save…", "Prompts and objects, to go on later")
        self.open = make_button("Open…", "Go on with a saved session")
        for button in (self.table, self.export, self.save, self.open):
            row.addWidget(button)
        column.addLayout(row)
        column.addStretch()
        self.table.clicked.connect(lambda: self.table_wanted.emit())
        self.export.clicked.connect(lambda: self.objects_wanted.emit())
        self.save.clicked.connect(lambda: self.save_wanted.emit())
        self.open.clicked.connect(lambda: self.open_wanted.emit())

    # What it shows

    def show_choices(
        self, combo: QComboBox, choices: Sequence[tuple[str, Any]], chosen: Any
    ) -> None:
        """Fill a combo box with names and what they stand for; says nothing to anyone."""
        blocker = QSignalBlocker(combo)
        combo.clear()
        for name, data in choices:
            combo.addItem(name, data)
        at = next((i for i, (_, data) in enumerate(choices) if data == chosen), -1)
        combo.setCurrentIndex(at)
        blocker.unblock()

    def show_channels(self, choices: Sequence[tuple[str, Any]], chosen: Any) -> None:
        """Channels to choose from; hidden where there are none."""
        self.show_choices(self.channel, choices, chosen)
        self.channel.setVisible(bool(choices))
        self._channel_name.setVisible(bool(choices))

    def show_fact(self, text: str) -> None:
        """Size of the image, and what to expect."""
        self._fact.setText(text)

    def show_status(self, text: str) -> None:
        """What was done last, and how long it took."""
        self._status.setText(text)

    @property
    def error(self) -> str:
        """What is wrong, or ""."""
        return "" if self._message.isHidden() else self._message.toPlainText()

    def show_error(
        self, text: str, action: str = "", act: Callable[[], object] | None = None
    ) -> None:
        """Say what is wrong and what to do; "" when nothing is. A button may do it."""
        self._message.setPlainText(text)
        self._message.setVisible(bool(text))
        self._fit_message()
        self.action.setText(action)
        self.action.setVisible(bool(action))
        self._act = act

    def show_offer(self, text: str) -> None:
        """Offer to bring back what a crash left; "" where there is nothing."""
        self._offered.setText(text)
        self._offer.setVisible(bool(text))
        self._fit_message()

    def _fit_message(self) -> None:
        """As high as its text, within bounds: what is longer can be scrolled."""
        tallest = _TALLEST if self._offer.isHidden() else _TALLEST // 2
        page = self._message.document()
        if page is not None:  # always: only its type says otherwise
            page.setTextWidth(max(self.width() - 40, 200))
            self._message.setFixedHeight(min(int(page.size().height()) + 18, tallest))

    def show_current(self, name: str) -> None:
        """Whose prompts are listed."""
        self._of.setText(f"<b>Prompts of {name}</b>")

    def show_tool(self, tool: str | None, *, positive: bool) -> None:
        """Tool and sign that are armed; None where what is drawn now is no prompt."""
        self._tool_group.setExclusive(tool is not None)
        for name, button in self.tools.items():
            button.setChecked(name == tool)
        self.signs[positive].setChecked(True)

    def show_busy(self, busy: bool, done: int = 0, total: int | None = None) -> None:
        """How far it is; without a total it only moves."""
        self.cancel.setEnabled(busy)
        self.progress.setRange(0, (total or 0) if busy else 1)
        self.progress.setValue(done if busy else 0)

    def show_prompts(self, prompts: Sequence[tuple[int, str, bool]]) -> None:
        """Prompts: uid, text, sign."""
        if self._shown.get("prompts") == list(prompts):
            return
        grown = len(prompts) > len(self._shown.get("prompts", ()))
        self._shown["prompts"] = list(prompts)
        row, bar = self.prompts.currentRow(), self.prompts.verticalScrollBar()
        place = bar.value() if bar is not None else 0
        self.prompts.clear()
        for uid, text, positive in prompts:
            item = QListWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, uid)
            swatch = QPixmap(10, 10)
            swatch.fill(QColor(COLOURS[positive]))
            item.setIcon(QIcon(swatch))
            self.prompts.addItem(item)
        self.prompts.setCurrentRow(min(row, len(prompts) - 1))
        if grown:
            self.prompts.scrollToBottom()
        elif bar is not None:
            bar.setValue(place)

    def show_objects(self, rows: Sequence[ObjectRow], unit: str) -> None:
        """Objects, the current one in bold; volumes in a unit."""
        self.objects.show_rows(rows, unit)

    def show_enabled(self, *, image: bool, undo: bool, redo: bool, run: bool) -> None:
        """What makes sense now."""
        for button in (
            *self.tools.values(),
            *self.signs.values(),
            self.next,
            self.reset,
            self.save,
            self.export,
        ):
            button.setEnabled(image)
        self.undo.setEnabled(undo)
        self.redo.setEnabled(redo)
        self.run.setEnabled(run)

    def _acted(self) -> None:
        act = self._act
        self.show_error("")
        if act is not None:
            act()

    def _with_object(self, then: Any) -> None:
        label = self.objects.chosen()
        if label is None:
            self.show_error("Choose an object in the table first.")
        else:
            then(label)

    def _delete_prompt(self) -> None:
        item = self.prompts.currentItem()
        if item is None:
            self.show_error("Choose a prompt in the list first.")
        else:
            self.prompt_deleted.emit(int(item_data(item)))
