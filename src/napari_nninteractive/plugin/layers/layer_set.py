"""The layers of one image: where prompts are drawn and objects appear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from napari.layers import Labels

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.plugin.layers.drawings import DrawingListener
from napari_nninteractive.plugin.layers.objects import ObjectsLayer, PaintListener
from napari_nninteractive.plugin.layers.prompts import PointPrompts, ShapePrompts
from napari_nninteractive.plugin.layers.scribbles import ScribblePrompts
from napari_nninteractive.plugin.layers.style import SignColours, Tool, align, role_of
from napari_nninteractive.workspace.values.placed import PlacedPrompt

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from napari.utils.events import Event

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
    viewer : ViewerModel
        Where to add them.
    image : Image
        What they lie on.
    frame : Frame
        Its axes.
    drawings : DrawingListener
        Told what is drawn.
    paint : PaintListener
        Told what the user does with the objects.
    known : dict
        Layers of objects by their id: those that are known are used again, and others are added.
    colours : SignColours
        Of the prompts.

    Attributes
    ----------
    uncounted : bool
        Whether the layer of objects was there before, so that it may hold some that nobody has counted yet.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        frame: Frame,
        drawings: DrawingListener,
        paint: PaintListener,
        known: dict[str, ObjectsLayer],
        colours: SignColours,
    ) -> None:
        self.image, self._viewer = image, viewer
        found = _ours(viewer, image, frame.shape)
        self.uncounted = ObjectsLayer.role in found
        extent = float(max(frame.shape[a] for a in frame.spatial[-2:]))

        def layer_of(role: str, make: Callable[[], Layer]) -> Layer:
            if role not in found:
                found[role] = make()
                viewer.add_layer(found[role])
            return found[role]

        # In this order: what is drawn lies above the objects.
        layer = layer_of(ObjectsLayer.role, lambda: ObjectsLayer.make(image, frame.shape))
        key = str(layer.unique_id)
        if key not in known:
            known[key] = ObjectsLayer(layer, paint)
        self.objects = known[key]
        self.objects.listen()
        self.objects.labels.channel_axis = frame.channel_axis
        layer = layer_of(
            ScribblePrompts.role, lambda: ScribblePrompts.make(image, frame.shape, extent)
        )
        self.scribbles = ScribblePrompts(layer, drawings, colours)
        layer = layer_of(ShapePrompts.role, lambda: ShapePrompts.make(image, frame.ndim, extent))
        self.shapes = ShapePrompts(layer, drawings, colours)
        layer = layer_of(PointPrompts.role, lambda: PointPrompts.make(image, frame.ndim, extent))
        self.points = PointPrompts(layer, drawings, colours)
        self._keys: tuple[str, ...] = ()
        for part in (self.points, self.shapes):
            part.layer.mouse_drag_callbacks.append(self._pressed)
            part.layer.mouse_move_callbacks.append(self._moved)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, the prompts' on top last."""
        return (self.objects.layer, *self.drawn)

    @property
    def drawn(self) -> tuple[Layer, ...]:
        """Layers that prompts are drawn in."""
        return self.scribbles.layer, self.shapes.layer, self.points.layer

    def bind(self, keys: Mapping[str, Callable[[], object]]) -> None:
        """Bind keys on these layers, and on no other."""
        self._keys = tuple(keys)
        for key, action in keys.items():
            for layer in self.layers:
                layer.bind_key(key, _pressing(action), overwrite=True)

    def arm(self, tool: Tool, *, positive: bool) -> None:
        """Make the next thing drawn a prompt of this kind and sign."""
        role, mode = _MODES[tool]
        for part in (self.points, self.shapes):
            part.deselect()
        layer = next(p.layer for p in self._parts() if p.role == role)
        self.set_sign(layer, positive=positive)
        # Showing a layer draws all again, so only where it is hidden.
        if not layer.visible:
            layer.visible = True
        self._viewer.layers.selection.active = layer
        layer.mode = mode

    def set_sign(self, layer: Layer, *, positive: bool) -> None:
        """Draw with a sign in a layer, where it is one of those that prompts are drawn in."""
        for part in self._parts():
            if part.layer == layer:
                part.arm(positive=positive)

    def show(self, placed: Sequence[PlacedPrompt], frame: Frame) -> None:
        """Show these prompts, and no others."""
        for part in self._parts():
            part.show(placed, frame)

    def select(self, uid: int) -> None:
        """Select a prompt where it is a point or shape, and nothing else."""
        for part in (self.points, self.shapes):
            part.select(uid)

    def selected(self) -> list[int]:
        """Uids of the selected points and shapes."""
        return [uid for part in (self.points, self.shapes) for uid in part.selected()]

    def align(self) -> None:
        """Lie on the image again, which was moved or got another voxel size."""
        for layer in self.layers:
            align(layer, self.image)

    def hide_prompts(self) -> None:
        """Hide the layers that prompts are drawn in."""
        for layer in self.drawn:
            layer.visible = False

    def owns(self, layer: Layer) -> bool:
        """Whether a layer is one of these."""
        return any(layer == own for own in self.layers)

    def close(self) -> None:
        """Listen no more; the layers stay as they are."""
        for part in (self.points, self.shapes):
            part.layer.mouse_drag_callbacks.remove(self._pressed)
            part.layer.mouse_move_callbacks.remove(self._moved)
        for key in self._keys:
            for layer in self.layers:
                layer.bind_key(key, None, overwrite=True)
        self._keys = ()
        for one in (*self._parts(), self.objects):
            one.close()

    def _parts(self) -> tuple[PointPrompts, ShapePrompts, ScribblePrompts]:
        return self.points, self.shapes, self.scribbles

    def _pressed(self, _layer: Layer, event: Event) -> None:
        """Only the left button draws; napari would add a point with any."""
        for part in (self.points, self.shapes):
            part.ignored_button = event.button != 1

    def _moved(self, _layer: Layer, _event: Event) -> None:
        for part in (self.points, self.shapes):
            part.ignored_button = False


def _ours(viewer: ViewerModel, image: Image, shape: tuple[int, ...]) -> dict[str | None, Layer]:
    """Layers of the plugin for an image, by role: those that have its axes, and its voxels if they have any."""
    found: dict[str | None, Layer] = {}
    for layer in viewer.layers:
        fits = layer.ndim == len(shape)
        if fits and (not isinstance(layer, Labels) or tuple(layer.data.shape) == shape):
            # A copy that the user made lies above the original, so it comes later.
            found.setdefault(role_of(layer, image), layer)
    return found


def _pressing(action: Callable[[], object]) -> Callable[[Layer], None]:
    def press(_layer: Layer) -> None:
        action()

    return press
