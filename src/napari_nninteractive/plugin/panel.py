"""The dock widget: composes view, client, layers and worker, and owns their end."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Labels
from qtpy.compat import isalive
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt.utils import qdebounced, qthrottled

from napari_nninteractive.errors import Cancelled, DeviceMemoryError, NNInteractiveError
from napari_nninteractive.plugin.file_actions import FileActions
from napari_nninteractive.plugin.layers.probability import ProbabilityLayer
from napari_nninteractive.plugin.layers.style import COLOURS, KEY
from napari_nninteractive.plugin.model_actions import ModelActions
from napari_nninteractive.plugin.settings import Settings, read_settings
from napari_nninteractive.plugin.view import messages
from napari_nninteractive.plugin.view.panel_view import KEYS, PanelView
from napari_nninteractive.plugin.viewer_link import FLAT_ONLY, ViewerLink
from napari_nninteractive.plugin.worker import Worker
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.commands import ModelChoice, describe
from napari_nninteractive.workspace.workspace import Workspace, estimate_cost

__all__ = ["Panel"]

SAVE_AFTER, SAVE_AT_LAST = 3000, 10_000
"""Milliseconds after a change until it is in the recovery file: where nothing else changes, and in any case."""
_ELSEWHERE = "Another layer is selected, so clicks draw nothing: press a tool to go on."


class Panel(QWidget):
    """Interactive segmentation beside the canvas.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    workspace : Workspace, optional
        Where the commands run; with the real models by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, workspace: Workspace | None = None) -> None:
        super().__init__()
        settings = read_settings()
        COLOURS.update({True: settings.positive_colour, False: settings.negative_colour})
        self.view = PanelView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self._parts = _Parts(
            napari_viewer, self.view, workspace or Workspace(estimate=estimate_cost), settings
        )
        # Qt destroys the widget with the viewer's window; what it owns must not wait for Python to notice.
        self.destroyed.connect(self._parts.close)

    @property
    def client(self) -> WorkspaceClient:
        """What decides."""
        return self._parts.client

    @property
    def link(self) -> ViewerLink:
        """What follows the viewer."""
        return self._parts.link

    def close_panel(self) -> None:
        """Give back thread, memory and connections; objects and prompts stay in the viewer. May be called again."""
        self._parts.close()


