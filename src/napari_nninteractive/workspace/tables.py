"""What is known of the objects of all images that were opened."""

from __future__ import annotations

from napari_nninteractive.workspace.objects import ObjectTable
from napari_nninteractive.workspace.queue import LabelTarget

__all__ = ["ObjectTables"]


class ObjectTables:
    """A table of objects for each place where they are shown, which may be another one for an image later."""

    def __init__(self) -> None:
        self._tables: dict[LabelTarget, ObjectTable] = {}
        self._targets: dict[str, LabelTarget] = {}  # by image: where its objects were written last

    def of(self, target: LabelTarget) -> ObjectTable:
        """Return the table of the objects that a target shows."""
        return self._tables.setdefault(target, ObjectTable(target.labels))

    def open(self, image: str, target: LabelTarget, shape: tuple[int, ...]) -> bool:
        """Show the objects of an image in a target; those made in an earlier one come along.

        Parameters
        ----------
        image : str
            Which image.
        target : LabelTarget
            Where its objects are shown from now on.
        shape : tuple of int
            Of the image, along the axes of its layer.

        Returns
        -------
        bool
            Whether the target is new here.
        """
        fresh = target not in self._tables
        earlier = self._targets.get(image)
        self._targets[image] = target
        if fresh and earlier is not None and earlier in self._tables:
            self._tables[target] = self._tables[earlier].moved_to(target.labels, shape)
        return fresh

    def close(self, target: LabelTarget) -> None:
        """Forget the objects that a target shows."""
        self._tables.pop(target, None)
        self._targets = {i: t for i, t in self._targets.items() if t is not target}

    def clear(self) -> None:
        """Forget all."""
        self._tables.clear()
        self._targets.clear()
