"""Plain Points and Shapes layers to draw prompts in, kept in step with the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from napari.layers import Points, Shapes
from numpy.typing import NDArray

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point
from napari_nninteractive.plugin.layers import drawings
from napari_nninteractive.plugin.layers.paint_events import compare
from napari_nninteractive.plugin.layers.style import COLOURS, SIGNS, SYMBOLS, aligned, tag
from napari_nninteractive.workspace.commands import PlacedPrompt

__all__ = ["Drawing", "DrawingListener", "PointPrompts", "ShapePrompts"]

_DONE = {"added", "changed", "removed"}
_NEW = -1  # uid of what was just drawn


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Something drawn in a layer.

    Attributes
    ----------
    kind : str
        "point", or the type of the shape, or "scribble".
    positive : bool
        Its sign.
    vertices : ndarray
        (n, axes) in the layer; of a scribble the first voxel of its mask.
    mask : ndarray or None
        Painted voxels of a scribble, an axis for each of the layer.
    """

    kind: str
    positive: bool
    vertices: NDArray[np.float64]
    mask: NDArray[np.bool_] | None = None


class DrawingListener(Protocol):
    """Who is told what the user draws."""

    def add(self, drawing: Drawing) -> int | None:
        """Something new; returns its uid, or None where it cannot be used."""

    def move(self, uid: int, drawing: Drawing) -> bool:
        """Something was changed; returns whether it can be used."""

    def remove(self, uid: int) -> None:
        """Something was deleted."""


