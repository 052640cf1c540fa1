"""What is shown and said, without a window: the state is computed, and rendered by a view that only notes it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fixtures.held_worker import HeldWorker
from fixtures.windows import oracle_workspace
from napari.components import ViewerModel
from psygnal import Signal

from napari_nninteractive.core.prompts import Point
from napari_nninteractive.errors import Cancelled, DeviceMemoryError, ModelError, PromptError
from napari_nninteractive.plugin.actions.prompts import PromptActions
from napari_nninteractive.plugin.presenter import Presenter, Said, Sources, panel_state
from napari_nninteractive.plugin.view.messages import Occasion, settled
from napari_nninteractive.plugin.view.state import (
    Busy,
    Choices,
    Kind,
    Message,
    Options,
    PanelState,
    PromptRow,
)
from napari_nninteractive.plugin.viewer_link import FlatOnlyError, ViewerLink
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.values.placed import ModelChoice

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)


@pytest.mark.parametrize("occasion", Occasion)
@pytest.mark.parametrize("kind", Kind)
def test_what_settles_a_message(kind: Kind, occasion: Occasion) -> None:
    outlived = {
        Kind.PROBLEM: {Occasion.FLATTENED},
        Kind.MODEL_REFUSED: {Occasion.FLATTENED, Occasion.PREDICTED},
        Kind.LICENCE: {Occasion.FLATTENED, Occasion.PREDICTED},
        Kind.FLAT_ONLY: set(),
    }
    message = Message(kind, "text")
    assert settled(message, occasion) is (message if occasion in outlived[kind] else None)
    assert settled(None, occasion) is None


class Models:
    """Choices without the models themselves."""

    changed = Signal()

    def __init__(self) -> None:
        self.models = Choices((("Built-in", "builtin"),), "builtin")
        self.devices = Choices((("CPU", "cpu"),), "cpu")
        self.download: Busy | None = None
        self.asked: list[Any] = []

    def adopt(self, choice: ModelChoice) -> None:
        self.asked.append(choice)

    def choose_device(self, device: str) -> None:
        self.asked.append(device)


class Seen:
    """A view that notes what it is shown."""

    def __init__(self) -> None:
        self.states: list[PanelState] = []

    def show_state(self, state: PanelState) -> None:
        self.states.append(state)


@pytest.fixture
def parts() -> Iterator[Any]:
    """A panel's parts on a viewer without a window, whose commands run at once."""
    viewer, worker = ViewerModel(), HeldWorker()
    client = WorkspaceClient(worker, oracle_workspace())
    link = ViewerLink(viewer, client)
    prompts, models, view = PromptActions(viewer, client, link), Models(), Seen()
    files = SimpleNamespace(offer="")
    sources = Sources(client, link, prompts, models, files)  # type: ignore[arg-type]
    presenter = Presenter(view, sources)
    link.opened.connect(prompts.arm)
    yield SimpleNamespace(**locals())
    link.close()
    client.close()


def test_without_an_image_it_says_what_to_do(parts: Any) -> None:
    state = parts.presenter.state
    assert "Open an image" in state.fact
    assert state.images == Choices()
    assert state.channels == Choices()
    assert (state.has_image, state.can_run, state.can_undo, state.can_redo) == (False,) * 4
    assert state.object_name == "this object"
    assert state.busy is None


def test_the_state_tells_what_there_is(parts: Any) -> None:
    image = parts.viewer.add_image(IMAGE, name="i", scale=(2, 1, 1), units=("um",) * 3)
    layer = parts.viewer.add_labels((IMAGE > 0.5).astype(np.uint8), name="mask")
    parts.link.layers.points.layer.add([[5, 6, 7]])
    state = panel_state(parts.sources, Said())
    assert state.images == Choices((("i", image),), image)
    assert state.fact == "12 × 24 × 24 voxels of 2 × 1 × 1 µm"
    assert state.masks == (("mask", layer),)
    assert state.prompts == (PromptRow(1, "+ Point, z 5", True),)
    (row,) = state.objects
    assert (row.label, row.prompts, row.current) == (1, 1, True)
    assert row.volume == 2 * row.voxels > 0
    assert state.unit == "µm³"
    assert state.object_name == "Object 1"
    assert (state.can_run, state.can_undo, state.can_redo) == (True, True, False)
    parts.client.undo()
    state = parts.presenter.state
    assert state.prompts == ()
    assert (state.can_run, state.can_undo, state.can_redo) == (False, False, True)


