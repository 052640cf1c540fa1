"""Tools and signs, what runs, and what is said about it."""

from __future__ import annotations

from functools import partial

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QProgressBar,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_nninteractive.plugin.layers.style import SignColours, Tool
from napari_nninteractive.plugin.view.state import Busy, Message, PanelState
from napari_nninteractive.plugin.view.widgets import (
    check,
    heading,
    make_button,
    make_choice,
    make_row,
    make_section,
    wrapped,
)

__all__ = ["KEYS", "DrawingSection"]

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
"""Keys on the plugin's own layers: letters that napari leaves free."""

_TOOLS: dict[Tool, tuple[str, str]] = {
    "point": ("Point", "Click on the object"),
    "box": ("Box", "Drag a rectangle round the object, in this slice"),
    "scribble": ("Scribble", "Paint a line inside the object"),
    "lasso": ("Lasso", "Draw round the object with the button held down"),
}
_SIGNS = {
    True: (f"+ Object ({KEYS['sign']})", "What you draw belongs to the object"),
    False: (f"− Not object ({KEYS['sign']})", "What you draw does not belong to the object"),
}
_TALLEST = 96  # pixels of a message; longer ones are scrolled
_CHOICE = """
QToolButton {{border: 1px solid #808080; border-radius: 3px; padding: 3px;}}
QToolButton:checked {{background: {colour}; color: {text};}}
QToolButton:disabled {{background: transparent; color: #808080;}}
"""


class DrawingSection(QWidget):
    """What is drawn with, and what comes of it.

    Parameters
    ----------
    colours : SignColours
        Of the signs.
    """

    tool_chosen = Signal(str)
    sign_chosen = Signal(bool)
    auto_run_chosen = Signal(bool)
    run_wanted = Signal()
    cancel_wanted = Signal()
    message_answered = Signal()  # the button below the message

    def __init__(self, colours: SignColours) -> None:
        super().__init__()
        column = make_section(self)
        self._make_tools(column, colours)
        self._make_run(column)
        self._make_message(column)

    def show_state(self, state: PanelState) -> None:
        """Show tool and sign, what runs, and what is said."""
        self._tool_group.setExclusive(state.tool is not None)
        for tool, button in self.tools.items():
            check(button, tool == state.tool)
            button.setEnabled(state.has_image)
        check(self.signs[state.positive], True)
        for button in self.signs.values():
            button.setEnabled(state.has_image)
        check(self.auto_run, state.auto_run)
        self.run.setEnabled(state.can_run)
        self.cancel.setEnabled(state.busy is not None)
        self._show_busy(state.busy)
        self._status.setText(state.status)
        self._show_message(state.message, _TALLEST // 2 if state.offer else _TALLEST)

    def _make_tools(self, column: QVBoxLayout, colours: SignColours) -> None:
        column.addWidget(heading("Draw a prompt"))
        self.tools, self.signs = {}, {}
        row, group = make_row(column), QButtonGroup(self)
        for tool, (name, tip) in _TOOLS.items():
            button = make_choice(f"{name}\n{KEYS[tool]}", f"{tip} (key {KEYS[tool]})")
            button.clicked.connect(partial(self._choose_tool, tool))
            button.setStyleSheet(_CHOICE.format(colour="#0072b2", text="white"))
            group.addButton(button)
            row.addWidget(button)
            self.tools[tool] = button
        self._tool_group = group
        row, group = make_row(column), QButtonGroup(self)
        for sign, (name, tip) in _SIGNS.items():
            button = make_choice(name, f"{tip} (key {KEYS['sign']} switches)")
            button.clicked.connect(partial(self._choose_sign, sign))
            button.setStyleSheet(_CHOICE.format(colour=colours.of(sign), text="black"))
            group.addButton(button)
            row.addWidget(button)
            self.signs[sign] = button

    def _make_run(self, column: QVBoxLayout) -> None:
        row = make_row(column)
        self.auto_run = QCheckBox("Run after each prompt")
        self.auto_run.setToolTip(
            "Without it, draw several and press Run; what is moved or deleted runs at once"
        )
        self.auto_run.toggled.connect(lambda on: self.auto_run_chosen.emit(on))
        self.run = make_button(
            f"Run ({KEYS['run']})",
            f"Find the object from all prompts (key {KEYS['run']})",
            self.run_wanted.emit,
        )
        row.addWidget(self.auto_run)
        row.addStretch()
        row.addWidget(self.run)
        row = make_row(column)
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setFixedHeight(12)
        self.cancel = make_button(
            "Cancel", "Stop computing; the prompt is kept", self.cancel_wanted.emit
        )
        row.addWidget(self._progress)
        row.addWidget(self.cancel)

    def _make_message(self, column: QVBoxLayout) -> None:
        self._status = wrapped()
        column.addWidget(self._status)
        self.message = QTextBrowser()
        self.message.setObjectName("message")
        self.message.setStyleSheet("#message {border: 2px solid #d55e00; border-radius: 3px;}")
        self.message.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.message.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.message.hide()
        column.addWidget(self.message)
        self.action: QPushButton = make_button("", "", self.message_answered.emit)
        self.action.hide()
        column.addWidget(self.action)

    def _choose_tool(self, tool: Tool, _checked: bool) -> None:
        self.tool_chosen.emit(tool)

    def _choose_sign(self, positive: bool, _checked: bool) -> None:
        self.sign_chosen.emit(positive)

    def _show_busy(self, busy: Busy | None) -> None:
        """How far it is; without a total it only moves."""
        self._progress.setRange(0, 1 if busy is None else busy.total)
        self._progress.setValue(0 if busy is None else busy.done)

    def _show_message(self, message: Message | None, tallest: int) -> None:
        """As high as its text, within bounds: what is longer can be scrolled."""
        text = "" if message is None else message.text
        if text != self.message.toPlainText():
            self.message.setPlainText(text)
        self.message.setVisible(bool(text))
        page = self.message.document()
        if page is not None:  # always: only its type says otherwise
            page.setTextWidth(max(self.width() - 24, 200))
            self.message.setFixedHeight(min(int(page.size().height()) + 18, tallest))
        action = message.action if message is not None else None
        self.action.setText(action.text if action is not None else "")
        self.action.setVisible(action is not None)
