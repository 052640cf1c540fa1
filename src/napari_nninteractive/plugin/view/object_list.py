"""The table of objects."""

from __future__ import annotations

from collections.abc import Sequence

from psygnal import Signal
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_nninteractive.workspace.objects import ObjectRow

__all__ = ["ObjectList"]

_COLUMNS = ["No.", "Name", "Voxels", "Volume", "Prompts"]
_NUMBER, _NAME, _VOLUME = 0, 1, 3
_LABEL = Qt.ItemDataRole.UserRole


class ObjectList(QTableWidget):
    """Shows objects; numbers and names can be changed."""

    renamed = Signal(int, str)  # label, what was typed
    renumbered = Signal(int, str)

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self._shown: tuple[tuple[ObjectRow, ...], str] | None = None
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header, side = self.horizontalHeader(), self.verticalHeader()
        if header is not None and side is not None:  # always: only their types say otherwise
            side.hide()
            header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        self.setMinimumHeight(76)
        self.setMaximumHeight(150)
        self.setToolTip(
            "Double-click a name or number to change it. Objects with one number are one class in the layer."
        )
        self.itemChanged.connect(self._edited)

    def show_rows(self, rows: Sequence[ObjectRow], unit: str) -> None:
        """Show objects, the current one in bold; volumes in a unit."""
        if self._shown == (tuple(rows), unit):
            return
        self._shown = (tuple(rows), unit)
        chosen, before = self.chosen(), self.rowCount()
        blocker = QSignalBlocker(self)
        header = self.horizontalHeaderItem(_VOLUME)
        if header is not None:
            header.setText(unit)
        self.setRowCount(len(rows))
        for at, row in enumerate(rows):
            if at >= before:
                self._make_row(at)
            self._fill_row(at, row)
            if row.label == chosen:
                self.selectRow(at)
        # Once, at the end: columns that follow their contents are measured anew with every cell.
        for column in range(len(_COLUMNS)):
            if column != _NAME:
                self.resizeColumnToContents(column)
        blocker.unblock()

    def _make_row(self, at: int) -> None:
        for column in range(len(_COLUMNS)):
            item = QTableWidgetItem()
            if column not in (_NUMBER, _NAME):
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self.setItem(at, column, item)

    def _fill_row(self, at: int, row: ObjectRow) -> None:
        cells = (row.number, row.name, row.voxels, f"{row.volume:.4g}", row.prompts)
        for column, text in enumerate(cells):
            item = self.item(at, column)
            if item is None:
                continue
            item.setText(str(text))
            item.setData(_LABEL, row.label)
            font = item.font()
            if font.bold() != row.current:
                font.setBold(row.current)
                item.setFont(font)

    def chosen(self) -> int | None:
        """Label of the chosen row, or None."""
        rows = {i.row() for i in self.selectedIndexes()}
        item = self.item(min(rows), 0) if rows else None
        return None if item is None else int(item.data(_LABEL))

    def _edited(self, item: QTableWidgetItem) -> None:
        self._shown = None  # what was typed is not shown until it is taken
        told = self.renumbered if item.column() == _NUMBER else self.renamed
        told.emit(int(item.data(_LABEL)), item.text())
