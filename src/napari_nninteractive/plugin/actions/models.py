"""Choosing a model: built-in, one to download after its licence was accepted, or a folder."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nninteractive.engine import registry
from napari_nninteractive.engine.registry import RegisteredModel
from napari_nninteractive.errors import Cancelled
from napari_nninteractive.plugin.view.state import Action, Busy, Choices, Kind, Message
from napari_nninteractive.plugin.worker import Call, Worker
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.values.placed import ModelChoice

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["ModelActions"]

_FOLDER = ""  # stands for a folder that is still to be chosen
_GRAPHICS = (
    ("Apple GPU (MPS)", "mps") if sys.platform == "darwin" else ("NVIDIA GPU (CUDA)", "cuda")
)
_DEVICES = (("Automatic", "auto"), ("CPU", "cpu"), _GRAPHICS)


class ModelActions:
    """Knows the models and devices to choose from, and tells the client which is chosen.

    Parameters
    ----------
    window : QWidget
        Above which a folder is asked for.
    client : WorkspaceClient
        Told of the choice.
    choice : ModelChoice
        To begin with.
    """

    changed = Signal()  # the choices, what is chosen, or how far a download is
    chosen = Signal()  # a model or device was chosen
    started = Signal()  # a download
    said = Signal(str)
    asked = Signal(object)  # a Message
    failed = Signal(object)  # the exception

    def __init__(self, window: QWidget, client: WorkspaceClient, choice: ModelChoice) -> None:
        self._window, self._client, self._choice = window, client, choice
        self._worker: Worker | None = None
        self._download: Busy | None = None
        self._models = _choices(choice)
        client.choose_model(choice)

    @property
    def models(self) -> Choices[str]:
        """Models to choose from, by name or folder."""
        return self._models

    @property
    def devices(self) -> Choices[str]:
        """Devices to choose from."""
        return Choices(_DEVICES, self._choice.device)

    @property
    def download(self) -> Busy | None:
        """How many KiB of a download are there; None where none runs."""
        return self._download

    def choose(self, name: str) -> None:
        """Take a model, if it is there; else ask."""
        known = {model.id: model for model in registry.registered()}
        self.chosen.emit()
        if name == _FOLDER:
            self.choose_folder(self._ask_folder())
        elif name in known and not registry.is_downloaded(name):
            self._offer(known[name])
        else:
            self._become(replace(self._choice, name=name))

    def choose_folder(self, folder: str) -> None:
        """Take the model in a folder; "" changes nothing."""
        if folder:
            self._become(replace(self._choice, name=folder))
        else:
            self.changed.emit()

    def choose_device(self, device: str) -> None:
        """Compute elsewhere from now on."""
        self.chosen.emit()
        self._become(replace(self._choice, device=device))

    def wish(self, choice: ModelChoice) -> str:
        """Take the model of a session, if it is here, on the device that was chosen here. Returns what to say else."""
        known = {model.id for model in registry.registered()}
        here = (
            registry.is_downloaded(choice.name)
            if choice.name in known
            else Path(choice.name).is_dir()
        )
        if not here:
            return f" Its model, {choice.name}, is not here: going on with {self._choice.name}."
        if choice.name != self._choice.name:
            self._become(replace(self._choice, name=choice.name))
        return ""

    def adopt(self, choice: ModelChoice) -> None:
        """Show a choice that was made elsewhere."""
        self._choice = choice
        self._models = _choices(choice)
        self.changed.emit()

    def cancel(self) -> None:
        """Stop a download; what came is kept, and it goes on from there the next time."""
        if self._worker is not None:
            self._worker.cancel()

    def close(self) -> None:
        """Stop everything."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _ask_folder(self) -> str:
        from qtpy.QtWidgets import QFileDialog

        return str(QFileDialog.getExistingDirectory(self._window, "Folder of a model"))

    def _become(self, choice: ModelChoice) -> None:
        self.adopt(choice)
        self._client.choose_model(choice)

    def _offer(self, model: RegisteredModel) -> None:
        self.changed.emit()
        text = (
            f"{model.id}: {model.description}. Licence {model.licence}: {model.licence_url}. "
            f"The download takes {model.size}."
        )
        accept = Action("Accept the licence and download", partial(self._start, model.id))
        self.asked.emit(Message(Kind.LICENCE, text, accept))

    def _start(self, name: str) -> None:
        if self._worker is not None:
            return
        self._worker = Worker()

        def run(call: Call) -> Path:
            return registry.download(
                name,
                accept_licence=True,
                progress=lambda done, total: call.progress((done, total)),
                cancel=call.cancel,
            )

        self.started.emit()
        self.said.emit(f"Downloading {name}; you can go on working.")
        self._show_progress((0, 0))
        self._worker.submit(run, partial(self._came, name), self._failed, self._show_progress)

    def _show_progress(self, amount: tuple[int, int]) -> None:
        done, total = (n >> 10 for n in amount)  # Qt counts with 32 bits
        self._download = Busy(done, total)
        self.changed.emit()

    def _came(self, name: str, _folder: Path) -> None:
        self._end()
        self.said.emit(f"{name} is here.")
        self.chosen.emit()
        self._become(replace(self._choice, name=name))

    def _failed(self, error: BaseException) -> None:
        self._end()
        if isinstance(error, Cancelled):
            self.said.emit("The download was stopped; choose the model again to go on.")
        else:
            self.said.emit("")
            self.failed.emit(error)

    def _end(self) -> None:
        self.close()
        self._download = None
        self._models = _choices(self._choice)
        self.changed.emit()


def _choices(choice: ModelChoice) -> Choices[str]:
    """Models that have a name, the chosen one, and a folder that is still to be named."""
    items = []
    for model in registry.registered():
        name = "Built-in, for microscopy" if model.repository is None else model.id
        missing = not registry.is_downloaded(model.id)
        items.append((f"{name} ({model.size})" if missing and model.size else name, model.id))
    if choice.name not in [name for _, name in items]:
        items.append((Path(choice.name).name, choice.name))
    return Choices((*items, ("A folder…", _FOLDER)), choice.name)