class _Rows:
    """What points and shapes share: rows with a uid and a sign among their features."""

    role = ""

    def __init__(self, layer: Any, listener: DrawingListener) -> None:
        self.layer, self._listener = layer, listener
        self._known: dict[int, NDArray[np.float64]] = {}
        self._signs: dict[int, bool] = {}
        self._kinds: dict[int, str] = {}
        self._syncing = False
        self.positive = True
        self.ignored_button = False
        if len(
            layer.data
        ):  # of a panel that was closed: its engine is gone, and its objects are kept
            self._fill()
        layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Listen no more; the layer stays."""
        self.layer.events.data.disconnect(self._on_data)

    def arm(self, *, positive: bool) -> None:
        """Draw with this sign from now on."""
        self.deselect()  # else what is selected would get the colour of the sign
        if positive != self.positive:
            self.positive = positive
            self._paint_next(positive)

    def deselect(self) -> None:
        """Select nothing."""
        if self.layer.selected_data:
            self.layer.selected_data = set()

    def select(self, uid: int) -> None:
        """Select one, and nothing else."""
        uids = self.layer.features["uid"].tolist()
        self.layer.selected_data = {i for i, known in enumerate(uids) if known == uid}

    def selected(self) -> list[int]:
        """Uids of what is selected."""
        uids = self.layer.features["uid"].tolist()
        return [uids[i] for i in sorted(self.layer.selected_data) if uids[i] in self._known]

    def show(self, placed: Sequence[PlacedPrompt], frame: Frame) -> None:
        """Show these prompts, and nothing else; does nothing where they are there already."""
        rows = [(m.uid, *self._row(m, frame)) for m in placed if self._shows(m)]
        same = [uid for uid, _, _, _ in rows] == list(self._known)
        if same and all(
            self._known[uid].shape == row.shape
            and np.allclose(self._known[uid], row, atol=1e-4)
            and self._signs[uid] == sign
            for uid, row, sign, _ in rows
        ):
            return
        self._known = {uid: row for uid, row, _, _ in rows}
        self._signs = {uid: sign for uid, _, sign, _ in rows}
        self._kinds = {uid: kind for uid, _, _, kind in rows}
        self._syncing = True
        try:
            self._fill()
        finally:
            self._syncing = False

    def _on_data(self, event: Any) -> None:
        if self._syncing or getattr(event.action, "value", event.action) not in _DONE:
            return
        uids = self.layer.features["uid"].tolist()
        rows = [np.array(r, np.float64) for r in self.layer.data]
        added, moved, removed = compare(self._known, uids, rows)
        refused = False
        for uid in removed:
            self._forget(uid)
            self._listener.remove(uid)
        for index in moved:
            uid = uids[index]
            if self._listener.move(uid, self._drawing(index, rows[index], self._signs[uid])):
                self._known[uid] = rows[index]
            else:
                refused = True
        for index in added:
            if self.ignored_button:
                refused = True
                continue
            drawing = self._drawing(index, rows[index], self.positive)
            given = self._listener.add(drawing)
            if given is None:
                refused = True
                continue
            uids[index] = given
            self._known[given], self._signs[given] = rows[index], self.positive
            self._kinds[given] = drawing.kind
        self._syncing = True
        try:
            if refused:
                self._fill()
            elif added:
                self._name(uids)
        finally:
            self._syncing = False

    def _forget(self, uid: int) -> None:
        for table in (self._known, self._signs, self._kinds):
            table.pop(uid, None)

    def _features(self) -> dict[str, Any]:
        return {
            "uid": np.array(list(self._known), int),
            "polarity": np.array([SIGNS[self._signs[uid]] for uid in self._known], object),
        }

    def _name(self, uids: list[int]) -> None:
        signs = np.array([SIGNS[self._signs[uid]] for uid in uids], object)
        self.layer.features = {"uid": np.array(uids, int), "polarity": signs}

    def _shows(self, placed: PlacedPrompt) -> bool:
        raise NotImplementedError

    def _row(self, placed: PlacedPrompt, frame: Frame) -> tuple[NDArray[np.float64], bool, str]:
        raise NotImplementedError

    def _drawing(self, index: int, row: NDArray[np.float64], positive: bool) -> Drawing:
        raise NotImplementedError

    def _fill(self) -> None:
        raise NotImplementedError

    def _paint_next(self, positive: bool) -> None:
        raise NotImplementedError


class PointPrompts(_Rows):
    """Clicks in a Points layer."""

    role = "points"

    @staticmethod
    def make(image: Any, ndim: int, extent: float) -> Any:
        """Layer for an image layer whose displayed sides have up to `extent` voxels."""
        return Points(
            ndim=ndim,
            name=f"{image.name}: points",
            metadata=tag(PointPrompts.role, image),
            features={"uid": np.zeros(0, int), "polarity": np.zeros(0, object)},
            feature_defaults={"uid": _NEW, "polarity": SIGNS[True]},
            size=min(max(extent / 40, 1.0), 30.0),
            canvas_size_limits=(9, 40),
            border_color="black",
            face_color=COLOURS[True],
            **aligned(image),
        )

    def _shows(self, placed: PlacedPrompt) -> bool:
        return isinstance(placed.prompt, Point)

    def _row(self, placed: PlacedPrompt, frame: Frame) -> tuple[NDArray[np.float64], bool, str]:
        prompt = placed.prompt
        row = frame.to_layer(prompt.bounds.start) if placed.outline is None else placed.outline
        return row.reshape(-1), prompt.positive, "point"

    def _drawing(self, index: int, row: NDArray[np.float64], positive: bool) -> Drawing:
        del index  # all rows are points
        return Drawing("point", positive, row[np.newaxis])

    def _fill(self) -> None:
        layer = self.layer
        layer.selected_data = set()
        layer.data = np.array(list(self._known.values())).reshape(-1, layer.ndim)
        layer.features = self._features()
        if self._known:
            signs = list(self._signs.values())
            layer.face_color = [COLOURS[s] for s in signs]
            layer.symbol = [SYMBOLS[s] for s in signs]
        self._paint_next(self.positive)

    def _paint_next(self, positive: bool) -> None:
        layer = self.layer
        layer.current_face_color = COLOURS[positive]
        layer.current_symbol = SYMBOLS[positive]
        layer.feature_defaults = {"uid": _NEW, "polarity": SIGNS[positive]}


class ShapePrompts(_Rows):
    """Boxes and lassos in a Shapes layer."""

    role = "shapes"

    @staticmethod
    def make(image: Any, ndim: int, extent: float) -> Any:
        """Layer for an image layer whose displayed sides have up to `extent` voxels."""
        return Shapes(
            ndim=ndim,
            name=f"{image.name}: boxes and lassos",
            metadata=tag(ShapePrompts.role, image),
            features={"uid": np.zeros(0, int), "polarity": np.zeros(0, object)},
            feature_defaults={"uid": _NEW, "polarity": SIGNS[True]},
            edge_width=max(extent / 250, 0.5),
            edge_color=COLOURS[True],
            face_color="transparent",
            **aligned(image),
        )

    def _shows(self, placed: PlacedPrompt) -> bool:
        return isinstance(placed.prompt, BoxPrompt | Lasso)

    def _row(self, placed: PlacedPrompt, frame: Frame) -> tuple[NDArray[np.float64], bool, str]:
        prompt, row = placed.prompt, placed.outline
        if row is None and isinstance(prompt, BoxPrompt | Lasso):
            row = drawings.outline(prompt, frame)
        kind = "rectangle" if isinstance(prompt, BoxPrompt) else "polygon"
        return np.asarray(row), prompt.positive, kind

    def _drawing(self, index: int, row: NDArray[np.float64], positive: bool) -> Drawing:
        return Drawing(str(self.layer.shape_type[index]), positive, row)

    def _fill(self) -> None:
        layer = self.layer
        layer.selected_data = set()
        colours = [COLOURS[self._signs[uid]] for uid in self._known]
        width = layer.current_edge_width
        layer.data = []
        if self._known:
            layer.add(
                [np.asarray(row) for row in self._known.values()],
                shape_type=[self._kinds[uid] for uid in self._known],
                edge_color=colours,
                face_color="transparent",
                edge_width=width,
            )
            layer.selected_data = set()
        layer.current_face_color = "transparent"
        layer.features = self._features()
        self._paint_next(self.positive)

    def _paint_next(self, positive: bool) -> None:
        layer = self.layer
        layer.current_edge_color = COLOURS[positive]
        layer.feature_defaults = {"uid": _NEW, "polarity": SIGNS[positive]}
