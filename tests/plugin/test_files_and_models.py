"""The panel's files, models, settings and extra layers, in a window."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.hub_server import MODEL, Hub
from fixtures.mouse import wait_until
from fixtures.windows import oracle_workspace
from napari.components import ViewerModel

from napari_nninteractive.core.prompts import Point
from napari_nninteractive.engine import registry
from napari_nninteractive.io.read import read_image
from napari_nninteractive.session_file.files import read_session

pytest_plugins = ["fixtures.hub"]

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)

Open = Callable[..., Any]


def test_a_session_and_a_table_are_saved_and_opened(windowless: Open, tmp_path: Path) -> None:
    shown = windowless(IMAGE, scale=(2, 0.5, 0.5), units=("um",) * 3)
    shown.click((5, 6, 7))
    shown.panel.view.objects.list.renamed.emit(1, "cell")
    files = shown.panel.parts.files
    files.save(str(tmp_path / "work.nni.json"))
    files.save_table(str(tmp_path / "table.csv"))
    shown.wait()
    voxels = shown.voxels()[1]
    with (tmp_path / "table.csv").open(encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert row["name"] == "cell"
    assert float(row["volume (µm³)"]) == pytest.approx(voxels * 0.5)
    labels = shown.labels.copy()
    shown.push(shown.panel.view.objects.reset)
    assert shown.voxels() == {}
    files.open(str(tmp_path / "work.nni.json"))
    wait_until(lambda: not shown.client.busy and "open" in shown.status)
    np.testing.assert_array_equal(shown.labels, labels)
    assert shown.prompts == [Point((5, 6, 7))]
    assert len(shown.layers.points.layer.data) == 1
    files.open(str(tmp_path / "nothing.json"))
    shown.wait()
    assert "cannot be read" in shown.error


def test_what_a_crash_left_is_offered(windowless: Open, state_folder: Path) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    labels = shown.labels.copy()
    shown.panel.parts.files.autosave()
    shown.wait()
    (own,) = state_folder.glob("*.json")
    own.with_name("lost.json").write_bytes(own.read_bytes())
    shown.panel.close_panel()
    assert [p.name for p in state_folder.glob("*.json")] == ["lost.json"]
    shown = windowless(IMAGE)
    view = shown.panel.view
    shown.panel.parts.presenter.say_problem("another message")
    shown.panel.parts.presenter.note_chosen()
    assert not view.offer.isHidden(), "the offer outlives other messages"
    view.offer.recover.click()
    wait_until(lambda: shown.status == "Recovered.")
    shown.wait()
    np.testing.assert_array_equal(shown.labels, labels)
    (kept,) = state_folder.glob("*.json")
    assert kept.name != "lost.json", "another file of its own holds the objects by now"
    assert read_session(kept).frames[0].objects.keys() == {1}
    assert view.offer.isHidden()
    shown.close_panel()
    assert list(state_folder.glob("*.json")) == [kept], "they are saved nowhere else"
    shown = windowless(IMAGE)
    assert not shown.panel.view.offer.isHidden()


def test_what_a_crash_left_of_several_images_is_recovered_for_each(
    windowless: Open, state_folder: Path
) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.viewer.add_image(IMAGE[:, :20], name="second")
    view = shown.panel.view
    view.source.image.choose(shown.viewer.layers["second"])  # saves what the first has
    shown.wait()
    shown.image = shown.viewer.layers["second"]
    shown.click((5, 16, 7))
    shown.panel.parts.files.autosave()
    shown.wait()
    files = sorted(state_folder.glob("*.json"))
    assert len(files) == 2
    for n, file in enumerate(files):
        file.with_name(f"lost{n}.json").write_bytes(file.read_bytes())
    shown.panel.close_panel()
    shown = windowless(IMAGE)
    shown.panel.view.offer.recover.click()
    wait_until(lambda: shown.status == "Recovered.")
    shown.wait()
    assert shown.prompts == [Point((5, 6, 7))]
    assert not shown.panel.view.offer.isHidden(), "that of the other image"
    shown.push(shown.panel.view.offer.recover)
    assert "second (12, 20, 24)" in shown.error
    shown.panel.view.offer.forget.click()
    assert list(state_folder.glob("lost*")) == []


def test_messages_stay_until_they_are_answered(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.layers.points.layer.add([[5, 40, 40]])
    shown.wait()
    assert "outside" in shown.error
    shown.panel.parts.files.autosave()
    shown.wait()
    assert "outside" in shown.error


def test_objects_are_saved_from_the_panel(windowless: Open, tmp_path: Path) -> None:
    shown = windowless(IMAGE, scale=(2, 0.5, 0.5), units=("um",) * 3)
    shown.click((5, 6, 7))
    files = shown.panel.parts.files
    files.save_objects(str(tmp_path / "objects.tif"))
    shown.wait()
    back = read_image(tmp_path / "objects.tif")
    np.testing.assert_array_equal(back.data, shown.labels)
    np.testing.assert_allclose(back.spacing, (2, 0.5, 0.5))
    assert shown.status == "Saved as objects.tif."
    files.save_objects(str(tmp_path / "missing" / "objects.mha"))
    shown.wait()
    assert "choose another folder" in shown.error


def test_the_model_of_a_session_is_taken_where_it_is_here(windowless: Open, tmp_path: Path) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    files, path = shown.panel.parts.files, tmp_path / "work.nni.json"
    files.save(str(path))
    shown.wait()
    text = path.read_text(encoding="utf-8")
    for name, said in ((str(tmp_path), "is open."), ("gone", "not here: going on with")):
        path.write_text(text.replace('"builtin"', json.dumps(name)), encoding="utf-8")
        files.open(str(path))
        wait_until(lambda said=said: not shown.client.busy and said in shown.status)
        assert shown.client.choice.name == str(tmp_path)


def test_the_probability_is_shown_when_wanted(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    assert "image: probability" not in shown.viewer.layers
    shown.panel.view.objects.options["probability"].native.click()
    shown.click((5, 16, 17))
    layer = shown.viewer.layers["image: probability"]
    assert layer.data[5, 16, 17] == pytest.approx(1 / (1 + np.exp(-1.0)), abs=1e-3)
    assert shown.viewer.layers.selection.active is shown.layers.points.layer
    assert shown.panel.view.source.image.names == ["image"], "it is no image to segment"


def test_a_model_is_downloaded_after_its_licence_was_accepted(
    windowless: Open,
    hub: Hub,
) -> None:
    shown = windowless(IMAGE, oracle_workspace())
    view = shown.panel.view
    assert "400 MB" in next(name for name in view.source.model.names if MODEL in name)
    view.source.model.choose(MODEL)
    assert "CC BY-NC-SA 4.0" in shown.error
    assert "400 MB" in shown.error
    assert hub.requests == []
    assert view.source.model.value == "builtin"
    view.drawing.action.click()
    wait_until(lambda: shown.panel.parts.models.download is None)
    shown.wait()
    assert shown.error == ""
    assert registry.is_downloaded(MODEL)
    assert view.source.model.value == MODEL
    assert shown.client.choice.name == MODEL


def test_a_failed_download_is_said(windowless: Open, hub: Hub) -> None:
    hub.listing = b"no"
    shown = windowless(IMAGE, oracle_workspace())
    view = shown.panel.view
    view.source.model.choose(MODEL)
    view.drawing.action.click()
    wait_until(lambda: shown.panel.parts.models.download is None)
    assert shown.error != ""
    assert view.source.model.value == "builtin"
    shown.click((5, 6, 7))
    assert shown.labels[5, 6, 7] == 1


def test_a_model_in_a_folder_and_another_device(windowless: Open, tmp_path: Path) -> None:
    shown = windowless(IMAGE)
    models = shown.panel.parts.models
    models.choose_folder(str(tmp_path / "mine"))
    shown.wait()
    view = shown.panel.view
    assert view.source.model.name == "mine"
    view.source.device.choose("cpu")
    shown.wait()
    assert (shown.client.choice.name, shown.client.choice.device) == (
        str(tmp_path / "mine"),
        "cpu",
    )


def test_settings_of_the_preferences_are_used(windowless: Open, monkeypatch: Any) -> None:
    from napari_nninteractive.plugin import panel
    from napari_nninteractive.plugin.layers.style import SignColours
    from napari_nninteractive.plugin.settings import Settings

    monkeypatch.setattr(
        panel, "read_settings", lambda: Settings(False, "fp32", "", SignColours("lime"))
    )
    shown = windowless(IMAGE)
    assert not shown.panel.view.drawing.auto_run.isChecked()
    assert shown.client.choice.precision == "fp32"
    shown.click((5, 6, 7))
    np.testing.assert_allclose(shown.layers.points.layer.face_color[0], (0, 1, 0, 1))
    assert shown.voxels() == {}
    shown.push(shown.panel.view.drawing.run)
    assert shown.labels[5, 6, 7] == 1


def test_without_an_image_it_says_what_to_do(qapp: Any) -> None:
    from napari_nninteractive.plugin.panel import Panel

    viewer = ViewerModel()
    panel = Panel(viewer, oracle_workspace())
    assert "Open an image" in panel.state.fact
    assert not panel.view.drawing.tools["point"].isEnabled()
    viewer.add_image(IMAGE)
    wait_until(lambda: not panel.client.busy)
    assert panel.view.drawing.tools["point"].isEnabled()
    assert panel.link.layers.points.layer.mode == "add"
    panel.close_panel()
    assert panel.parts.worker.wait(30)
