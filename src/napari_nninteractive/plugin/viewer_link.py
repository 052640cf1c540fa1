"""Between napari's viewer and the client: which image, where in it, and what was drawn there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from psygnal import Signal

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.errors import ImageError, NNInteractiveError, PromptError
from napari_nninteractive.plugin.layers import image_layer
from napari_nninteractive.plugin.layers.drawings import Drawing, prompt_of
from napari_nninteractive.plugin.layers.layer_set import LayerSet
from napari_nninteractive.plugin.layers.objects import ObjectsLayer
from napari_nninteractive.plugin.layers.probability import ProbabilityLayer
from napari_nninteractive.plugin.layers.style import GEOMETRY, KEY, SignColours
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.values.placed import ImageSource, PlacedPrompt

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.utils.events import Event

__all__ = ["FlatOnlyError", "ViewerLink"]

_FLAT_ONLY = "Prompts are drawn in slices: go back to the 2D view with the second button below the list of layers."
_HIDDEN = "The prompts' layer is hidden, so clicks draw nothing: show it again, or press a tool."
_UNSEEN = "The layer of objects is hidden: what is found does not show."


class FlatOnlyError(PromptError):
    """Something was to be drawn while the viewer shows 3D."""

    def __init__(self) -> None:
        super().__init__(_FLAT_ONLY)


class ViewerLink:
    """Follows the viewer, and is told by the layers what is drawn.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer, with a window or without, or napari's public proxy of it.
    client : WorkspaceClient
        Gets the prompts.
    colours : SignColours
        Of the prompts.
    """

    image_chosen = Signal()  # before it is opened
    opened = Signal()  # the layers of the image are there: to be armed
    image_changed = Signal()  # the image, its frame, or the size of its voxels
    choices_changed = Signal()  # the layers to choose from, or their names
    failed = Signal(object)  # the exception
    hinted = Signal(str)

    def __init__(
        self, viewer: ViewerModel, client: WorkspaceClient, colours: SignColours | None = None
    ) -> None:
        self._viewer, self._client = viewer, client
        self._colours = colours or SignColours()
        self._keys: Mapping[str, Callable[[], object]] = {}
        self._layers: LayerSet | None = None
        self._image: Image | None = None
        self._channel: int | None = None
        self._version = 0
        # Last number that the layer of objects was told to paint with.
        self._told_number = 0
        self._known_objects: dict[str, ObjectsLayer] = {}
        self._probability = ProbabilityLayer(viewer)
        # Whether the image was opened because it came into the viewer: then other layers may still follow it.
        self._opened_by_insertion = False
        layers = viewer.layers
        self._connections: list[tuple[Any, Callable[..., object]]] = [
            (client.prompts_changed, self._show),
            (client.predicted, self._show_probability),
            (client.changed_without_prediction, self._clear_probability),
            (client.frame_wanted, self._go_to_frame),
            (layers.events.inserted, self._on_inserted),
            (layers.events.removed, self._on_removed),
            (layers.events.reordered, self._on_listed),
            (layers.events.renamed, self._on_listed),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)

    # Images

    @property
    def image(self) -> Image | None:
        """Image layer that is segmented, or None."""
        return self._image

    @property
    def layers(self) -> LayerSet | None:
        """The layers made for it."""
        return self._layers

    def images(self) -> list[Image]:
        """Image layers of the viewer that can be segmented."""
        return [x for x in self._viewer.layers if isinstance(x, Image) and KEY not in x.metadata]

    def other_labels(self) -> list[Labels]:
        """Labels layers of the viewer that the plugin did not make."""
        return [x for x in self._viewer.layers if isinstance(x, Labels) and KEY not in x.metadata]

    def bind(self, keys: Mapping[str, Callable[[], object]]) -> None:
        """Bind keys on the layers made for each image that is chosen from now on."""
        self._keys = keys

    def start(self) -> None:
        """Choose the active image, or the top one; nothing where there is none."""
        images = self.images()
        active = self._viewer.layers.selection.active
        if images:
            self.choose(next((i for i in images if i == active), images[-1]))

    def choose(self, image: Image | None, channel: int | None = None) -> None:
        """Segment an image layer, or one channel of it; None for no image.

        One that cannot be segmented is said, and the last one stays.
        """
        self.image_chosen.emit()
        before = (self._image, self._channel)
        problem = self._switch(image, channel)
        left = (self._image, self._channel) != before
        if problem is not None and left and self._switch(*before) is not None:
            self._switch(None, None)
        self.image_changed.emit()
        self.opened.emit()
        if problem is not None:
            self.failed.emit(problem)

    def choose_channel(self, channel: int | None) -> None:
        """Segment one channel of the image, or with None the mean of all."""
        self.choose(self._image, channel)

    def finish_opening(self) -> None:
        """Tell again that the image is open, when all that came with it is there: napari selects each new layer."""
        if self._opened_by_insertion:
            self._opened_by_insertion = False
            self.opened.emit()

    def restore_layers(self) -> None:
        """Make the layers of the image that were removed."""
        if self._image is not None and self._layers is None:
            self._reopen()

    def follow(self) -> None:
        """Go to the time point that the viewer shows."""
        source = self._client.source
        if self._image is None or source is None:
            return
        if self._frame_in_view(self._image, self._channel) != source.frame and self._reopen():
            self.image_changed.emit()

    # DrawingListener: what the layers of prompts report

    def add(self, drawing: Drawing) -> int | None:
        """Something was drawn."""
        try:
            frame, prompt = self._understand(drawing)
        except NNInteractiveError as error:
            self.failed.emit(error)
            return None
        source = self._client.source
        # Drawn at a time point before the panel followed the viewer to it.
        elsewhere = source is None or source.frame != frame
        if elsewhere:
            self._open(frame)
        uid = self._client.add(prompt, drawing.outline)
        if elsewhere:
            self.image_changed.emit()
        return uid

    def move(self, uid: int, drawing: Drawing) -> bool:
        """Something was moved or reshaped."""
        try:
            frame, prompt = self._understand(drawing)
            source = self._client.source
            if source is None or source.frame != frame:
                raise PromptError(
                    "A prompt cannot move to another time point; draw a new one there."
                )
        except NNInteractiveError as error:
            self.failed.emit(error)
            return False
        self._client.move(uid, prompt, drawing.outline)
        return True

    def remove(self, uid: int) -> None:
        """Something was deleted."""
        self._client.remove(uid)

    # The rest of what is shown

    def show_probability(self, shown: bool) -> None:
        """Show or hide the layer of the network's probability, where there is one."""
        if self._image is not None:
            self._probability.set_visible(self._image, shown)

    def close(self) -> None:
        """Listen no more; the user's work stays in the viewer."""
        self._close_layers()
        self._known_objects.clear()
        self._listen(on=False)
        for signal, slot in self._connections:
            signal.disconnect(slot)
        self._connections.clear()
        self._keys = {}
        self._image = None

    # Inside

    def _frame_in_view(self, image: Image, channel: int | None) -> Frame:
        position = image_layer.position_in_view(image, self._viewer.dims)
        return image_layer.frame_at(image, position, channel)

    def _understand(self, drawing: Drawing) -> tuple[Frame, Prompt]:
        """Where something was drawn, and which prompt it is."""
        if self._viewer.dims.ndisplay == 3:
            raise FlatOnlyError
        if self._image is None:
            raise PromptError("There is no image to segment: open one, then choose it at the top.")
        frame = image_layer.frame_at(self._image, drawing.vertices[0].tolist(), self._channel)
        return frame, prompt_of(drawing, frame, image_layer.depth_axis(self._viewer.dims, frame))

    def _switch(self, image: Image | None, channel: int | None) -> Exception | None:
        """Leave the image for another, or for none. Returns why that cannot be: before anything changed, if it can."""
        try:
            frame = None if image is None else self._frame_in_view(image, channel)
            if self._layers is not None and self._layers.image != image:
                left = self._layers
                self._close_layers()
                left.hide_prompts()
            self._listen(on=False)
            self._image, self._channel = image, channel
            self._listen(on=True)
            if frame is None:
                self._client.close_image()
            else:
                self._open(frame)
        except (NNInteractiveError, MemoryError) as error:
            return error
        return None

    def _reopen(self) -> bool:
        """Open the image where the viewer stands; one that cannot be segmented any more is closed, and that said."""
        problem = self._switch(self._image, self._channel)
        if problem is not None:
            self._switch(None, None)
            self.image_changed.emit()
            self.failed.emit(problem)
        return problem is None

    def _open(self, frame: Frame) -> None:
        """Make the layers of the image, where there are none, and tell the client."""
        image = self._image
        if image is None:
            return
        if self._layers is None:
            self._layers = LayerSet(
                self._viewer, image, frame, self, self._client, self._known_objects, self._colours
            )
            self._layers.bind(self._keys)
            for layer in self._layers.layers:
                layer.events.visible.connect(self._on_visible)
        objects = self._layers.objects
        # Counting takes a while, so it is done only where it is needed.
        existing = objects.count if self._layers.uncounted else None
        self._layers.uncounted = False
        data, size = image_layer.array_of(image), image_layer.spacing_of(image, frame)
        source = ImageSource(str(image.unique_id), data, frame, size, self._version)
        self._client.open(source, objects, existing)

    def _show(self, placed: tuple[PlacedPrompt, ...]) -> None:
        source = self._client.source
        if self._layers is not None and source is not None:
            self._layers.show(placed, source.frame)
            number = self._client.table.labels.number(self._client.label)
            # Only a new one is told: else the user may paint with another.
            if number != self._told_number:
                self._layers.objects.choose(number)
                self._told_number = number

    def _show_probability(self, source: ImageSource, prediction: Prediction) -> None:
        if source is self._client.source and self._image is not None:
            self._probability.show(self._image, source.frame, prediction)

    def _clear_probability(self) -> None:
        if self._image is not None:
            self._probability.clear(self._image)

    def _close_layers(self) -> None:
        if self._layers is not None:
            for layer in self._layers.layers:
                layer.events.visible.disconnect(self._on_visible)
            self._layers.close()
            self._layers = None

    def _listen(self, *, on: bool) -> None:
        """Follow the data and the place in space of the image, or no longer."""
        if self._image is not None:
            events = self._image.events
            for event, slot in (
                (events.data, self._on_data),
                *((getattr(events, name), self._on_space) for name in GEOMETRY),
            ):
                (event.connect if on else event.disconnect)(slot)

    def _go_to_frame(self, frame: Frame) -> None:
        """Show a time point and channel, and segment there."""
        if self._image is None:
            return
        self._channel = frame.channel
        axes = [a for a in range(frame.ndim) if a not in (*frame.spatial, frame.channel_axis)]
        position = frame.to_layer((0, 0, 0))[0].tolist()
        image_layer.go_to(self._viewer.dims, self._image, position, axes)
        self._open(frame)
        self.image_changed.emit()

    # What happens in the viewer

    def _on_space(self, _event: Event) -> None:
        """The image lies elsewhere now: its layers follow, and volumes are counted with the new voxels."""
        if self._layers is not None and self._image is not None:
            self._layers.align()
            self._probability.align(self._image)
            self._version += 1
            if self._reopen():
                self.image_changed.emit()

    def _on_data(self, _event: Event) -> None:
        """The image holds other data now: read it again, and make other layers if its shape is another."""
        source = self._client.source
        self._version += 1
        if self._image is None:
            return
        if source is not None and source.frame.shape != image_layer.voxel_shape(self._image):
            self._close_layers()
        made = self._layers is None
        if self._reopen():
            self.image_changed.emit()
            if made:
                self.opened.emit()

    def _on_visible(self, event: Event) -> None:
        """Say why clicks do nothing where the user hid the layer that is drawn in, or why nothing shows."""
        layer = event.source
        if layer.visible or self._layers is None:
            return
        if layer == self._layers.objects.layer:
            self.hinted.emit(_UNSEEN)
        elif self._viewer.layers.selection.active == layer:
            self.hinted.emit(_HIDDEN)

    def _on_listed(self, _event: Event) -> None:
        self.choices_changed.emit()

    def _on_inserted(self, _event: Event) -> None:
        self.choices_changed.emit()
        if self._image is None and self.images():
            self._opened_by_insertion = True
            self.start()

    def _on_removed(self, event: Event) -> None:
        self.choices_changed.emit()
        if self._image is not None and event.value == self._image:
            self._switch(None, None)
            self.image_changed.emit()
            self.failed.emit(ImageError("The image was removed; its objects stay. Choose another."))
        elif self._layers is not None and self._layers.owns(event.value):
            self._close_layers()
            self.failed.emit(
                ImageError("A layer of the panel was removed: press a tool to get a new one.")
            )
