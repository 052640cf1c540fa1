"""The layers of one image: where prompts are drawn and objects appear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari.layers import Labels

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.plugin.layers.objects import ObjectsLayer, PaintListener
from napari_nninteractive.plugin.layers.prompts import DrawingListener, PointPrompts, ShapePrompts
from napari_nninteractive.plugin.layers.scribbles import ScribblePrompts
from napari_nninteractive.plugin.layers.style import Tool, aligned, role_of
from napari_nninteractive.workspace.commands import PlacedPrompt

__all__ = ["LayerSet"]

_MODES: dict[Tool, tuple[str, str]] = {
    "point": ("points", "add"),
    "box": ("shapes", "add_rectangle"),
    "scribble": ("scribbles", "paint"),
    "lasso": ("shapes", "add_polygon_lasso"),
}


class LayerSet:
    """Makes the layers of an image, or finds those that it made before, and listens to them.

    Layers are never removed, only emptied.

    Parameters
    ----------
    viewer : napari.Viewer
        Where to add them.
    image : Image
        What they lie on.
    frame : Frame
        Its axes.
    drawings : DrawingListener
        Told what is drawn.
    paint : PaintListener
        Told what the user does with the objects.
    results : dict
        Results by the id of their layer: those that are known are used again, and others are added.
    """

    def __init__(
        self,
        viewer: Any,
        image: Any,
        frame: Frame,
        drawings: DrawingListener,
        paint: PaintListener,
        results: dict[str, ObjectsLayer],
    ) -> None:
        self.image = image
        found: dict[str | None, Any] = {}
        for layer in viewer.layers:  # a copy that the user made lies above the original
            if _fits(layer, frame.shape):
                found.setdefault(role_of(layer, image), layer)
        extent = float(max(frame.shape[a] for a in frame.spatial[-2:]))

        def layer_of(role: str, make: Callable[[], Any]) -> Any:
            if role not in found:
                found[role] = make()
                viewer.add_layer(found[role])
            return found[role]

        self.is_new = ObjectsLayer.role not in found
        layer = layer_of(ObjectsLayer.role, lambda: ObjectsLayer.make(image, frame.shape))
        key = str(layer.unique_id)
        if key not in results:
            results[key] = ObjectsLayer(layer, paint)
        self.result = results[key]
        self.result.listen()
        in_layer = frame.channels is not None and frame.channels < frame.ndim
        self.result.labels.channel_axis = frame.channels if in_layer else None
        self.strokes = ScribblePrompts(
            layer_of(
                ScribblePrompts.role, lambda: ScribblePrompts.make(image, frame.shape, extent)
            ),
            drawings,
        )
        self.shapes = ShapePrompts(
            layer_of(ShapePrompts.role, lambda: ShapePrompts.make(image, frame.ndim, extent)),
            drawings,
        )
        self.points = PointPrompts(
            layer_of(PointPrompts.role, lambda: PointPrompts.make(image, frame.ndim, extent)),
            drawings,
        )
        self._keys: dict[str, Callable[[Any], None]] = {}
        for part in (self.points, self.shapes):
            part.layer.mouse_drag_callbacks.append(self._pressed)
            part.layer.mouse_move_callbacks.append(self._moved)

    @property
    def layers(self) -> tuple[Any, ...]:
        """All layers, the prompts' on top last."""
        return tuple(p.layer for p in (self.result, self.strokes, self.shapes, self.points))

    @property
    def drawn(self) -> tuple[Any, ...]:
        """Layers that prompts are drawn in."""
        return tuple(p.layer for p in (self.strokes, self.shapes, self.points))

    def bind(self, keys: Mapping[str, Callable[[], object]]) -> None:
        """Bind keys on our layers, and on no other."""
        for key, action in keys.items():
            for layer in self.layers:
                layer.bind_key(key, _pressing(action), overwrite=True)
            self._keys[key] = _pressing(action)

    def arm(self, viewer: Any, tool: Tool, *, positive: bool) -> None:
        """Make the next thing drawn a prompt of this kind and sign."""
        role, mode = _MODES[tool]
        for part in (self.points, self.shapes):
            part.deselect()
        part = next(p for p in (self.points, self.shapes, self.strokes) if p.role == role)
        part.arm(positive=positive)
        if not part.layer.visible:  # setting it draws all again
            part.layer.visible = True
        viewer.layers.selection.active = part.layer
        part.layer.mode = mode

    def sign(self, layer: Any, *, positive: bool) -> None:
        """Draw with this sign in a layer that the user went to, if it is one of those that prompts are drawn in."""
        for part in (self.points, self.shapes, self.strokes):
            if part.layer is layer:
                part.arm(positive=positive)

    def show(self, placed: Sequence[PlacedPrompt], frame: Frame) -> None:
        """Show these prompts, and no others."""
        for part in (self.points, self.shapes, self.strokes):
            part.show(placed, frame)

    def select(self, uid: int) -> None:
        """Select a prompt where it is a point or shape, and nothing else."""
        for part in (self.points, self.shapes):
            part.select(uid)

    def align(self, image: Any) -> None:
        """Lie on the image again, which was moved or got other voxels."""
        for layer in self.layers:
            for name, value in aligned(image).items():
                setattr(layer, name, value)

    def selected(self) -> list[int]:
        """Uids of the selected prompts of the active layer's kind, of all kinds else."""
        return [uid for part in (self.points, self.shapes) for uid in part.selected()]

    def set_visible(self, visible: bool) -> None:
        """Show or hide the layers of prompts."""
        for layer in self.drawn:
            layer.visible = visible

    def owns(self, layer: Any) -> bool:
        """Whether a layer is one of these."""
        return any(layer is own for own in self.layers)

    def close(self) -> None:
        """Listen no more; the layers stay as they are."""
        for part in (self.points, self.shapes):
            part.layer.mouse_drag_callbacks.remove(self._pressed)
            part.layer.mouse_move_callbacks.remove(self._moved)
        for key in self._keys:
            for layer in self.layers:
                layer.bind_key(key, None, overwrite=True)
        self._keys.clear()
        for one in (self.points, self.shapes, self.strokes, self.result):
            one.close()

    def _pressed(self, _layer: Any, event: Any) -> None:
        """Only the left button draws; napari would add a point with any."""
        for part in (self.points, self.shapes):
            part.ignored_button = event.button != 1

    def _moved(self, _layer: Any, _event: Any) -> None:
        for part in (self.points, self.shapes):
            part.ignored_button = False


def _fits(layer: Any, shape: tuple[int, ...]) -> bool:
    """Whether a layer of ours has the axes of the image, and its voxels if it has any."""
    return bool(layer.ndim == len(shape)) and (
        not isinstance(layer, Labels) or tuple(layer.data.shape) == shape
    )


def _pressing(action: Callable[[], object]) -> Callable[[Any], None]:
    def press(_layer: Any) -> None:
        action()

    return press
