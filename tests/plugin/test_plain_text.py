"""Names of files, images, layers, objects and models are shown as they are, never as markup."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fixtures.mouse import wait_until
from fixtures.windows import oracle_workspace
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QTextEdit, QWidget

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)
EVIL = '<img src="file:///nowhere/no.png"><a href="https://example.invalid">x</a> 1 < 2'

Open = Callable[..., Any]


def texts_of(panel: QWidget) -> list[str]:
    """All that the panel's labels and messages show; none of it may be markup."""
    shown = []
    for widget in [panel, *panel.findChildren(QWidget)]:
        assert not Qt.mightBeRichText(widget.toolTip()), widget.toolTip()
        assert "<" not in widget.statusTip() + widget.whatsThis()
        if isinstance(widget, QLabel):
            assert widget.textFormat() == Qt.TextFormat.PlainText, widget.text()
            shown.append(widget.text())
        elif isinstance(widget, QTextEdit):
            assert "<img" not in widget.toHtml()
            shown.append(widget.toPlainText())
    return shown


def test_every_name_is_shown_as_it_is(windowless: Open, tmp_path: Path) -> None:
    shown = windowless(IMAGE, oracle_workspace(only="builtin"), units=("um",) * 3)
    shown.image.name = EVIL
    shown.click((5, 6, 7))
    shown.client.rename(1, EVIL)
    assert f"Prompts of {EVIL}" in texts_of(shown.panel)
    files = shown.panel.parts.files
    files.save(str(tmp_path / "good.json"))
    shown.wait()
    record = json.loads((tmp_path / "good.json").read_text())
    record["image"]["name"] = record["model"]["name"] = record["names"]["1"] = EVIL
    session = tmp_path / "<b>s.json"
    session.write_text(json.dumps(record))
    shown.image.name = "image"
    files.open(str(session))
    wait_until(lambda: "is open" in shown.status)
    shown.wait()
    (said,) = (text for text in texts_of(shown.panel) if "is open" in text)
    assert said.startswith("<b>s.json is open.")
    assert said.count(EVIL) == 2
    files.open(str(tmp_path / f"{EVIL.replace('/', ':')}.json"))
    shown.wait()
    assert any("<img" in text and "cannot be read" in text for text in texts_of(shown.panel))
    shown.panel.parts.models.choose_folder(f"/nowhere/{EVIL}")
    shown.wait()
    texts_of(shown.panel)


def test_what_a_crash_left_under_an_odd_name(windowless: Open, state_folder: Path) -> None:
    state_folder.mkdir(parents=True)
    (state_folder / "<img src=x>.json").write_text("{}")
    shown = windowless(IMAGE)
    shown.push(shown.panel.view.offer.recover)
    assert any("<img src=x>.json is no saved session" in text for text in texts_of(shown.panel))
    shown.push(shown.panel.view.offer.forget)
    assert not list(state_folder.glob("*.json"))
