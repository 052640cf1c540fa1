"""Files of a report: each there as a whole or not at all, in a folder that stays only if something is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_nninteractive.evaluation.cases import LabelledVolume
from napari_nninteractive.evaluation.protocol import ObjectResult
from napari_nninteractive.evaluation.report import to_csv, to_json
from napari_nninteractive.files import atomic_write

__all__ = ["made_folder", "write_files"]


@contextmanager
def made_folder(folder: Path | None) -> Iterator[None]:
    """Make a folder; at the end, take it and the parents made for it away again where nothing was written.

    Parameters
    ----------
    folder : Path or None
        May be there already, and then stays; None: nothing is done.
    """
    new = [p for p in (folder, *folder.parents) if not p.exists()] if folder is not None else []
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for place in new:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()


def write_files(
    paths: Mapping[str, Path],
    results: Sequence[ObjectResult],
    settings: Mapping[str, Any],
    read: Callable[[str], LabelledVolume],
) -> Iterator[Path]:
    """Write the results, figures before pictures, so that these are there whatever happens to the others.

    Parameters
    ----------
    paths : mapping
        Files by what they hold: "json", "csv", "plot", "sheet"; any of them.
    results : sequence of ObjectResult
        At least one.
    settings : mapping
        As in :func:`~.report.to_json`.
    read : callable
        Name of a volume to the volume, for the pictures of objects.

    Yields
    ------
    Path
        Each file, when it is there.
    """
    if path := paths.get("json"):
        yield _write(path, lambda p: p.write_text(to_json(results, settings), "utf-8"))
    if path := paths.get("csv"):
        yield _write(path, lambda p: p.write_text(to_csv(results), "utf-8"))
    if path := paths.get("plot"):
        from napari_nninteractive.evaluation.curves import draw_curves

        yield _write(path, lambda p: draw_curves(p, results))
    if path := paths.get("sheet"):
        from napari_nninteractive.evaluation.worst import draw_worst, worst_objects

        yield _write(path, lambda p: draw_worst(p, worst_objects(results), read))


def _write(path: Path, write: Callable[[Path], object]) -> Path:
    with atomic_write(path) as beside:
        write(beside)
    return path
