"""Controls as the panel uses them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QSizePolicy, QToolButton

__all__ = ["heading", "item_data", "make_button", "make_choice", "make_combo", "wrapped"]


def item_data(item: Any) -> Any:
    """What stands behind an item of a list."""
    return item.data(Qt.ItemDataRole.UserRole)


def heading(text: str) -> QLabel:
    """Title of a part."""
    label = QLabel(f"<b>{text}</b>")
    label.setContentsMargins(0, 4, 0, 0)
    return label


def wrapped() -> QLabel:
    """Text that wraps and never widens the panel."""
    label = QLabel()
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def make_combo(tip: str) -> QComboBox:
    """Box of choices that never widens the panel."""
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    return combo


def make_button(text: str, tip: str) -> QPushButton:
    """Button that may become narrow."""
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setMinimumWidth(1)
    return button


def make_choice(text: str, tip: str) -> QToolButton:
    """One of several buttons, of which one is pressed."""
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setCheckable(True)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button
