"""Plain Points and Shapes layers to draw prompts in, kept in step with the prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from numpy.typing import NDArray

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point
from napari_nninteractive.plugin.layers import drawings
from napari_nninteractive.plugin.layers.drawings import Drawing, DrawingListener
from napari_nninteractive.plugin.layers.paint_events import compare
from napari_nninteractive.plugin.layers.style import SIGNS, SYMBOLS, SignColours, aligned, tag
from napari_nninteractive.workspace.values.placed import PlacedPrompt

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.utils.events import Event

__all__ = ["PointPrompts", "ShapePrompts"]

_DONE = {"added", "changed", "removed"}
_NEW = -1  # uid of what was just drawn


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A prompt as its layer shows it."""

    vertices: NDArray[np.float64]
    positive: bool
    kind: str

    def shows(self, other: _Row) -> bool:
        """Whether both look the same."""
        return (
            self.positive == other.positive
            and self.vertices.shape == other.vertices.shape
            and np.allclose(self.vertices, other.vertices, atol=1e-4)
        )


class _RowPrompts:
    """What points and shapes share: rows of a layer, with a uid and a sign among their features."""

    role = ""

    def __init__(
        self, layer: Points | Shapes, listener: DrawingListener, colours: SignColours
    ) -> None:
        self.layer, self._listener, self._colours = layer, listener, colours
        self._rows: dict[int, _Row] = {}
        self._syncing = False
        self._positive = True
        self.ignored_button = False
        # What a closed panel left: its engine is gone, and the objects made of it are kept.
        if len(layer.data):
            self._fill()
        layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Listen no more; the layer stays."""
        self.layer.events.data.disconnect(self._on_data)

    def arm(self, *, positive: bool) -> None:
        """Draw with this sign from now on."""
        self.deselect()  # else what is selected would get the colour of the sign
        if positive != self._positive:
            self._positive = positive
            self._show_sign()

    def deselect(self) -> None:
        """Select nothing."""
        if self.layer.selected_data:
            self.layer.selected_data = set()

    def select(self, uid: int) -> None:
        """Select one, and nothing else."""
        self.layer.selected_data = {i for i, known in enumerate(self._uids()) if known == uid}

    def selected(self) -> list[int]:
        """Uids of what is selected."""
        uids = self._uids()
        return [uids[i] for i in sorted(self.layer.selected_data) if uids[i] in self._rows]

    def show(self, placed: Sequence[PlacedPrompt], frame: Frame) -> None:
        """Show these prompts, and nothing else; does nothing where they are there already."""
        rows = {p.uid: row for p in placed if (row := self._row_of(p, frame)) is not None}
        if list(rows) != list(self._rows) or not all(
            self._rows[uid].shows(row) for uid, row in rows.items()
        ):
            self._rows = rows
            with self._own_change():
                self._fill()

    def _on_data(self, event: Event) -> None:
        if self._syncing or getattr(event.action, "value", event.action) not in _DONE:
            return
        uids, vertices = self._uids(), [np.array(row, np.float64) for row in self.layer.data]
        known = {uid: row.vertices for uid, row in self._rows.items()}
        added, moved, removed = compare(known, uids, vertices)
        for uid in removed:
            del self._rows[uid]
            self._listener.remove(uid)
        taken = [self._take_move(uids[index], vertices[index]) for index in moved]
        for index in added:
            given = self._take_new(index, vertices[index])
            taken.append(given is not None)
            uids[index] = _NEW if given is None else given
        with self._own_change():
            if not all(taken):
                self._fill()
            elif added:
                self.layer.features = self._features(uids)

    def _take_move(self, uid: int, vertices: NDArray[np.float64]) -> bool:
        row = replace(self._rows[uid], vertices=vertices)
        taken = self._listener.move(uid, self._drawing(row))
        if taken:
            self._rows[uid] = row
        return taken

    def _take_new(self, index: int, vertices: NDArray[np.float64]) -> int | None:
        if self.ignored_button:
            return None
        row = _Row(vertices, self._positive, self._kind(index))
        uid = self._listener.add(self._drawing(row))
        if uid is not None:
            self._rows[uid] = row
        return uid

    @contextmanager
    def _own_change(self) -> Iterator[None]:
        """Change the layer without taking that for something drawn."""
        self._syncing = True
        try:
            yield
        finally:
            self._syncing = False

    def _uids(self) -> list[int]:
        uids: list[int] = self.layer.features["uid"].tolist()
        return uids

    def _features(self, uids: Sequence[int]) -> dict[str, NDArray[Any]]:
        signs = [SIGNS[self._rows[uid].positive] for uid in uids]
        return {"uid": np.array(uids, int), "polarity": np.array(signs, object)}

    def _row_of(self, placed: PlacedPrompt, frame: Frame) -> _Row | None:
        """How a prompt is shown; None where another layer shows it."""
        raise NotImplementedError

    def _kind(self, index: int) -> str:
        raise NotImplementedError

    def _drawing(self, row: _Row) -> Drawing:
        return Drawing(row.kind, row.positive, np.atleast_2d(row.vertices))

    def _fill(self) -> None:
        """Let the layer hold exactly the rows."""
        raise NotImplementedError

    def _show_sign(self) -> None:
        """Let what is drawn next look as its sign."""
        raise NotImplementedError


class PointPrompts(_RowPrompts):
    """Clicks in a Points layer."""

    role = "points"

    @staticmethod
    def make(image: Image, ndim: int, extent: float) -> Points:
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
            **aligned(image),
        )

    def __init__(self, layer: Points, listener: DrawingListener, colours: SignColours) -> None:
        super().__init__(layer, listener, colours)
        self._show_sign()

    def _row_of(self, placed: PlacedPrompt, frame: Frame) -> _Row | None:
        prompt = placed.prompt
        if not isinstance(prompt, Point):
            return None
        row = frame.to_layer(prompt.bounds.start) if placed.outline is None else placed.outline
        return _Row(row.reshape(-1), prompt.positive, "point")

    def _kind(self, index: int) -> str:
        del index  # all rows are points
        return "point"

    def _fill(self) -> None:
        layer, rows = self.layer, self._rows.values()
        layer.selected_data = set()
        layer.data = np.array([row.vertices for row in rows]).reshape(-1, layer.ndim)
        layer.features = self._features(list(self._rows))
        if self._rows:
            layer.face_color = [self._colours.of(row.positive) for row in rows]
            layer.symbol = [SYMBOLS[row.positive] for row in rows]
        self._show_sign()

    def _show_sign(self) -> None:
        layer, positive = self.layer, self._positive
        layer.current_face_color = self._colours.of(positive)
        layer.current_symbol = SYMBOLS[positive]
        layer.feature_defaults = {"uid": _NEW, "polarity": SIGNS[positive]}


class ShapePrompts(_RowPrompts):
    """Boxes and lassos in a Shapes layer."""

    role = "shapes"

    @staticmethod
    def make(image: Image, ndim: int, extent: float) -> Shapes:
        """Layer for an image layer whose displayed sides have up to `extent` voxels."""
        return Shapes(
            ndim=ndim,
            name=f"{image.name}: boxes and lassos",
            metadata=tag(ShapePrompts.role, image),
            features={"uid": np.zeros(0, int), "polarity": np.zeros(0, object)},
            feature_defaults={"uid": _NEW, "polarity": SIGNS[True]},
            edge_width=max(extent / 250, 0.5),
            face_color="transparent",
            **aligned(image),
        )

    def __init__(self, layer: Shapes, listener: DrawingListener, colours: SignColours) -> None:
        super().__init__(layer, listener, colours)
        layer.current_face_color = "transparent"
        self._show_sign()

    def _row_of(self, placed: PlacedPrompt, frame: Frame) -> _Row | None:
        prompt = placed.prompt
        if not isinstance(prompt, BoxPrompt | Lasso):
            return None
        kind = "rectangle" if isinstance(prompt, BoxPrompt) else "polygon"
        drawn = placed.outline if placed.outline is not None else drawings.outline(prompt, frame)
        return _Row(np.asarray(drawn), prompt.positive, kind)

    def _kind(self, index: int) -> str:
        return str(self.layer.shape_type[index])

    def _fill(self) -> None:
        layer, rows = self.layer, self._rows.values()
        layer.selected_data = set()
        width = layer.current_edge_width
        layer.data = []
        if self._rows:
            layer.add(
                [row.vertices for row in rows],
                shape_type=[row.kind for row in rows],
                edge_color=[self._colours.of(row.positive) for row in rows],
                face_color="transparent",
                edge_width=width,
            )
            layer.selected_data = set()
        layer.features = self._features(list(self._rows))
        layer.current_face_color = "transparent"
        self._show_sign()

    def _show_sign(self) -> None:
        layer, positive = self.layer, self._positive
        layer.current_edge_color = self._colours.of(positive)
        layer.feature_defaults = {"uid": _NEW, "polarity": SIGNS[positive]}
