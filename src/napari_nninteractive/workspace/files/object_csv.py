"""The table of objects as a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from napari_nninteractive.errors import SessionError
from napari_nninteractive.files import atomic_write
from napari_nninteractive.workspace.objects import ObjectRow

__all__ = ["table", "write_table"]

_FORMULA = tuple(
    "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
)  # what spreadsheets take for the beginning of a formula


def table(rows: list[ObjectRow], unit: str) -> str:
    """Objects as CSV with a header; volumes in a unit. Names that a spreadsheet would compute get an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "number", "name", "voxels", f"volume ({unit})", "prompts"])
    writer.writerows(
        [r.label, r.number, _harmless(r.name), r.voxels, _number(r.volume), r.prompts] for r in rows
    )
    return text.getvalue()


def _harmless(name: str) -> str:
    """Name that no spreadsheet takes for a formula, which may run programs and fetch pages."""
    begins = name.lstrip()[:1]
    return f"'{name}" if name[:1] in _FORMULA or begins in _FORMULA else name


def _number(value: float) -> str:
    """Six digits, without an exponent where the number is large."""
    return f"{value:.6g}" if abs(value) < 999_999.5 else f"{value:.0f}"


def write_table(path: str | Path, rows: list[ObjectRow], unit: str) -> None:
    """Write the table of objects.

    Raises
    ------
    SessionError
        If the file cannot be written.
    """
    try:
        with atomic_write(path) as beside:
            # With a byte order mark, without which Excel takes µ and ³ for other characters.
            beside.write_text(table(rows, unit), encoding="utf-8-sig")
    except OSError as error:
        raise SessionError(
            f"{path} cannot be written ({error.strerror}): choose another folder."
        ) from error