class _Parts:
    """All that is not a widget, so that it can outlive one by a moment."""

    def __init__(
        self, viewer: Any, view: PanelView, workspace: Workspace, settings: Settings
    ) -> None:
        self._viewer, self._view = viewer, view
        self.worker = Worker()
        self.client = WorkspaceClient(self.worker, workspace)
        self.link = ViewerLink(viewer, self.client, self._keys)
        self._closed = False
        self._apply(settings)
        self.models = ModelActions(view, self.client, ModelChoice(precision=settings.precision))
        self.files = FileActions(view, self.client, self.link, self.models)
        self._probability = ProbabilityLayer(viewer)
        self._autosave = qdebounced(self._save_now, timeout=SAVE_AFTER)
        self._autosave_at_last = qthrottled(self._save_now, timeout=SAVE_AT_LAST, leading=False)
        self._arm_after = qdebounced(self._arm_again, timeout=100)
        self._note_active = qdebounced(self._show_active, timeout=150)
        self._opening = self._lasting = False
        self._ask_cost = qdebounced(self._estimate, timeout=1500)
        self._follow = qdebounced(self.link.follow, timeout=150)
        self._wishes: list[tuple[Any, Callable[..., Any]]] = []
        self._connections: list[tuple[Any, Callable[..., Any]]] = []
        self._connect_view()
        self._connect_rest()
        self._layers_changed()
        if self.link.image is None:
            self._show_image()
        self.files.offer_recovery()

    def close(self, *_: Any) -> None:
        if self._closed:
            return
        self._closed = True
        self._follow.cancel()
        self._autosave.cancel()
        self._autosave_at_last.cancel()
        self._arm_after.cancel()
        self._note_active.cancel()
        self._ask_cost.cancel()
        alive = isalive(self._view)  # type: ignore[no-untyped-call]
        wishes = self._wishes if alive else []  # Qt ends those of a view that it destroyed
        for signal, slot in (*wishes, *reversed(self._connections)):
            signal.disconnect(slot)
        self._wishes.clear()
        self._connections.clear()
        self.models.close()
        self.files.close()
        self.link.close()
        self.client.close()
        self._viewer = None
        del self._view

    # Connections

    def _connect(self, signal: Any, slot: Callable[..., Any]) -> None:
        signal.connect(slot)
        self._connections.append((signal, slot))

    def _connect_view(self) -> None:
        view, client = self._view, self.client
        pairs: list[tuple[Any, Callable[..., Any]]] = [
            (view.image_chosen, self._choose_image),
            (view.channel_chosen, self._choose_channel),
            (view.model_chosen, self._chosen_anew),
            (view.device_chosen, self._chosen_anew),
            (view.model_chosen, self.models.choose),
            (view.device_chosen, self.models.choose_device),
            (view.tool_chosen, self._choose_tool),
            (view.sign_chosen, self._choose_sign),
            (view.flip_wanted, self._flip),
            (view.undo_wanted, client.undo),
            (view.redo_wanted, client.redo),
            (view.run_wanted, client.run),
            (view.cancel_wanted, self._cancel),
            (view.auto_run_chosen, self._set_auto_run),
            (view.overwrite_chosen, self._set_overwrite),
            (view.probability_chosen, self._set_probability),
            (view.table_wanted, self.files.ask_table),
            (view.objects_wanted, self.files.ask_objects),
            (view.recovery_wanted, self.files.recover),
            (view.recovery_refused, self.files.forget),
            (view.save_wanted, self.files.ask_save),
            (view.open_wanted, self.files.ask_open),
            (view.prompt_chosen, self._go_to),
            (view.prompt_deleted, client.remove_and_show),
            (view.next_wanted, client.next_object),
            (view.reset_wanted, client.reset),
            (view.start_wanted, self._start_from),
            (view.object_chosen, client.select_object),
            (view.object_deleted, client.delete_object),
            (view.objects.renamed, client.rename),
            (view.objects.renumbered, self._number),
            (view.same_number_chosen, self._set_same_number),
        ]
        for signal, slot in pairs:
            signal.connect(slot)
            self._wishes.append((signal, slot))

    def _connect_rest(self) -> None:
        layers = self._viewer.layers
        self._connect(layers.events.inserted, self._layers_changed)
        self._connect(layers.events.removed, self._layers_changed)
        self._connect(layers.events.reordered, self._layers_changed)
        self._connect(layers.events.renamed, self._layers_changed)
        self._connect(layers.selection.events.active, self._active_changed)
        self._connect(self._viewer.dims.events.current_step, self._moved)
        self._connect(self._viewer.dims.events.ndisplay, self._turned)
        self._connect(self.client.changed, self._show)
        self._connect(self.client.prompts_changed, self._show_prompts)
        self._connect(self.client.progressed, self._show_progress)
        self._connect(self.client.predicted, self._show_prediction)
        self._connect(self.client.changed_without_prediction, self._clear_probability)
        self._connect(self.client.choice_refused, self._refused)
        self._connect(self.client.failed, self._show_error)
        self._connect(self.link.failed, self._show_error)
        self._connect(self.link.hinted, self._show_hint)
        self._connect(self.link.image_changed, self._show_image)

    def _keys(self) -> dict[str, Callable[[], object]]:
        me = weakref.ref(self)

        def press(name: str, *args: Any) -> Callable[[], object]:
            def act() -> None:
                parts = me()
                if parts is not None and not parts._closed:
                    getattr(parts, name)(*args)

            return act

        tools = {KEYS[t]: press("_choose_tool", t) for t in ("point", "box", "scribble", "lasso")}
        return {
            **tools,
            KEYS["sign"]: press("_switch_sign"),
            KEYS["next"]: press("_next_object"),
            KEYS["undo"]: press("_undo"),
            KEYS["redo"]: press("_redo"),
            KEYS["run"]: press("_run"),
        }

    # What the user wants

    def _start(self) -> None:
        """Take the active image, or the top one, and arm the first tool."""
        images = self.link.images()
        active = self._viewer.layers.selection.active
        chosen = next((i for i in images if i == active), images[-1] if images else None)
        if chosen is not None:
            self._choose_image(chosen)
        else:
            self._show_image()

    def _choose_image(self, image: Any, channel: int | None = None) -> None:
        self._say("")
        self.files.autosave()  # of the image that is left, for its last changes
        self.link.choose(image, channel)
        if image is not None:
            self.link.arm()

    def _choose_channel(self, channel: int | None) -> None:
        self._choose_image(self.link.image, channel)

    def _choose_tool(self, tool: str) -> None:
        self._say(FLAT_ONLY if self._viewer.dims.ndisplay == 3 else "")
        if self.link.image is not None:
            self.link.arm(tool)
        self._view.show_tool(self.link.tool, positive=self.link.positive)

    def _choose_sign(self, positive: bool) -> None:
        self.link.arm(positive=positive)
        self._view.show_tool(self.link.tool, positive=self.link.positive)

    def _switch_sign(self) -> None:
        self._choose_sign(not self.link.positive)

    def _next_object(self) -> None:
        self.client.next_object()

    def _undo(self) -> None:
        self.client.undo()

    def _redo(self) -> None:
        self.client.redo()

    def _run(self) -> None:
        self.client.run()

    def _flip(self) -> None:
        if self.link.flip_selected():
            return
        item = self._view.prompts.currentItem()
        if item is None:
            self._view.show_error(
                "Choose a prompt in the list, or select some in the canvas, first."
            )
        else:
            self.client.flip([int(item.data(0x0100))])

    def _set_auto_run(self, on: bool) -> None:
        self.client.auto_run = on

    def _set_probability(self, on: bool) -> None:
        self.client.probability = on
        if self.link.image is not None:
            self._probability.set_visible(self.link.image, on)

    def _cancel(self) -> None:
        self.models.cancel()
        self.client.cancel()

    def _apply(self, settings: Settings) -> None:
        """Begin as the user set it in napari's preferences."""
        settings.use_cache()
        self._view.auto_run.setChecked(settings.auto_run)
        self.client.auto_run = settings.auto_run

    def _set_overwrite(self, on: bool) -> None:
        self.client.overwrite = on

    def _set_same_number(self, on: bool) -> None:
        self.client.same_number = on

    def _number(self, label: int, text: str) -> None:
        """Give an object the number that was typed; what is none is said, and the old one shown again."""
        view = self._view
        try:
            self.client.set_number(label, int(text))
        except ValueError as error:
            named = isinstance(error, NNInteractiveError)
            view.show_error(str(error) if named else f"“{text}” is no number: type 1, 2, 3, …")
            view.objects.show_again()

    def _go_to(self, uid: int) -> None:
        for placed in self.client.placed or ():
            if placed.uid == uid:
                self.link.go_to(placed)

    def _start_from(self, layer: Any) -> None:
        if layer is None:
            self._view.show_error("There is no other Labels layer to start from.")
            return
        self.link.start_from(layer)
        self.link.arm()  # the layer that was taken is the active one: a click there would draw nothing

    # What is shown

    def _turned(self, _event: Any = None) -> None:
        """Back in slices: the tool is armed again, which napari forgot."""
        if self._viewer.dims.ndisplay == 2 and self.link.set is not None:
            if self._view.error == FLAT_ONLY:
                self._say("")
            self.link.arm()

    def _active_changed(self, _event: Any = None) -> None:
        self._note_active()

    def _show_active(self) -> None:
        """Show a tool as armed only where what is drawn becomes a prompt."""
        layers = self.link.set
        if layers is None:
            return
        active = self._viewer.layers.selection.active
        mine = any(active == layer for layer in layers.drawn)
        self._view.show_tool(self.link.tool if mine else None, positive=self.link.positive)
        if not mine and active is not None and active != layers.result.layer:
            self._view.show_status(_ELSEWHERE)

    def _arm_again(self) -> None:
        """After what opened an image is done: napari selects each layer that it adds."""
        self._opening = False
        if self.link.set is not None and self._viewer.dims.ndisplay == 2:
            self.link.arm()

    def _save_now(self) -> None:
        self._autosave.cancel()
        self._autosave_at_last.cancel()
        self.files.autosave()

    def _refused(self, choice: ModelChoice) -> None:
        """A model or device cannot be had: that stays said until another is chosen."""
        self.models.adopt(choice)
        self._lasting = True

    def _chosen_anew(self, _name: Any) -> None:
        self._lasting = False

    def _say(self, problem: str) -> None:
        """Say what is wrong, or "" where nothing is any more."""
        self._lasting = False
        self._view.show_error(problem)

    def _moved(self, _event: Any = None) -> None:
        self._follow()

    def _layers_changed(self, _event: Any = None) -> None:
        view = self._view
        view.show_choices(view.image, [(i.name, i) for i in self.link.images()], self.link.image)
        masks = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Labels) and KEY not in layer.metadata
        ]
        chosen = view.masks.currentData()
        if not any(m is chosen for m in masks):
            chosen = masks[-1] if masks else None
        view.show_choices(view.masks, [(m.name, m) for m in masks], chosen)
        view.start.setEnabled(bool(masks))
        opened = _event is None or _event.type == "inserted"
        if self.link.image is None and self.link.images() and opened:
            self._start()
            self._opening = _event is not None
        if self._opening:
            self._arm_after()

    def _show_image(self) -> None:
        view, image, source = self._view, self.link.image, self.client.source
        if image is not None:
            self._probability.align(image)
        view.show_choices(view.image, [(i.name, i) for i in self.link.images()], image)
        if image is None or source is None:
            view.show_channels([], None)
            view.show_fact("Open an image, or File ▸ Open Sample ▸ nnInteractive.")
        else:
            count = messages.channel_count(image, source.frame)
            names: list[tuple[str, Any]] = [("Mean of channels", None)]
            names += [(name, n) for n, name in enumerate(messages.channel_names(image, count))]
            view.show_channels(names if count > 1 else [], source.frame.channel)
            view.show_fact(messages.image_fact(source, messages.unit_of(image), image.axis_labels))
            self._ask_cost()
        self._show()

    def _estimate(self) -> None:
        """Say what a prompt will cost, as long as none has shown it."""
        client = self.client
        if client.source is not None and not client.busy and not client.placed:
            workspace = client.workspace
            client.work(workspace.cost, self._show_cost)

    def _show_cost(self, found: Any) -> None:
        if found is not None and not self.client.placed:
            self._view.show_status(messages.cost(found))

    def _show_hint(self, text: str) -> None:
        self._view.show_status(text)

    def _show(self) -> None:
        if self._closed:
            return
        view, client = self._view, self.client
        unit = messages.unit_of(self.link.image) if self.link.image is not None else "voxel"
        image = client.source is not None
        space = len(client.source.frame.spatial) if client.source is not None else 3
        view.show_objects(client.objects(), messages.volume_unit(unit, space))
        view.show_enabled(
            image=image,
            undo=client.can_undo,
            redo=client.can_redo,
            run=image and bool(client.placed),
        )
        self._autosave()
        self._autosave_at_last()
        if not self.models.downloading and client.busy != view.cancel.isEnabled():
            view.show_busy(client.busy)
        placed = client.placed
        name = next((o.name for o in client.objects() if o.current), f"Object {client.label}")
        view.show_current(name if image else "this object")
        if placed is not None:
            view.show_prompts(
                [(m.uid, describe(m, flat_image=space == 2), m.prompt.positive) for m in placed]
            )

    def _show_prompts(self, _marks: Any) -> None:
        self._show()

    def _clear_probability(self) -> None:
        if self.link.image is not None:
            self._probability.clear(self.link.image)

    def _show_progress(self, progress: Any) -> None:
        if self.models.downloading:
            return
        if progress is None:
            self._view.show_busy(self.client.busy)
        else:
            self._view.show_busy(True, progress.done, progress.total)

    def _show_prediction(self, source: Any, prediction: Any) -> None:
        now = self.client.source
        here = now is not None and (now.image, now.frame, now.version) == (
            source.image,
            source.frame,
            source.version,
        )
        if here and self.link.image is not None and prediction.probability is not None:
            self._probability.show(self.link.image, source.frame, prediction)
        if not self._lasting:
            self._view.show_error("")
        self._view.show_status(messages.prediction(prediction, self.client.device))

    def _show_error(self, error: BaseException) -> None:
        if isinstance(error, Cancelled):
            self._view.show_status(str(error))
        else:
            offer = isinstance(error, DeviceMemoryError) and self.client.choice.device != "cpu"
            self._view.show_error(
                messages.error(error), "Compute on the CPU" if offer else "", self._use_cpu
            )

    def _use_cpu(self) -> None:
        self.models.choose_device("cpu")
        self.client.run()
