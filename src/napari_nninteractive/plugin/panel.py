"""The dock widget: makes the parts, connects them, and ends them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_nninteractive.engine.registry import use_cache_folder
from napari_nninteractive.plugin.actions.files import FileActions
from napari_nninteractive.plugin.actions.models import ModelActions
from napari_nninteractive.plugin.actions.prompts import PromptActions
from napari_nninteractive.plugin.presenter import Presenter, Sources
from napari_nninteractive.plugin.settings import Settings, read_settings
from napari_nninteractive.plugin.timers import Autosave, Timers
from napari_nninteractive.plugin.view.drawing_section import KEYS
from napari_nninteractive.plugin.view.panel_view import PanelView
from napari_nninteractive.plugin.view.state import PanelState
from napari_nninteractive.plugin.viewer_link import ViewerLink
from napari_nninteractive.plugin.worker import Worker
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.values.placed import ModelChoice
from napari_nninteractive.workspace.workspace import Workspace, estimate_cost

if TYPE_CHECKING:
    import napari
    from napari.components import ViewerModel

__all__ = ["Panel"]

_FOLLOW_AFTER, _OPENED_AFTER, _ACTIVE_AFTER, _COST_AFTER = 150, 100, 150, 1500
"""Milliseconds that must be quiet: at a time point, after layers came, on a layer, after an image was opened."""


class Connectable(Protocol):
    """A signal, of psygnal or of napari."""

    def connect(self, slot: Callable[..., object]) -> object:
        """Call a slot with each emission."""

    def disconnect(self, slot: Callable[..., object]) -> object:
        """Call it no more."""


Connection = tuple[Connectable, Callable[..., object]]


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
        self.view = PanelView(settings.colours)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        workspace = workspace or Workspace(estimate=estimate_cost)
        self.parts = PanelParts(napari_viewer, self.view, workspace, settings)
        # Qt destroys the widget with the viewer's window; what it owns must not wait for Python to notice.
        self.destroyed.connect(self.parts.close)

    @property
    def client(self) -> WorkspaceClient:
        """What decides."""
        return self.parts.client

    @property
    def link(self) -> ViewerLink:
        """What follows the viewer."""
        return self.parts.link

    @property
    def state(self) -> PanelState:
        """What is shown."""
        return self.parts.presenter.state

    def close_panel(self) -> None:
        """Give back thread, memory and connections; objects and prompts stay in the viewer. May be called again."""
        self.parts.close()


class PanelParts:
    """All that is not a widget, so that it can outlive one by a moment.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer, or napari's public proxy of it.
    view : PanelView
        What the user sees.
    workspace : Workspace
        Where the commands run.
    settings : Settings
        To begin with.
    """

    def __init__(
        self, viewer: ViewerModel, view: PanelView, workspace: Workspace, settings: Settings
    ) -> None:
        use_cache_folder(settings.cache_folder)
        self.closed = False
        # Autosaves have a thread of their own: predictions may take long.
        self.worker, self.saver = Worker(), Worker()
        self.client = WorkspaceClient(self.worker, workspace, self.saver)
        self.client.auto_run = settings.auto_run
        self.link = ViewerLink(viewer, self.client, settings.colours)
        self.prompts = PromptActions(viewer, self.client, self.link)
        self.models = ModelActions(view, self.client, ModelChoice(precision=settings.precision))
        self.files = FileActions(view, self.client, self.link, self.models)
        sources = Sources(self.client, self.link, self.prompts, self.models, self.files)
        self.presenter = Presenter(view, sources)
        self._timers, self._autosave = Timers(), Autosave(self.files.autosave)
        self.link.bind(self._keys())
        # The one list of who is told of what, in order.
        self._connections = [
            *self._of_the_user(view),
            *self._of_the_viewer(viewer),
            *self._of_the_parts(),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        self.link.start()
        self.files.look_for_lost_work()
        self.presenter.refresh()

    def close(self, *_: object) -> None:
        """End all parts, the last one first; may be called again."""
        if self.closed:
            return
        self.closed = True
        self.presenter.close()
        self._timers.give_up()
        self._autosave.close()
        for signal, slot in reversed(self._connections):
            signal.disconnect(slot)
        self._connections.clear()
        self.models.close()
        self.files.close()
        self.link.close()
        self.client.close()

    def _keys(self) -> dict[str, Callable[[], object]]:
        """What the keys do on the plugin's own layers."""
        client, prompts = self.client, self.prompts
        return {
            KEYS["point"]: partial(prompts.choose_tool, "point"),
            KEYS["box"]: partial(prompts.choose_tool, "box"),
            KEYS["scribble"]: partial(prompts.choose_tool, "scribble"),
            KEYS["lasso"]: partial(prompts.choose_tool, "lasso"),
            KEYS["sign"]: prompts.switch_sign,
            KEYS["next"]: client.next_object,
            KEYS["undo"]: client.undo,
            KEYS["redo"]: client.redo,
            KEYS["run"]: client.run,
        }

    def _of_the_user(self, view: PanelView) -> list[Connection]:
        """What the user wants of the panel."""
        client, link, prompts = self.client, self.link, self.prompts
        models, files, presenter = self.models, self.files, self.presenter
        drawing, listed, objects = view.drawing, view.prompts, view.objects
        return [
            (view.offer.recovery_wanted, files.recover),
            (view.offer.recovery_refused, files.forget),
            (view.source.image.chosen, files.autosave),  # for the last changes on the one left
            (view.source.image.chosen, link.choose),
            (view.source.channel.chosen, link.choose_channel),
            (view.source.model.chosen, models.choose),
            (view.source.device.chosen, models.choose_device),
            (drawing.tool_chosen, prompts.choose_tool),
            (drawing.sign_chosen, prompts.choose_sign),
            (drawing.auto_run_chosen, presenter.set_auto_run),
            (drawing.run_wanted, client.run),
            (drawing.cancel_wanted, models.cancel),
            (drawing.cancel_wanted, client.cancel),
            (drawing.message_answered, presenter.answer_message),
            (listed.prompt_chosen, prompts.go_to),
            (listed.undo_wanted, client.undo),
            (listed.redo_wanted, client.redo),
            (listed.flip_wanted, prompts.flip),
            (listed.delete_wanted, presenter.delete_prompt),
            (objects.next_wanted, client.next_object),
            (objects.reset_wanted, client.reset),
            (objects.edit_wanted, presenter.edit_object),
            (objects.delete_wanted, presenter.delete_object),
            (objects.start_wanted, prompts.start_from),
            (objects.options_chosen, presenter.set_options),
            (objects.list.renamed, client.rename),
            (objects.list.renumbered, presenter.set_number),
            (view.files.table_wanted, files.ask_table),
            (view.files.objects_wanted, files.ask_objects),
            (view.files.save_wanted, files.ask_save),
            (view.files.open_wanted, files.ask_open),
        ]

    def _of_the_viewer(self, viewer: ViewerModel) -> list[Connection]:
        """What happens in the viewer."""
        link, prompts, quiet = self.link, self.prompts, self._timers.quiet
        dims, layers = viewer.dims, viewer.layers
        return [
            (dims.events.current_step, quiet(link.follow, _FOLLOW_AFTER)),
            (dims.events.ndisplay, prompts.follow_display),
            (layers.events.inserted, quiet(link.finish_opening, _OPENED_AFTER)),
            (layers.selection.events.active, prompts.follow_active),
            (layers.selection.events.active, quiet(prompts.tell_active, _ACTIVE_AFTER)),
        ]

    def _of_the_parts(self) -> list[Connection]:
        """What changed, and what is said about it."""
        client, link, prompts = self.client, self.link, self.prompts
        models, files, presenter = self.models, self.files, self.presenter
        return [
            (link.opened, prompts.arm),
            (link.image_changed, self._timers.quiet(presenter.estimate_cost, _COST_AFTER)),
            (client.changed, self._autosave.note_change),
            (client.choice_refused, presenter.note_refused),
            *(
                (signal, presenter.refresh)
                for signal in (
                    client.changed,
                    client.prompts_changed,
                    link.image_changed,
                    link.choices_changed,
                    prompts.changed,
                    models.changed,
                    files.offer_changed,
                )
            ),
            (link.image_chosen, presenter.note_chosen),
            (prompts.tool_chosen, presenter.note_chosen),
            (prompts.flattened, presenter.note_flattened),
            (models.chosen, presenter.note_model_chosen),
            (models.started, presenter.note_started),
            (models.asked, presenter.say),
            (files.started, presenter.note_started),
            (client.progressed, presenter.note_progress),
            (client.predicted, presenter.note_prediction),
            *(
                (part.failed, presenter.say_error)
                for part in (client, link, prompts, models, files)
            ),
            *((part.hinted, presenter.say_status) for part in (link, prompts)),
            (models.said, presenter.say_status),
            (files.done, presenter.say_status),
        ]
