"""Choosing a model: built-in, one to download after its licence was accepted, or a folder."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog

from napari_nninteractive.engine import registry
from napari_nninteractive.engine.registry import RegisteredModel
from napari_nninteractive.errors import Cancelled
from napari_nninteractive.plugin.view.messages import error as error_text
from napari_nninteractive.plugin.view.panel_view import PanelView
from napari_nninteractive.plugin.worker import Call, Worker
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.commands import ModelChoice

__all__ = ["ModelActions"]

_FOLDER = ""  # stands for a folder that is still to be chosen
_GRAPHICS = (
    ("Apple GPU (MPS)", "mps") if sys.platform == "darwin" else ("NVIDIA GPU (CUDA)", "cuda")
)
_DEVICES = (("Automatic", "auto"), ("CPU", "cpu"), _GRAPHICS)


class ModelActions:
    """Fills the boxes of models and devices, and tells the client what was chosen.

    Parameters
    ----------
    view : PanelView
        The panel.
    client : WorkspaceClient
        Told of the choice.
    choice : ModelChoice
        To begin with.
    """

    def __init__(self, view: PanelView, client: WorkspaceClient, choice: ModelChoice) -> None:
        self._view, self._client, self._choice = view, client, choice
        self._worker: Worker | None = None
        self._closed = False
        self._show_device()
        self.show()
        client.choose_model(choice)

    @property
    def downloading(self) -> bool:
        """Whether a download runs."""
        return self._worker is not None

    def show(self) -> None:
        """Show the models that there are, and the chosen one."""
        choices: list[tuple[str, Any]] = []
        for model in registry.registered():
            name = "Built-in, for microscopy" if model.repository is None else model.id
            missing = not registry.is_downloaded(model.id)
            choices.append((f"{name} ({model.size})" if missing and model.size else name, model.id))
        if self._choice.name not in [data for _, data in choices]:
            choices.append((Path(self._choice.name).name, self._choice.name))
        choices.append(("A folder…", _FOLDER))
        self._view.show_choices(self._view.model, choices, self._choice.name)

    def choose(self, name: Any) -> None:
        """Take a model, if it is there; else ask."""
        known = {model.id: model for model in registry.registered()}
        if name == _FOLDER:
            self.choose_folder(QFileDialog.getExistingDirectory(self._view, "Folder of a model"))
        elif name in known and not registry.is_downloaded(name):
            self._offer(known[name])
        else:
            self._become(ModelChoice(str(name), self._choice.device, self._choice.precision))

    def choose_folder(self, folder: str) -> None:
        """Take the model in a folder; "" changes nothing."""
        if folder:
            self._become(ModelChoice(folder, self._choice.device, self._choice.precision))
        else:
            self.show()

    def choose_device(self, device: str) -> None:
        """Compute elsewhere from now on."""
        self._become(ModelChoice(self._choice.name, device, self._choice.precision))
        self._show_device()

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
        self.show()
        self._show_device()

    def cancel(self) -> None:
        """Stop a download; what came is kept, and it goes on from there the next time."""
        if self._worker is not None:
            self._worker.cancel()

    def close(self) -> None:
        """Stop everything."""
        self._closed = True
        self._end()

    def _show_device(self) -> None:
        self._view.show_choices(self._view.device, _DEVICES, self._choice.device)

    def _become(self, choice: ModelChoice) -> None:
        self._choice = choice
        self.show()
        self._view.show_error("")
        self._client.choose_model(choice)

    def _offer(self, model: RegisteredModel) -> None:
        self.show()
        self._view.show_error(
            f"{model.id}: {model.description}. Licence {model.licence}: {model.licence_url}. "
            f"The download takes {model.size}.",
            "Accept the licence and download",
            partial(self._download, model.id),
        )

    def _download(self, name: str) -> None:
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

        self._view.show_error("")
        self._view.show_busy(True)
        self._view.show_status(f"Downloading {name}; you can go on working.")
        self._worker.submit(run, partial(self._came, name), self._failed, self._progressed)

    def _progressed(self, amount: tuple[int, int]) -> None:
        done, total = (n >> 10 for n in amount)  # Qt counts with 32 bits
        self._view.show_busy(True, done, total)

    def _came(self, name: str, _folder: Path) -> None:
        self._end()
        self._view.show_status(f"{name} is here.")
        self._become(ModelChoice(name, self._choice.device, self._choice.precision))

    def _failed(self, error: BaseException) -> None:
        self._end()
        self._view.show_status("")
        if isinstance(error, Cancelled):
            self._view.show_status("The download was stopped; choose the model again to go on.")
        else:
            self._view.show_error(error_text(error))

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        if not self._closed:
            self._view.show_busy(self._client.busy)
            self.show()