def test_prompts_stay_listed_until_an_undo_has_run(parts: Any) -> None:
    parts.viewer.add_image(IMAGE)
    parts.link.layers.points.layer.add([[5, 6, 7]])
    parts.worker.held = True
    parts.client.undo()
    state = parts.presenter.state
    assert state.prompts is None, "only the undo will tell"
    assert state.busy == Busy()
    parts.worker.release()
    assert parts.presenter.state.prompts == ()


def test_channels_are_offered_where_there_are_several(parts: Any) -> None:
    parts.viewer.add_image((np.stack([IMAGE] * 3, -1) * 255).astype(np.uint8), rgb=True)
    names = [name for name, _ in parts.presenter.state.channels.items]
    assert names == ["Mean of channels", "Red", "Green", "Blue"]
    parts.link.choose_channel(1)
    assert parts.presenter.state.channels.chosen == 1


def test_a_tool_is_armed_only_where_its_layer_is_active(parts: Any) -> None:
    image = parts.viewer.add_image(IMAGE)
    parts.link.finish_opening()  # napari selects what was added
    assert parts.presenter.state.tool == "point"
    parts.viewer.layers.selection.active = image
    assert parts.presenter.state.tool is None
    parts.prompts.choose_tool("lasso")
    parts.prompts.switch_sign()
    state = parts.presenter.state
    assert (state.tool, state.positive) == ("lasso", False)


def test_options_reach_the_client_and_are_shown(parts: Any) -> None:
    options = Options(same_number=True, overwrite=True, probability=True)
    parts.presenter.set_options(options)
    client = parts.client
    assert (client.same_number, client.overwrite, client.probability) == (True, True, True)
    assert parts.presenter.state.options == options


def test_errors_become_messages_of_their_kind(parts: Any) -> None:
    say = parts.presenter.say_error
    say(PromptError("outside"))
    assert parts.presenter.state.message == Message(Kind.PROBLEM, "outside")
    say(FlatOnlyError())
    assert parts.presenter.state.message.kind is Kind.FLAT_ONLY
    say(Cancelled("Stopped."))
    state = parts.presenter.state
    assert state.status == "Stopped."
    assert state.message.kind is Kind.FLAT_ONLY, "a stop settles nothing"
    parts.presenter.note_refused(ModelChoice("other"))
    say(ModelError("gone"))
    assert parts.presenter.state.message == Message(Kind.MODEL_REFUSED, "gone")
    assert parts.models.asked == [ModelChoice("other")]
    say(ModelError("again"))
    assert parts.presenter.state.message.kind is Kind.PROBLEM


def test_when_memory_runs_out_the_cpu_is_offered_once(parts: Any) -> None:
    parts.presenter.say_error(DeviceMemoryError("full"))
    message = parts.presenter.state.message
    assert message.action.text == "Compute on the CPU"
    parts.presenter.answer_message()
    assert parts.presenter.state.message is None or "image" in parts.presenter.state.error
    assert parts.models.asked == ["cpu"]
    parts.client.choose_model(ModelChoice(device="cpu"))
    parts.presenter.say_error(DeviceMemoryError("full"))
    assert parts.presenter.state.message.action is None


@pytest.mark.parametrize(
    ("text", "said"), [("none", "is no number"), ("0", "from 1 to"), ("1.5", "is no number")]
)
def test_a_number_that_is_none_is_said_and_the_old_one_shown_again(
    parts: Any, text: str, said: str
) -> None:
    parts.viewer.add_image(IMAGE)
    parts.client.add(Point((5, 6, 7)))
    before = len(parts.view.states)
    parts.presenter.set_number(1, text)
    assert said in parts.presenter.state.error
    assert len(parts.view.states) > before
    assert [row.number for row in parts.view.states[-1].objects] == [1]
    parts.presenter.set_number(1, "7")
    assert [row.number for row in parts.view.states[-1].objects] == [7]


def test_what_is_not_chosen_is_said(parts: Any) -> None:
    for act, said in (
        (parts.presenter.edit_object, "an object in the table"),
        (parts.presenter.delete_object, "an object in the table"),
        (parts.presenter.delete_prompt, "a prompt in the list"),
    ):
        act(None)
        assert said in parts.presenter.state.error


def test_a_download_is_shown_before_a_prediction(parts: Any) -> None:
    parts.viewer.add_image(IMAGE)
    parts.worker.held = True
    parts.client.add(Point((5, 6, 7)))
    parts.presenter.note_progress(SimpleNamespace(done=2, total=5))
    assert parts.presenter.state.busy == Busy(2, 5)
    parts.models.download = Busy(30, 40)
    assert parts.presenter.state.busy == Busy(30, 40)


def test_nothing_is_shown_after_the_end(parts: Any) -> None:
    parts.presenter.close()
    parts.presenter.say_status("late")
    assert parts.view.states == []
