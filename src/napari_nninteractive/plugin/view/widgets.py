"""Controls as the panel uses them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from magicgui.widgets import ComboBox
from psygnal import Signal
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_nninteractive.plugin.view.state import Choices

__all__ = [
    "ChoiceBox",
    "check",
    "heading",
    "make_button",
    "make_choice",
    "make_row",
    "make_section",
    "plain",
    "wrapped",
]

T = TypeVar("T")


def heading(text: str) -> QLabel:
    """Title of a part."""
    label = plain(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    label.setContentsMargins(0, 4, 0, 0)
    return label


def plain(text: str = "") -> QLabel:
    """Label that shows any text as it is: names from files may look like markup, which Qt would follow."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    return label


def wrapped() -> QLabel:
    """Text that wraps and never widens the panel."""
    label = plain()
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def make_section(widget: QWidget) -> QVBoxLayout:
    """Column of a part of the panel, without margins of its own."""
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    return column


def make_row(column: QVBoxLayout) -> QHBoxLayout:
    """Row of controls in a column."""
    row = QHBoxLayout()
    row.setSpacing(3)
    column.addLayout(row)
    return row


class ChoiceBox(Generic[T]):
    """A box of choices that never widens the panel.

    Parameters
    ----------
    tip : str
        What is chosen.
    """

    chosen: ClassVar[Signal] = Signal(object)  # by the user: what was chosen

    def __init__(self, tip: str) -> None:
        self._items: tuple[tuple[str, T], ...] = ()
        self._box = ComboBox(choices=lambda _: self._items, tooltip=tip)
        native = self.native
        native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        native.setMinimumContentsLength(8)
        self._box.changed.connect(self._on_changed)

    @property
    def native(self) -> QComboBox:
        """The widget to put into a layout."""
        native: QComboBox = self._box.native
        return native

    @property
    def value(self) -> T | None:
        """What is chosen; None also where nothing is."""
        value: T | None = self._box.value
        return value

    @property
    def name(self) -> str:
        """What is chosen, as it is shown; "" where nothing is."""
        return str(self.native.currentText())

    @property
    def names(self) -> list[str]:
        """What can be chosen, as it is shown."""
        return [name for name, _ in self._items]

    def choose(self, value: T) -> None:
        """Choose as the user does."""
        self._box.value = value

    def show(self, choices: Choices[T]) -> None:
        """Show choices, and the chosen one; says nothing to anyone."""
        with self._box.changed.blocked():
            items = _distinct(choices.items)
            if items != self._items:
                self._items = ()
                self._box.reset_choices()  # else magicgui keeps the order of before
                self._items = items
                self._box.reset_choices()
            if all(value != choices.chosen for _, value in items):
                self.native.setCurrentIndex(-1)
            elif self.value != choices.chosen or self.native.currentIndex() < 0:
                self._box.value = choices.chosen

    def show_items(self, items: tuple[tuple[str, T], ...]) -> None:
        """Show choices, of which the chosen one stays chosen, or else the last is."""
        there = any(value == self.value for _, value in items)
        last = items[-1][1] if items else None
        self.show(Choices(items, self.value if there else last))

    def _on_changed(self, value: T) -> None:
        self.chosen.emit(value)


def _distinct(items: tuple[tuple[str, T], ...]) -> tuple[tuple[str, T], ...]:
    """Same things with names of which none comes twice: magicgui takes choices of one name for the same."""
    seen: Counter[str] = Counter()
    named = []
    for name, value in items:
        seen[name] += 1
        named.append((f"{name} ({seen[name]})" if seen[name] > 1 else name, value))
    return tuple(named)


def make_button(text: str, tip: str, act: Callable[[], object]) -> QPushButton:
    """Button that may become narrow."""
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setMinimumWidth(1)
    button.clicked.connect(lambda: act())
    return button


def make_choice(text: str, tip: str) -> QToolButton:
    """One of several buttons, of which one is pressed."""
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setCheckable(True)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button


def check(button: QAbstractButton, on: bool) -> None:
    """Show a button as checked or not; says nothing to anyone."""
    blocker = QSignalBlocker(button)
    button.setChecked(on)
    blocker.unblock()
